"""The thread of one sink that waits for a disk: a write that hangs holds up nobody else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from edgecam.backlog import Backlog, Receipt
from edgecam.outlet import EVENTS_TOGETHER, Outlet
from edgecam.ports import Clock, Sink
from edgecam.types import AnnotatedFrame, Event
from edgecam.worker import Worker

log = logging.getLogger(__name__)

TURN = 0.5
"""Longest wait of one turn, seconds."""
STALLED_AFTER = 5.0
"""Seconds without a sign of life from the sink after which its disk is said to stall."""
_LOOKS = 4 * TURN
"""Seconds between two looks, at most; where there are more, the whole process was stopped, or its machine asleep."""


class StoreWorker(Worker):
    """Owns a sink, behind its outlet, and hands it what the output thread brings, in order.

    `offer`, `publish`, `settle_within`, `look_after`, `close` and `abandon` are for whoever brings it. The counts and
    `trouble` are those of the outlet, and what was lost on the way to it: `frames_refused` frames that found no room,
    `events_lost` events that were too many.
    """

    def __init__(self, sink: Sink, clock: Clock, on_exit: Callable[[], None]) -> None:
        super().__init__(sink.name.replace(" ", "-"), on_exit)
        self.outlet = Outlet(sink, clock)
        self._backlog = Backlog()
        self._turned_away = 0
        self._stalled_since: float | None = None
        self._looked = monotonic()
        self._awake_since = 0.0

    @property
    def takes_frames(self) -> bool:
        """Whether the sink takes frames, and not events alone."""
        return self.outlet.takes_frames

    @property
    def frames_refused(self) -> int:
        """Frames that the sink did not take."""
        return self.outlet.frames_refused + self._turned_away

    @property
    def events_lost(self) -> int:
        """Events that the sink never got."""
        return self.outlet.events_lost + self._backlog.events_lost

    @property
    def silence(self) -> float:
        """Seconds since the sink last showed life; 0 where its thread does not run."""
        return monotonic() - max(self.beat, self._awake_since) if self.is_alive() else 0.0

    @property
    def trouble(self) -> str:
        """What is wrong, "" while nothing is."""
        if (silence := self.silence) > STALLED_AFTER:
            return f"the {self.outlet.name}: the disk has not answered for {silence:.0f} s"
        return self.outlet.trouble

    def setup(self) -> None:
        self.outlet.open()

    def step(self) -> None:
        item = self._backlog.take(TURN)
        if item is None:
            self.outlet.flush()
        elif isinstance(item.part, Event):
            together = self._backlog.take_along(EVENTS_TOGETHER - 1)
            self._backlog.finished(self.outlet.publish(item.part, *together))
        else:
            self._backlog.finished(self.outlet.write(item.part))

    def teardown(self) -> None:
        self.outlet.close(*self._backlog.leave())

    def offer(self, annotated: AnnotatedFrame, receipt: Receipt, timeout: float) -> bool:
        """Hand over a frame; False where there was no room within `timeout` seconds: offer it again, or refuse it."""
        return self._backlog.put_frame(annotated, receipt, timeout)

    def wants(self, annotated: AnnotatedFrame) -> bool:
        """Whether the sink is to be offered this frame: its thread is not woken for others."""
        return self.outlet.wants(annotated)

    def refuse(self, receipt: Receipt) -> None:
        """Count a frame that found no room."""
        self._turned_away += 1
        receipt.settle(False)

    def publish(self, *events: tuple[Event, Receipt]) -> None:
        """Hand over events, which the sink may then take together. Never waits."""
        for event, _receipt in events:
            self.outlet.overhear(event)
        self._backlog.put_events(events)
        self.outlet.look_after()

    def settle_within(self, timeout: float) -> None:
        """Wait until the sink has taken all it was given, at most `timeout` seconds, and not at all while it lags."""
        self._backlog.wait_idle(timeout)

    def look_after(self) -> None:
        """Say once that the disk stalls, and once that it does no more; and let the sink look after what it was told.

        To be called at least twice a second.
        """
        self.outlet.look_after()
        now = monotonic()
        if now - self._looked > _LOOKS:
            self._awake_since = now
        self._looked = now
        silence = self.silence
        if silence > STALLED_AFTER and self._stalled_since is None:
            self._stalled_since = self.beat
            log.error("%s; frames are refused, events wait", self.trouble)
        elif silence <= STALLED_AFTER and self._stalled_since is not None:
            lasted = self.beat - self._stalled_since
            log.warning("the %s: the disk answers again, after %.1f s", self.outlet.name, lasted)
            self._stalled_since = None

    def close(self) -> None:
        """Let the thread end once it has handed over what is left. Safe to call twice."""
        self._backlog.close()

    def abandon(self) -> None:
        """Give up on what the sink has not taken, but for the events that it can park: it is stuck."""
        self.outlet.abandon(*self._backlog.leave())
