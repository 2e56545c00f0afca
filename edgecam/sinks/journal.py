"""Events into the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edgecam.events import event_document
from edgecam.journal import Journal
from edgecam.ports import Clock, Sink
from edgecam.sinks.names import snapshot_path
from edgecam.types import Event


class JournalSink(Sink):
    """Records each event message in the journal, those of one frame together; on the disk before `publish` returns.

    `snapshots` is the folder of a SnapshotSink: the event's picture is noted as soon as it lies there. So is its clip,
    from the next message on after a ClipSink has begun it: no event waits for that. Several cameras
    may each have a sink on one journal. With `outbox` the message for the broker is recorded as well; `on_record` is
    then called, in the caller's thread, once it lies there.
    """

    waits_for_disk = True
    publishes_together = True

    def __init__(
        self,
        path: Path,
        *,
        snapshots: Path | None = None,
        outbox: bool = False,
        clock: Clock | None = None,
        on_record: Callable[[], None] = lambda: None,
    ) -> None:
        self.published = 0
        self._journal = Journal(Path(path), outbox=outbox, clock=clock)
        self._snapshots = snapshots
        self._on_record = on_record

    def open(self) -> None:
        self._journal.open()

    def publish(self, event: Event) -> None:
        self.publish_together([event])

    def publish_together(self, events: Sequence[Event]) -> None:
        self._journal.record_all((event_document(event), self._snapshot(event)) for event in events)
        self.published += len(events)
        self._on_record()

    def close(self) -> None:
        self._journal.close()

    def _snapshot(self, event: Event) -> Path | None:
        if self._snapshots is None:
            return None
        path = snapshot_path(self._snapshots, event)
        return path if path.is_file() else None
