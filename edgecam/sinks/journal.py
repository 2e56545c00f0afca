"""Events into the journal."""

from __future__ import annotations

from pathlib import Path

from edgecam.events import event_document
from edgecam.journal import Journal
from edgecam.ports import Sink
from edgecam.sinks.names import snapshot_path
from edgecam.types import Event


class JournalSink(Sink):
    """Records each event message in the journal; it is on the disk before `publish` returns.

    `snapshots` is the folder of a SnapshotSink: the event's picture is noted as soon as it lies there. Several cameras
    may each have a sink on one journal.
    """

    def __init__(self, path: Path, *, snapshots: Path | None = None) -> None:
        self.published = 0
        self._journal = Journal(Path(path))
        self._snapshots = snapshots

    def open(self) -> None:
        self._journal.open()

    def publish(self, event: Event) -> None:
        self._journal.record(event_document(event), self._snapshot(event))
        self.published += 1

    def close(self) -> None:
        self._journal.close()

    def _snapshot(self, event: Event) -> Path | None:
        if self._snapshots is None:
            return None
        path = snapshot_path(self._snapshots, event)
        return path if path.is_file() else None
