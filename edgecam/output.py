"""The output thread: every frame, in order, with its own boxes, to the sinks."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import Lock
from time import monotonic
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecam.backlog import Receipt, Tally
from edgecam.errors import RingClosed
from edgecam.interpolation import tracks_at
from edgecam.late_picture import LatePicture
from edgecam.latency import Latencies
from edgecam.outlet import Outlet
from edgecam.overlay import Overlay
from edgecam.ports import Clock, Sink
from edgecam.ring import AnalysisQueue, FrameRing
from edgecam.storing import StoreWorker
from edgecam.types import Analysis, AnnotatedFrame, Event, Frame, Track
from edgecam.worker import Worker

log = logging.getLogger(__name__)

READER = "output"
TURN = 0.5
"""Longest wait of one turn, seconds."""
RATE_FRAMES = 31
"""Frames over which the rate is measured."""
SOON = 0.1
"""A frame's analysis is mostly there within so many seconds."""
EVENT_WAIT = 0.02
"""Longest wait, seconds, until the journal has an event: it is told sooner while this thread leaves Python to it."""
GIVEN_UP_AFTER = 10.0
"""Once no more frames come, a lossless pipeline waits so long, seconds, for a sink that shows no life."""


class _Sinks(NamedTuple):
    """Some of the sinks: those with a thread of their own, and those that live in the output thread."""

    stores: list[StoreWorker]
    here: list[Outlet]

    @classmethod
    def of(cls, outlets: Iterable[Outlet | StoreWorker]) -> _Sinks:
        sorted_out = cls([], [])
        for outlet in outlets:
            if isinstance(outlet, StoreWorker):
                sorted_out.stores.append(outlet)
            else:
                sorted_out.here.append(outlet)
        return sorted_out

    @property
    def number(self) -> int:
        return len(self.stores) + len(self.here)


class OutputWorker(Worker):
    """Owns the sinks. Waits, at most `wait` seconds, for the analysis that covers a frame; hands on.

    The overlay is drawn when a sink looks at the picture with it, and in that sink's thread.

    A sink that waits for a disk has a thread of its own, one of `stores`, which the pipeline starts and stops: when it
    lags, it costs its own frames alone. Only a lossless pipeline waits for it. `written` counts the frames that every
    sink took, `refused` those that some sink did not, `missed` those the ring dropped before they were read; a frame
    that still waits for a sink is none of these.

    A sink that takes frames is told of an event after the frame it speaks of; a sink of events alone at once, since
    drawing and encoding a frame takes longer than the journal does. Once a wait has run out, no further frame waits
    until an analysis arrives: a stalled detector costs one wait, not one a frame. In a lossless pipeline every frame
    waits for its analysis.

    `latencies` has the times from a frame's timestamp until all sinks had the frame (`output`), and until the sinks of
    events alone, the journal among them, had an event of it (`event`); not of a lossless camera, whose time is its own.
    """

    def __init__(
        self,
        ring: FrameRing,
        analyses: AnalysisQueue,
        sinks: Sequence[Sink],
        overlay: Overlay | None,
        clock: Clock,
        on_exit: Callable[[], None],
        *,
        wait: float = 0.5,
        status: Callable[[], str] = str,
    ) -> None:
        super().__init__("output", on_exit)
        self.missed = 0
        self.outlets: list[Outlet | StoreWorker] = [
            StoreWorker(sink, clock, on_exit) if sink.waits_for_disk else Outlet(sink, clock) for sink in sinks
        ]
        self.stores = [outlet for outlet in self.outlets if isinstance(outlet, StoreWorker)]
        self.latencies = Latencies("output", "event")
        self._here = [outlet for outlet in self.outlets if isinstance(outlet, Outlet)]
        self._of_frames = _Sinks.of(outlet for outlet in self.outlets if outlet.takes_frames)
        self._of_events = _Sinks.of(outlet for outlet in self.outlets if not outlet.takes_frames)
        self._tally = Tally()
        self._ring = ring
        self._analyses = analyses
        self._overlay = overlay
        self._drawing = Lock()
        self._clock = clock
        self._wait = wait
        self._status = status
        self._seen = -1
        self._before: Analysis | None = None
        self._pending: deque[Analysis] = deque()
        self._patient = True
        self._times: deque[float] = deque(maxlen=RATE_FRAMES)

    @property
    def written(self) -> int:
        """Frames that every sink took."""
        return self._tally.taken

    @property
    def refused(self) -> int:
        """Frames that some sink did not take."""
        return self._tally.refused

    @property
    def rate(self) -> float:
        """Frames per second of the camera's own time, over the last second or so."""
        times = tuple(self._times)
        span = times[-1] - times[0] if times else 0.0
        return (len(times) - 1) / span if span > 0 else 0.0

    def draw_with(self, overlay: Overlay | None) -> None:
        """Have another overlay, or none, draw from the next turn on. From any thread."""

        def change() -> None:
            self._overlay = overlay

        self.between_turns(change)

    def setup(self) -> None:
        for outlet in self._here:
            outlet.open()

    def step(self) -> None:
        self._look_after_stores()
        try:
            frame = self._next_frame()
        except RingClosed:
            if self._analyses.wait_closed(TURN):
                raise
            frame = None  # the last events are still to come
        if frame is None:
            self._take_analyses()
            for outlet in self._here:
                outlet.flush()
            return
        if not self._covered(frame):
            return
        self.missed += frame.sequence - self._seen - 1
        self._seen = frame.sequence
        self._times.append(frame.timestamp)
        self._hand_on(self._annotate(frame))
        self._publish_through(frame.sequence)

    def teardown(self) -> None:
        self._ring.leave(READER)
        self._analyses.leave()
        self._take_analyses()
        while self._pending:
            self._advance()
        for store in self.stores:
            store.close()
        for outlet in reversed(self._here):
            outlet.close()

    def _next_frame(self) -> Frame | None:
        """The next frame; where it is still to come, with its analysis if that comes soon: one waking for both."""
        frame = self._ring.next(READER, after=self._seen, timeout=0.0)
        if frame is None and self._patient and not self._ring.lossless:
            self._analyses.wait_for(self._seen + 1, min(self._wait, SOON))
        return frame or self._ring.next(READER, after=self._seen, timeout=TURN)

    def _covered(self, frame: Frame) -> bool:
        """Wait for the frame's analysis; False where the frame should wait another turn."""
        covered = self._analyses.wait_for(frame.sequence, self._wait if self._patient or self._ring.lossless else 0.0)
        arrived = self._take_analyses()
        self._patient = covered or arrived
        return covered or not self._ring.lossless

    def _take_analyses(self) -> bool:
        """Take what the detect thread has found; False where there is nothing new."""
        arrived = self._analyses.take()
        self._pending.extend(arrived)
        events = [event for analysis in arrived for event in analysis.events]
        if events and self._of_events.number:
            self._tell_at_once(events)
        return bool(arrived)

    def _tell_at_once(self, events: Sequence[Event]) -> None:
        told = self._of_events
        receipts = [Receipt(told.number, partial(self._note_event, event)) for event in events]
        for store in told.stores:
            store.publish(*zip(events, receipts, strict=True))
        for store in told.stores:
            store.settle_within(EVENT_WAIT)
        for outlet in told.here:
            for event, receipt in zip(events, receipts, strict=True):
                receipt.settle(outlet.publish(event))

    def _annotate(self, frame: Frame) -> AnnotatedFrame:
        while self._pending and self._pending[0].sequence < frame.sequence:
            self._advance()
        after = self._pending[0] if self._pending else None
        exact = after if after is not None and after.sequence == frame.sequence else None
        tracks = tracks_at(frame.timestamp, self._before, after)
        overlay = self._overlay
        if overlay is None:
            return AnnotatedFrame(frame, frame.picture, tracks, exact)
        draw = partial(self._drawn, overlay, frame, tracks, self._status())
        return AnnotatedFrame(frame, LatePicture(draw, frame.size), tracks, exact)

    def _drawn(self, overlay: Overlay, frame: Frame, tracks: Sequence[Track], status: str) -> NDArray[np.uint8]:
        """The picture with the overlay; in the thread of whoever looks at it first."""
        image = frame.copy_of_main()
        with self._drawing:
            overlay.draw(image, tracks, self._clock.wall(frame.timestamp).astimezone(), status)
        return image

    def _hand_on(self, annotated: AnnotatedFrame) -> None:
        sinks = self._of_frames
        receipt = Receipt(sinks.number, partial(self._settled, annotated.frame.timestamp))
        for store in sinks.stores:
            if not store.wants(annotated):
                receipt.settle(True)
            elif not self._offer(store, annotated, receipt):
                store.refuse(receipt)
        for outlet in sinks.here:
            receipt.settle(outlet.write(annotated))

    def _offer(self, store: StoreWorker, annotated: AnnotatedFrame, receipt: Receipt) -> bool:
        """Hand a frame over; in a lossless pipeline wait until there is room for it."""
        while not store.offer(annotated, receipt, TURN if self._waits_for(store) else 0.0):
            if not self._waits_for(store):
                return False
            self.beat = monotonic()  # it is the sink that shows no life, and has a limit of its own
            self._look_after_stores()
        return True

    def _look_after_stores(self) -> None:
        for store in self.stores:
            store.look_after()

    def _waits_for(self, store: StoreWorker) -> bool:
        if not self._ring.lossless or not store.is_alive() or self.stopping.is_set():
            return False
        return not self._ring.closed or store.silence < GIVEN_UP_AFTER

    def _publish_through(self, sequence: int) -> None:
        while self._pending and self._pending[0].sequence <= sequence:
            self._advance()

    def _advance(self) -> None:
        self._before = self._pending.popleft()
        for event in self._before.events:
            for store in self._of_frames.stores:
                store.publish((event, Receipt(1, lambda _taken: None)))
            for outlet in self._of_frames.here:
                outlet.publish(event)

    def _settled(self, timestamp: float, taken: bool) -> None:  # noqa: FBT001 (a receipt's answer)
        self._note("output", timestamp)
        self._tally.add(taken)

    def _note_event(self, event: Event, taken: bool) -> None:  # noqa: FBT001 (a receipt's answer)
        if taken:
            self._note("event", event.timestamp)

    def _note(self, stage: str, timestamp: float) -> None:
        if not self._ring.lossless:
            self.latencies.add(stage, self._clock.monotonic() - timestamp)
