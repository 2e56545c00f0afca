"""The detect thread's turns: the newest frame, tracks, events, and a detector that fails and comes back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest

from edgecam.detection import DetectWorker
from edgecam.errors import DetectorError, ModelError
from edgecam.events import EventRules
from edgecam.ring import AnalysisQueue, FrameRing
from edgecam.testing import ManualClock, ScriptedDetector, make_frame
from edgecam.tracker import Tracker
from edgecam.types import Analysis, BBox, Detection, EventType

DOG = Detection("dog", 0.9, BBox(0.1, 0.1, 0.3, 0.5))


class Bench:
    """A detect thread with its hand-overs and a scripted detector, all in the test's hands."""

    def __init__(self, script: Sequence[Sequence[Detection] | Exception]) -> None:
        self.ring, self.analyses, self.clock = FrameRing(16), AnalysisQueue(), ManualClock()
        self.detector = ScriptedDetector(script)
        numbers = count(1)
        rules = EventRules("front", new_id=lambda start: f"event-{next(numbers)}")
        tracker = Tracker(confirm_hits=3, confirm_window=5)
        self.worker = DetectWorker(self.ring, self.detector, tracker, rules, self.analyses, self.clock, lambda: None)
        self.worker.setup()

    def look_at(self, *sequences: int) -> list[Analysis]:
        """One turn for each frame as it comes; returns the analyses."""
        for sequence in sequences:
            self.ring.put(make_frame(sequence))
            self.worker.step()
        return self.analyses.take()


def test_a_dog_seen_three_times_is_one_event_that_ends_at_the_stop() -> None:
    bench = Bench([[DOG]] * 4)
    analyses = bench.look_at(0, 1, 2, 3)
    assert [analysis.sequence for analysis in analyses] == [0, 1, 2, 3]
    started = [event for analysis in analyses for event in analysis.events if event.type is EventType.NEW]
    assert [(event.event_id, event.label, event.sequence) for event in started] == [("event-1", "dog", 2)]
    assert bench.worker.events_started == 1

    bench.worker.teardown()
    last = bench.analyses.take()
    assert [(event.type, event.event_id) for analysis in last for event in analysis.events] == [
        (EventType.END, "event-1")
    ]
    assert last[0].tracks, "the last boxes stay on the last frame"


def test_frames_it_had_no_time_for_are_counted() -> None:
    bench = Bench([[], []])
    bench.look_at(0)
    for sequence in (1, 2, 3, 4):
        bench.ring.put(make_frame(sequence))
    bench.worker.step()
    assert [analysis.sequence for analysis in bench.analyses.take()] == [4]
    assert (bench.worker.analysed, bench.worker.skipped) == (2, 3)


def test_a_lost_detector_is_opened_again(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench([DetectorError("stick pulled"), [DOG]])
    bench.worker.stopping.set()  # so that waiting for the back-off returns at once
    assert bench.look_at(0, 1) == []
    assert bench.detector.opened == 1
    bench.clock.advance(1.1)
    assert [analysis.sequence for analysis in bench.look_at(2)] == [2]
    assert (bench.detector.opened, bench.worker.failed, bench.worker.analysed) == (2, 1, 1)
    assert [record.getMessage() for record in caplog.records] == [
        "detector lost: stick pulled",
        "detector back after 1.1 s",
    ]


def test_a_model_that_cannot_be_used_is_not_tried_again() -> None:
    class Unusable(ScriptedDetector):
        def open(self) -> None:
            raise ModelError("x.tflite: not a TFLite model")

    worker = DetectWorker(
        FrameRing(1),
        Unusable(),
        Tracker(),
        EventRules("front", new_id=str),
        AnalysisQueue(),
        ManualClock(),
        lambda: None,
    )
    with pytest.raises(ModelError):
        worker.setup()
