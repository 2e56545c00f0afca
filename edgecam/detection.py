"""The detect thread: newest frame to detections, tracks and events."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from edgecam.backoff import Backoff
from edgecam.errors import DetectorError, RingClosed
from edgecam.events import EventRules
from edgecam.latency import Latencies
from edgecam.ports import Clock, Detector
from edgecam.ring import AnalysisQueue, FrameRing
from edgecam.switches import Switches
from edgecam.tracker import Tracker
from edgecam.types import Analysis, DetectorInfo, Event, EventType, Frame, Inference, Track
from edgecam.worker import Worker

log = logging.getLogger(__name__)

READER = "detect"
TURN = 0.5
"""Longest wait of one turn, seconds."""
LAST_WAIT = 2.0
"""How long the end waits for what is still under way, seconds."""


class DetectWorker(Worker):
    """Owns the detector, the tracker and the event rules; always takes the newest frame.

    While the detector works on one frame the next is handed in, as far as it takes several. `analysed` counts the
    frames looked at, `skipped` those passed over, `failed` those lost with the detector; `events_started` the events
    announced.

    While the switch `detect` is off the detector rests and every frame is passed over, with an analysis that says that
    nothing was found in it: tracks and events end as if their objects had gone, and the output waits for nobody.

    `latencies` has the detector's own time (`inference`), and the time from a frame's timestamp until its analysis was
    made (`detect`); the latter not of a lossless camera, whose time is its own.
    """

    def __init__(
        self,
        ring: FrameRing,
        detector: Detector,
        tracker: Tracker,
        rules: EventRules,
        analyses: AnalysisQueue,
        clock: Clock,
        on_exit: Callable[[], None],
        *,
        switches: Switches | None = None,
    ) -> None:
        super().__init__("detect", on_exit)
        self.analysed = 0
        self.skipped = 0
        self.failed = 0
        self.events_started = 0
        self.info: DetectorInfo | None = None
        self.latencies = Latencies("detect", "inference")
        self._ring = ring
        self._detector = detector
        self._tracker = tracker
        self._rules = rules
        self._analyses = analyses
        self._clock = clock
        self._switches = switches or Switches()
        self._backoff = Backoff()
        self._opened = False
        self._under_way: deque[Frame] = deque()
        self._seen = -1
        self._sequence = 0
        self._timestamp = 0.0
        self._tracks: tuple[Track, ...] = ()

    @property
    def lost_since(self) -> float | None:
        """The monotonic time since when the detector does not work; None while it does."""
        return self._backoff.since

    def follow(self, rules: Mapping[str, Any]) -> None:
        """Go by other event rules, the keywords of `EventRules.adopt`, from the next turn on. From any thread."""

        def change() -> None:
            self._rules.adopt(**rules)
            self._tracker.high_score = self._rules.lowest_threshold

        self.between_turns(change)

    def setup(self) -> None:
        self._try(self._open)

    def step(self) -> None:
        if not self._switches["detect"] and not self._under_way:
            self._pass_over()
            return
        if not self._opened and not self._reopen():
            return
        self._try(self._turn)

    def teardown(self) -> None:
        self._ring.leave(READER)
        self._finish_what_is_under_way()
        self.skipped += self._ring.newest - self._seen
        last = self._rules.finish(self._timestamp)
        if last:
            self._deliver(Analysis(self._sequence, self._timestamp, tracks=self._tracks, events=last))
        self._analyses.close()
        self._detector.close()

    def _turn(self) -> None:
        """Hand in what the detector has room for, then take what it has done."""
        if self._switches["detect"]:
            self._submit()
        self._collect()

    def _pass_over(self) -> None:
        """Let the newest frame go by, with an analysis that says nothing; what was going on is over."""
        frame = self._ring.latest(READER, after=self._seen, timeout=TURN)
        if frame is not None:
            self.skipped += frame.sequence - self._seen
            self._seen = self._sequence = frame.sequence
            self._timestamp, self._tracks = frame.timestamp, ()
            self._deliver(
                Analysis(
                    frame.sequence,
                    frame.timestamp,
                    events=self._rules.finish(frame.timestamp),
                    made=self._clock.monotonic(),
                )
            )

    def _submit(self) -> None:
        while len(self._under_way) < self._detector.slots:
            frame = self._next_frame()
            if frame is None:
                return
            self.skipped += frame.sequence - self._seen - 1
            self._seen = frame.sequence
            self._under_way.append(frame)
            self._detector.submit(self._detector.picture_of(frame))

    def _next_frame(self) -> Frame | None:
        """The newest frame, once the detector has its turn for it: what was the newest before that wait may not be."""
        patience = 0.0 if self._under_way else TURN
        if self._under_way and self._ring.newest <= self._seen:
            return None
        try:
            frame = self._ring.latest(READER, after=self._seen, timeout=patience)
            if frame is None or not self._detector.turn(patience):
                return None
            if self._ring.newest != frame.sequence:
                return self._ring.latest(READER, after=self._seen, timeout=0.0)
            return frame
        except RingClosed:
            if not self._under_way:
                raise
        return None

    def _collect(self) -> None:
        done = self._detector.collect(timeout=TURN)
        self.info = self._detector.info
        if done is not None:
            self._analyse(self._under_way.popleft(), done)

    def _analyse(self, frame: Frame, done: Inference) -> None:
        if self._backoff.since is not None:
            log.warning("detector back after %.1f s", self._backoff.succeeded(self._clock.monotonic()))
        self._sequence, self._timestamp = frame.sequence, frame.timestamp
        self._tracks = self._tracker.update(frame.timestamp, self._rules.accept(done.detections))
        size = (frame.width, frame.height)
        events = self._rules.update(frame.sequence, frame.timestamp, self._tracks, size)
        self.analysed += 1
        found, made = tuple(done.detections), self._clock.monotonic()
        self._deliver(Analysis(frame.sequence, frame.timestamp, found, self._tracks, events, done.seconds, made))
        self.latencies.add("inference", done.seconds)
        if not self._ring.lossless:
            self.latencies.add("detect", made - frame.timestamp)

    def _deliver(self, analysis: Analysis) -> None:
        for event in analysis.events:
            self._note(event)
        while not self._analyses.put(analysis, timeout=TURN):
            log.debug("output takes no analyses")  # no beat: whoever stops this thread must not wait for a hung output

    def _note(self, event: Event) -> None:
        """Count a new event; the log has the beginning and the end of each, to be found by its id."""
        about = {"event_id": event.event_id, "detector": self.info.device if self.info else ""}
        if event.type is EventType.NEW:
            self.events_started += 1
            log.info("event %s: %s, score %.2f", event.event_id, event.label, event.score, extra=about)
        elif event.type is EventType.END:
            lasted = event.timestamp - event.start
            log.info("event %s: %s gone after %.1f s", event.event_id, event.label, lasted, extra=about)

    def _finish_what_is_under_way(self) -> None:
        limit = self._clock.monotonic() + LAST_WAIT
        while self._under_way and self._clock.monotonic() < limit:
            if not self._try(self._collect):
                return
        self.failed += len(self._under_way)
        self._under_way.clear()

    def _open(self) -> None:
        self._detector.open()
        self._opened = True
        self.info = self._detector.info

    def _reopen(self) -> bool:
        wait = self._backoff.remaining(self._clock.monotonic())
        if wait > 0:
            self.stopping.wait(min(wait, TURN))
            return False
        with self.allowing(self.open_limit):
            return self._try(self._open)

    def _try(self, action: Callable[[], None]) -> bool:
        """Do it; a fault of the detector closes it and starts the back-off. Logged once when lost."""
        try:
            action()
        except DetectorError as error:
            if self._backoff.since is None:
                log.error("detector lost: %s", error)
            self.failed += len(self._under_way)
            self._under_way.clear()
            self._opened = False
            self._detector.close()
            self._backoff.failed(self._clock.monotonic())
            return False
        return True
