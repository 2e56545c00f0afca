"""Awaited: event messages that the journal has not taken yet, parked while its disk makes them wait."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import inf
from pathlib import Path
from threading import Lock

from edgecam.clock import SystemClock
from edgecam.events import event_document
from edgecam.outbox import moment
from edgecam.outlet import EVENTS_KEPT
from edgecam.parking import ParkedEvent, Parking
from edgecam.ports import Clock
from edgecam.sinks.names import snapshot_path
from edgecam.types import Event

log = logging.getLogger(__name__)

PARK_AFTER = 0.25
"""Seconds that the journal may take over a message before all that wait for it are parked."""


class Awaited:
    """Event messages on their way to one journal, of all cameras that share it, at most EVENTS_KEPT.

    Once the oldest has waited for PARK_AFTER, all are parked that are here, and those that come until the journal has
    taken every one of these: then the file is let go. Whatever ends the process, the next start records them. That is
    done only where the file is in memory, since who calls `park_overdue` waits for no disk; elsewhere, and where it
    fails, they are parked at the end, by `park`.

    Any thread may call; none has to wait for the journal. `snapshots` is the folder of the events' pictures.
    """

    def __init__(self, parking: Parking, *, snapshots: Path | None = None, clock: Clock | None = None) -> None:
        self._parking = parking
        self._snapshots = snapshots
        self._clock = clock or SystemClock()
        self._in_memory = bool(parking.paths(in_memory=True))
        self._lock = Lock()
        #: By `id`: what is to be parked, with the moment since when it waits, and what is. Both in order.
        self._fresh: dict[int, tuple[float, Event]] = {}
        self._parked: dict[int, Event] = {}
        self._needless = 0  # lines of ours in the file that wait for nothing
        self._gave_up = False
        self._where = Path()

    def note(self, event: Event) -> None:
        """Begin to wait for the journal to take a message; beyond EVENTS_KEPT the oldest is forgotten."""
        with self._lock:
            self._fresh[id(event)] = self._clock.monotonic(), event
            if len(self._fresh) + len(self._parked) > EVENTS_KEPT:
                self._forget(next(iter(self._parked or self._fresh)))

    def taken(self, events: Sequence[Event]) -> None:
        """The journal has taken these; where it has all that was parked, the file is let go."""
        with self._lock:
            for event in events:
                self._forget(id(event))
            if not self._parked and (self._needless or not self._fresh):
                self._gave_up = False
                self._let_go()

    def park_overdue(self) -> None:
        """Park what waits, if it has waited for long. To be called often; never waits for a disk."""
        if not self._fresh or not self._in_memory or self._gave_up:
            return
        with self._lock:
            since, _event = next(iter(self._fresh.values()), (inf, None))
            waited = self._clock.monotonic() - since
            if self._parked or waited >= PARK_AFTER:
                self._park_early(waited)

    def park(self, events: Sequence[Event]) -> int:
        """Park what is not parked yet of these, wherever there is room; returns how many of them are there now."""
        with self._lock:
            try:
                self._add([event for event in events if id(event) not in self._parked], make_room=True)
            except OSError as error:
                log.error("%s: events cannot be kept for the next start: %s", self._named(error), error.strerror)
            kept = sum(id(event) in self._parked for event in events)
        if kept:
            log.warning("%d event messages could not be recorded; kept in %s for the next start", kept, self._where)
        return kept

    def _park_early(self, waited: float) -> None:
        begins = not self._parked
        try:
            self._add([event for _since, event in self._fresh.values()], in_memory=True)
        except OSError as error:
            log.error("%s: events that wait for the disk cannot be kept here: %s", self._named(error), error.strerror)
            self._gave_up = True
            return
        if begins and self._parked:
            log.info("journal: nothing recorded for %.1f s; events are kept in %s meanwhile", waited, self._where)
        if self._fresh:
            log.error("%s: no room for more of the events that wait for the disk", self._where)
            self._gave_up = True

    def _add(self, events: list[Event], *, in_memory: bool = False, make_room: bool = False) -> None:
        """Park messages that are not yet, the newest of too many; `make_room` takes out what is recorded already."""
        if not events:
            return
        number, self._where = self._parking.park([*map(self._as_parked, events)], in_memory=in_memory)
        if number < len(events) and make_room and self._needless:
            again = [*self._parked.values(), *events]
            self._parking.let_go()
            self._needless = 0
            self._parked.clear()
            self._add(again)
            return
        for event in events[len(events) - number :]:
            self._fresh.pop(id(event), None)
            self._parked[id(event)] = event

    def _forget(self, key: int) -> None:
        if self._fresh.pop(key, None) is None and self._parked.pop(key, None) is not None:
            self._needless += 1

    def _let_go(self) -> None:
        if not self._needless:
            return
        self._needless = 0
        try:
            self._parking.let_go()
        except OSError as error:
            log.warning("%s: cannot be deleted, though all of it is recorded: %s", self._where, error.strerror)

    def _named(self, error: OSError) -> str:
        return str(error.filename or self._parking.paths()[0])

    def _as_parked(self, event: Event) -> ParkedEvent:
        picture = None if self._snapshots is None else snapshot_path(self._snapshots, event)
        return ParkedEvent(event_document(event), picture, moment(self._clock))
