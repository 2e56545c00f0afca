"""The detect thread: newest frame to detections, tracks and events."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgecam.backoff import Backoff
from edgecam.errors import DetectorError
from edgecam.events import EventRules
from edgecam.ports import Clock, Detector
from edgecam.ring import AnalysisQueue, FrameRing
from edgecam.tracker import Tracker
from edgecam.types import Analysis, DetectorInfo, EventType, Frame, Track
from edgecam.worker import Worker

log = logging.getLogger(__name__)

READER = "detect"
TURN = 0.5
"""Longest wait of one turn, seconds."""


class DetectWorker(Worker):
    """Owns the detector, the tracker and the event rules; always takes the newest frame.

    `analysed` counts the frames it looked at, `skipped` those it passed over, `failed` those lost with the detector;
    `events_started` the events it announced.
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
    ) -> None:
        super().__init__("detect", on_exit)
        self.analysed = 0
        self.skipped = 0
        self.failed = 0
        self.events_started = 0
        self.info: DetectorInfo | None = None
        self._ring = ring
        self._detector = detector
        self._tracker = tracker
        self._rules = rules
        self._analyses = analyses
        self._clock = clock
        self._backoff = Backoff()
        self._seen = -1
        self._timestamp = 0.0
        self._tracks: tuple[Track, ...] = ()

    def setup(self) -> None:
        self._open()

    def step(self) -> None:
        if self._backoff.since is not None and not self._reopen():
            return
        frame = self._ring.latest(READER, after=self._seen, timeout=TURN)
        if frame is None:
            return
        self.skipped += frame.sequence - self._seen - 1
        self._seen, self._timestamp = frame.sequence, frame.timestamp
        self._analyse(frame)

    def teardown(self) -> None:
        self._ring.leave(READER)
        self.skipped += self._ring.newest - self._seen
        last = self._rules.finish(self._timestamp)
        if last:
            self._deliver(Analysis(max(0, self._seen), self._timestamp, tracks=self._tracks, events=last))
        self._analyses.close()
        self._detector.close()

    def _analyse(self, frame: Frame) -> None:
        started = self._clock.monotonic()
        try:
            found = self._detector.detect(frame.lores)
        except DetectorError as error:
            self.failed += 1
            self._lost(error)
            return
        inference = self._clock.monotonic() - started
        self._tracks = self._tracker.update(frame.timestamp, self._rules.accept(found))
        events = self._rules.update(frame.sequence, frame.timestamp, self._tracks)
        self.analysed += 1
        self._deliver(Analysis(frame.sequence, frame.timestamp, tuple(found), self._tracks, events, inference))

    def _deliver(self, analysis: Analysis) -> None:
        self.events_started += sum(event.type is EventType.NEW for event in analysis.events)
        while not self._analyses.put(analysis, timeout=TURN):
            log.debug("output takes no analyses")  # no beat: whoever stops this thread must not wait for a hung output

    def _open(self) -> None:
        self._detector.open()
        self.info = self._detector.info

    def _reopen(self) -> bool:
        wait = self._backoff.remaining(self._clock.monotonic())
        if wait > 0:
            self.stopping.wait(min(wait, TURN))
            return False
        try:
            self._open()
        except DetectorError as error:
            self._lost(error)
            return False
        log.warning("detector back after %.1f s", self._backoff.succeeded(self._clock.monotonic()))
        return True

    def _lost(self, error: DetectorError) -> None:
        if self._backoff.since is None:
            log.error("detector lost: %s", error)
        self._detector.close()
        self._backoff.failed(self._clock.monotonic())
