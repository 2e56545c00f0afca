"""Events into the journal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from edgecam.clock import SystemClock
from edgecam.events import event_document
from edgecam.journal import Journal
from edgecam.outbox import OutboxMessage
from edgecam.ports import Clock, Sink
from edgecam.sinks.awaited import Awaited
from edgecam.sinks.names import snapshot_path
from edgecam.types import Event

log = logging.getLogger(__name__)


class JournalSink(Sink):
    """Records each event message in the journal, those of one frame together; on the disk before `publish` returns.

    `snapshots` is the folder of a SnapshotSink: the event's picture is noted as soon as it lies there. So is its clip,
    from the next message on after a ClipSink has begun it: no event waits for that. Several cameras
    may each have a sink on one journal. With `outbox` the messages for the broker are recorded as well; `on_record` is
    then called with them, in the caller's thread, once they lie there. `awaited` keeps what could not be recorded yet
    where the next start finds it; several sinks on one journal share it.
    """

    name = "journal"
    waits_for_disk = True
    publishes_together = True

    def __init__(
        self,
        path: Path,
        *,
        snapshots: Path | None = None,
        outbox: bool = False,
        clock: Clock | None = None,
        on_record: Callable[[Sequence[OutboxMessage]], None] = lambda _messages: None,
        awaited: Awaited | None = None,
    ) -> None:
        self.published = 0
        self._journal = Journal(Path(path), outbox=outbox, clock=clock or SystemClock())
        self._snapshots = snapshots
        self._awaited = awaited
        self._on_record = on_record

    def open(self) -> None:
        self._journal.open()

    def overhear(self, event: Event) -> None:
        if self._awaited is not None:
            self._awaited.note(event)

    def look_after(self) -> None:
        if self._awaited is not None:
            self._awaited.park_overdue()

    def publish(self, event: Event) -> None:
        self.publish_together([event])

    def publish_together(self, events: Sequence[Event]) -> None:
        told = self._journal.record_all((event_document(event), self._snapshot(event)) for event in events)
        self.published += len(events)
        if self._awaited is not None:
            self._awaited.taken(events)
        self._on_record(told)

    def close(self) -> None:
        self._journal.close()

    def park(self, events: Sequence[Event]) -> int:
        return 0 if self._awaited is None else self._awaited.park(events)

    def _snapshot(self, event: Event) -> Path | None:
        if self._snapshots is None:
            return None
        path = snapshot_path(self._snapshots, event)
        return path if path.is_file() else None
