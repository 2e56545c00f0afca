"""The output thread: every frame, in order, with its own boxes, to the sinks."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence

from edgecam.interpolation import tracks_at
from edgecam.latency import Latencies
from edgecam.outlet import Outlet
from edgecam.overlay import Overlay
from edgecam.ports import Clock, Sink
from edgecam.ring import AnalysisQueue, FrameRing
from edgecam.types import Analysis, AnnotatedFrame, Frame
from edgecam.worker import Worker

log = logging.getLogger(__name__)

READER = "output"
TURN = 0.5
"""Longest wait of one turn, seconds."""
RATE_FRAMES = 31
"""Frames over which the rate is measured."""


class OutputWorker(Worker):
    """Owns the sinks. Waits, at most `wait` seconds, for the analysis that covers a frame; draws; hands on.

    `written` counts the frames that every sink took, `refused` those that some sink did not, `missed` those the ring
    dropped before they were read. A sink that takes frames is told of an event after the frame it speaks of; a sink of
    events alone at once, since drawing and encoding a frame takes longer than the journal does. Once a wait has run
    out, no further frame waits until an analysis arrives: a stalled detector costs one wait, not one a frame. In a
    lossless pipeline every frame waits for its analysis.

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
        self.written = 0
        self.refused = 0
        self.missed = 0
        self.outlets = [Outlet(sink, clock) for sink in sinks]
        self.latencies = Latencies("output", "event")
        self._of_events = [outlet for outlet in self.outlets if not outlet.takes_frames]
        self._of_frames = [outlet for outlet in self.outlets if outlet.takes_frames]
        self._ring = ring
        self._analyses = analyses
        self._overlay = overlay
        self._clock = clock
        self._wait = wait
        self._status = status
        self._seen = -1
        self._before: Analysis | None = None
        self._pending: deque[Analysis] = deque()
        self._patient = True
        self._times: deque[float] = deque(maxlen=RATE_FRAMES)

    @property
    def rate(self) -> float:
        """Frames per second of the camera's own time, over the last second or so."""
        times = tuple(self._times)
        span = times[-1] - times[0] if times else 0.0
        return (len(times) - 1) / span if span > 0 else 0.0

    def setup(self) -> None:
        for outlet in self.outlets:
            outlet.open()

    def step(self) -> None:
        frame = self._ring.next(READER, after=self._seen, timeout=TURN)
        if frame is None:
            self._take_analyses()
            for outlet in self.outlets:
                outlet.flush()
            return
        if not self._covered(frame):
            return
        self.missed += frame.sequence - self._seen - 1
        self._seen = frame.sequence
        self._times.append(frame.timestamp)
        self._hand_on(self._annotate(frame))
        self._note("output", frame.timestamp)
        self._publish_through(frame.sequence)

    def teardown(self) -> None:
        self._ring.leave(READER)
        self._analyses.leave()
        self._take_analyses()
        while self._pending:
            self._advance()
        for outlet in reversed(self.outlets):
            outlet.close()

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
        for analysis in arrived:
            for event in analysis.events:
                taken = [outlet.publish(event) for outlet in self._of_events]
                if taken and all(taken):
                    self._note("event", event.timestamp)
        return bool(arrived)

    def _annotate(self, frame: Frame) -> AnnotatedFrame:
        while self._pending and self._pending[0].sequence < frame.sequence:
            self._advance()
        after = self._pending[0] if self._pending else None
        exact = after if after is not None and after.sequence == frame.sequence else None
        tracks = tracks_at(frame.timestamp, self._before, after)
        if self._overlay is None:
            return AnnotatedFrame(frame, frame.main, tracks, exact)
        image = frame.main.copy()
        self._overlay.draw(image, tracks, self._clock.wall(frame.timestamp).astimezone(), self._status())
        return AnnotatedFrame(frame, image, tracks, exact)

    def _hand_on(self, annotated: AnnotatedFrame) -> None:
        taken = [outlet.write(annotated) for outlet in self.outlets]
        if all(taken):
            self.written += 1
        else:
            self.refused += 1

    def _publish_through(self, sequence: int) -> None:
        while self._pending and self._pending[0].sequence <= sequence:
            self._advance()

    def _advance(self) -> None:
        self._before = self._pending.popleft()
        for event in self._before.events:
            for outlet in self._of_frames:
                outlet.publish(event)

    def _note(self, stage: str, timestamp: float) -> None:
        if not self._ring.lossless:
            self.latencies.add(stage, self._clock.monotonic() - timestamp)
