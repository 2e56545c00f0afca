"""One sink as the output thread sees it: opened again after a fault, frames counted, events kept until taken."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from itertools import islice

from edgecam.backoff import Backoff
from edgecam.errors import SinkError
from edgecam.ports import Clock, Sink
from edgecam.types import AnnotatedFrame, Event

log = logging.getLogger(__name__)

STEADY_AFTER = 10.0
"""Seconds for which a sink must have worked after an outage: an encoder takes frames for a while before it writes, so
that on a full disk every try succeeds at first. A fault before that belongs to the same outage."""
EVENTS_KEPT = 10_000
"""Events held for a sink that is down; beyond it the oldest goes and `events_lost` counts it."""
EVENTS_TOGETHER = 100
"""Most events in one operation of a sink that takes several at once."""


class Outlet:
    """Guards the pipeline from a sink's troubles.

    While the sink is down its frames are counted in `frames_refused` and its events wait here, in order; after a
    back-off the sink is opened again and takes them first. `trouble` says what is wrong, "" while nothing is;
    `takes_frames` is False for a sink of events alone. An outage is logged once when it begins and once, when the sink
    has been working again for STEADY_AFTER, that it is over; until then the waits between the tries go on growing.
    """

    def __init__(self, sink: Sink, clock: Clock) -> None:
        self.frames_taken = 0
        self.frames_refused = 0
        self.events_taken = 0
        self.events_lost = 0
        self.takes_frames = type(sink).write is not Sink.write
        self.trouble = ""
        self._sink = sink
        self._clock = clock
        self._waiting: deque[Event] = deque()
        self._backoff = Backoff()
        self._is_open = True
        self._works_since: float | None = None
        self._abandoned = False

    @property
    def name(self) -> str:
        """The sink's name, for messages."""
        return self._sink.name

    def open(self) -> None:
        """Open the sink for the first time. Raises SinkError: a sink that cannot even start is the user's to mend."""
        self._sink.open()

    def wants(self, annotated: AnnotatedFrame) -> bool:
        """Whether the sink is to be given this frame. From the output thread, whoever owns the sink."""
        return self._sink.glance(annotated)

    def overhear(self, event: Event) -> None:
        """Let the sink hear of an event that it is to be given. From the output thread, whoever owns the sink."""
        self._sink.overhear(event)

    def look_after(self) -> None:
        """Let the sink look after what it has not taken. From the output thread, whoever owns the sink."""
        self._sink.look_after()

    def write(self, annotated: AnnotatedFrame) -> bool:
        """Hand over a frame; False where the sink is down or refused it. A sink of events alone takes any frame."""
        if not self.takes_frames:
            return True
        self.flush()
        if self._usable():
            try:
                self._sink.write(annotated)
            except SinkError as error:
                self._lost(error)
            else:
                self.frames_taken += 1
                self._works()
                return True
        else:
            self._sink.meanwhile(annotated)
        self.frames_refused += 1
        return False

    def publish(self, *events: Event) -> bool:
        """Hand over events, after those still waiting; False where the sink is down: they are kept."""
        self._waiting.extend(events)
        while len(self._waiting) > EVENTS_KEPT:
            self._waiting.popleft()
            self.events_lost += 1
        self.flush()
        return not self._waiting

    def flush(self) -> None:
        """Hand over the events that are waiting, as far as the sink takes them."""
        most = EVENTS_TOGETHER if self._sink.publishes_together else 1
        while self._waiting and self._usable():
            events = list(islice(self._waiting, most))
            try:
                self._sink.publish_together(events)
            except SinkError as error:
                self._lost(error)
                return
            for _ in events:
                self._waiting.popleft()
            self.events_taken += len(events)
            self._works()

    def close(self, *late: Event) -> None:
        """One last try to hand over what waits and what comes `late`, whatever the back-off says, then close.

        What the sink does not take it may park; the rest is lost. Never raises SinkError.
        """
        self._waiting.extend(self._unknown(late))
        self._backoff.skip()
        self.flush()
        if not self._abandoned:
            self._give_up(list(self._waiting))
        self._waiting.clear()
        try:
            self._sink.close()
        except SinkError as error:
            log.error("%s: %s", self.name, error)

    def abandon(self, *late: Event) -> None:
        """Park what waits and what comes `late`, as `close` does, while the sink is stuck. From another thread."""
        self._abandoned = True
        waiting = list(self._waiting)
        self._give_up([*waiting, *self._unknown(late)])

    def _unknown(self, late: Iterable[Event]) -> list[Event]:
        """Those that do not wait here already: what is in hand does."""
        waiting = set(map(id, self._waiting.copy()))
        return [event for event in late if id(event) not in waiting]

    def _give_up(self, events: list[Event]) -> None:
        lost = len(events) - self._sink.park(events) if events else 0
        if lost:
            self.events_lost += lost
            log.error("%s: %d events lost at the end", self.name, lost)

    def _usable(self) -> bool:
        """Whether the sink is open; opens it where it is time to."""
        if self._is_open:
            return True
        if self._backoff.remaining(self._clock.monotonic()) > 0:
            return False
        try:
            self._sink.open()
        except SinkError as error:
            self._lost(error)
            return False
        self._is_open = True
        return True

    def _works(self) -> None:
        """Note that the sink took something."""
        if self._backoff.since is None:
            return
        now = self._clock.monotonic()
        if self._works_since is None:
            self._works_since = now
            self.trouble = ""
        elif now - self._works_since >= STEADY_AFTER:
            log.warning("%s: back after %.1f s", self.name, self._works_since - self._backoff.since)
            self._backoff.succeeded(now)

    def _lost(self, error: SinkError) -> None:
        if self._backoff.since is None:
            log.error("%s: %s", self.name, error)
        self.trouble = str(error)
        self._is_open = False
        self._works_since = None
        self._backoff.failed(self._clock.monotonic())
        try:
            self._sink.close()
        except SinkError as closing:
            log.debug("%s: while closing: %s", self.name, closing)
