"""Events into the journal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from edgecam.clock import SystemClock
from edgecam.events import event_document
from edgecam.journal import Journal
from edgecam.outbox import OutboxMessage, moment
from edgecam.parking import ParkedEvent, Parking
from edgecam.ports import Clock, Sink
from edgecam.sinks.names import snapshot_path
from edgecam.types import Event

log = logging.getLogger(__name__)


class JournalSink(Sink):
    """Records each event message in the journal, those of one frame together; on the disk before `publish` returns.

    `snapshots` is the folder of a SnapshotSink: the event's picture is noted as soon as it lies there. So is its clip,
    from the next message on after a ClipSink has begun it: no event waits for that. Several cameras
    may each have a sink on one journal. With `outbox` the messages for the broker are recorded as well; `on_record` is
    then called with them, in the caller's thread, once they lie there. `parking` is where events go that could not be
    recorded before the end: the next start records them.
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
        parking: Parking | None = None,
    ) -> None:
        self.published = 0
        self._clock = clock or SystemClock()
        self._journal = Journal(Path(path), outbox=outbox, clock=self._clock)
        self._snapshots = snapshots
        self._parking = parking
        self._on_record = on_record

    def open(self) -> None:
        self._journal.open()

    def publish(self, event: Event) -> None:
        self.publish_together([event])

    def publish_together(self, events: Sequence[Event]) -> None:
        told = self._journal.record_all((event_document(event), self._snapshot(event)) for event in events)
        self.published += len(events)
        self._on_record(told)

    def close(self) -> None:
        self._journal.close()

    def park(self, events: Sequence[Event]) -> int:
        if self._parking is None:
            return 0
        now = moment(self._clock)
        parked = [ParkedEvent(event_document(event), self._snapshot_path(event), now) for event in events]
        try:
            number, path = self._parking.park(parked)
        except OSError as error:
            log.error("%s: events cannot be kept for the next start: %s", error.filename, error.strerror)
            return 0
        log.warning("%d event messages could not be recorded; kept in %s for the next start", number, path)
        return number

    def _snapshot(self, event: Event) -> Path | None:
        path = self._snapshot_path(event)
        return path if path is not None and path.is_file() else None

    def _snapshot_path(self, event: Event) -> Path | None:
        return None if self._snapshots is None else snapshot_path(self._snapshots, event)
