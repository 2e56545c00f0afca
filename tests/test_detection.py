"""The detect thread's turns: the newest frame, tracks, events, and a detector that fails and comes back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.detection import DetectWorker
from edgecam.errors import DetectorError, ModelError
from edgecam.events import EventRules
from edgecam.ring import AnalysisQueue, FrameRing
from edgecam.switches import Switches
from edgecam.testing import ManualClock, ScriptedDetector, make_frame
from edgecam.tracker import Tracker
from edgecam.types import Analysis, BBox, Detection, EventType

DOG = Detection("dog", 0.9, BBox(0.1, 0.1, 0.3, 0.5))


class Bench:
    """A detect thread with its hand-overs and a scripted detector, all in the test's hands."""

    def __init__(
        self,
        script: Sequence[Sequence[Detection] | Exception],
        slots: int = 1,
        detector: ScriptedDetector | None = None,
        *,
        lossless: bool = False,
    ) -> None:
        self.ring, self.analyses, self.clock = FrameRing(16, lossless=lossless), AnalysisQueue(), ManualClock()
        self.switches = Switches()
        self.detector = detector or ScriptedDetector(script, slots=slots)
        numbers = count(1)
        rules = EventRules("front", clock=ManualClock(), new_id=lambda start: f"event-{next(numbers)}")
        tracker = Tracker(confirm_hits=3, confirm_window=5)
        self.worker = DetectWorker(
            self.ring,
            self.detector,
            tracker,
            rules,
            self.analyses,
            self.clock,
            lambda: None,
            switches=self.switches,
        )
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


def test_a_detector_that_is_not_there_at_the_start_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    class Late(ScriptedDetector):
        def open(self) -> None:
            super().open()
            if self.opened == 1:
                raise DetectorError("no stick")

    bench = Bench([], detector=Late([[DOG]]))
    bench.worker.stopping.set()
    assert bench.look_at(0) == []
    bench.clock.advance(1.1)
    assert [analysis.sequence for analysis in bench.look_at(1)] == [1]
    assert caplog.text.count("detector lost: no stick") == 1


def test_the_next_frame_is_handed_in_while_the_detector_works() -> None:
    bench = Bench([[DOG]] * 4, slots=2)
    bench.ring.put(make_frame(0))
    bench.worker._submit()
    bench.ring.put(make_frame(1))
    bench.worker._submit()
    assert len(bench.detector.under_way) == 2
    bench.ring.put(make_frame(2))
    bench.worker.step()
    assert [analysis.sequence for analysis in bench.analyses.take()] == [0]
    bench.worker.step()
    assert [analysis.sequence for analysis in bench.analyses.take()] == [1]
    bench.worker.step()
    assert [analysis.sequence for analysis in bench.analyses.take()] == [2]
    assert (bench.worker.analysed, bench.worker.skipped, bench.worker.failed) == (3, 0, 0)


def test_all_that_was_under_way_is_counted_when_the_detector_is_lost() -> None:
    bench = Bench([DetectorError("stick pulled"), [DOG]], slots=2)
    for sequence in (0, 1):
        bench.ring.put(make_frame(sequence))
        bench.worker._submit()
    bench.worker.step()
    assert (bench.worker.failed, bench.worker.analysed) == (2, 0)
    assert bench.detector.under_way == []


def test_a_detector_without_a_device_takes_no_frame_until_it_has_one() -> None:
    bench = Bench([[DOG]], slots=0)
    assert bench.look_at(0, 1, 2) == []
    bench.detector.slots = 1
    assert [analysis.sequence for analysis in bench.look_at(3)] == [3]
    assert (bench.worker.analysed, bench.worker.skipped) == (1, 3)


def test_what_is_under_way_at_the_stop_is_still_analysed() -> None:
    bench = Bench([[DOG]] * 2, slots=2)
    for sequence in (0, 1):
        bench.ring.put(make_frame(sequence))
        bench.worker._submit()
    bench.ring.close()
    bench.worker.step()
    bench.worker.teardown()
    assert [analysis.sequence for analysis in bench.analyses.take()] == [0, 1]
    assert (bench.worker.analysed, bench.worker.failed, bench.worker.skipped) == (2, 0, 0)


def test_switched_off_every_frame_has_an_analysis_at_once_and_the_event_ends() -> None:
    bench = Bench([[DOG]] * 100)
    bench.look_at(0, 1, 2, 3)
    bench.switches.set("detect", False)
    analyses = bench.look_at(*range(4, 60))
    assert [analysis.sequence for analysis in analyses] == list(range(4, 60))
    assert not any(analysis.detections for analysis in analyses)
    assert [(event.type, event.end) for analysis in analyses for event in analysis.events] == [(EventType.END, 3 / 30)]
    assert not any(analysis.tracks for analysis in analyses)
    assert analyses[0].events, "at once"
    assert (bench.worker.analysed, bench.worker.skipped) == (4, 56)

    bench.switches.set("detect", True)
    assert bench.look_at(60)[0].detections == (DOG,)
    assert (bench.worker.analysed, bench.worker.skipped) == (5, 56)


def test_what_was_under_way_when_it_was_switched_off_is_not_overtaken() -> None:
    bench = Bench([[DOG]] * 2, slots=2)
    for sequence in (0, 1):
        bench.ring.put(make_frame(sequence))
        bench.worker._submit()
    bench.switches.set("detect", False)
    analyses = bench.look_at(2, 3, 4)
    assert [(analysis.sequence, len(analysis.detections)) for analysis in analyses] == [(0, 1), (1, 1), (4, 0)]
    assert (bench.worker.analysed, bench.worker.skipped) == (2, 3)


def test_switched_off_it_needs_no_detector() -> None:
    bench = Bench([DetectorError("stick pulled")])
    bench.worker.stopping.set()
    bench.look_at(0)
    assert bench.worker.lost_since == 0.0
    bench.switches.set("detect", False)
    assert [analysis.sequence for analysis in bench.look_at(1, 2)] == [1, 2]
    bench.switches.set("detect", True)
    bench.clock.advance(1.1)
    assert [analysis.sequence for analysis in bench.look_at(3)] == [3]
    assert bench.worker.lost_since is None


@given(
    steps=st.lists(st.sampled_from(["frame", "turn", "detect", "fault"]), max_size=60),
    slots=st.integers(1, 3),
    lossless=st.booleans(),
)
def test_however_it_is_switched_every_frame_is_counted_once(*, steps: list[str], slots: int, lossless: bool) -> None:
    bench = Bench([], slots=slots, lossless=lossless)
    bench.worker.stopping.set()  # so that waiting for the back-off returns at once
    captured = 0
    for step in steps:
        if step == "frame" and captured < 16:
            bench.ring.put(make_frame(captured))
            captured += 1
        elif step == "turn" and bench.worker._seen < captured - 1:
            bench.clock.advance(1.0)
            bench.worker.step()
        elif step == "detect":
            bench.switches.set("detect", not bench.switches["detect"])
        elif step == "fault":
            bench.detector._script = iter([DetectorError("stick pulled")])
    bench.ring.close()
    bench.worker.teardown()
    worker = bench.worker
    assert worker.analysed + worker.skipped + worker.failed == captured
    sequences = [analysis.sequence for analysis in bench.analyses.take()]
    assert sequences == sorted(set(sequences))


def test_it_is_noted_how_long_it_took() -> None:
    bench = Bench([[DOG]] * 3)
    bench.clock.advance(2.0)
    bench.look_at(0, 30)
    bench.switches.set("detect", False)
    bench.look_at(31)
    latencies = bench.worker.latencies.summary()
    assert (latencies["detect"].count, latencies["detect"].p50, latencies["detect"].p99) == (2, 1.0, 2.0)
    assert (latencies["inference"].count, latencies["inference"].p50) == (2, 0.0)


def test_the_time_of_a_lossless_camera_is_its_own() -> None:
    bench = Bench([[DOG]], lossless=True)
    bench.look_at(0)
    counts = {stage: each.count for stage, each in bench.worker.latencies.summary().items()}
    assert counts == {"detect": 0, "inference": 1}


def test_a_model_that_cannot_be_used_is_not_tried_again() -> None:
    class Unusable(ScriptedDetector):
        def open(self) -> None:
            raise ModelError("x.tflite: not a TFLite model")

    worker = DetectWorker(
        FrameRing(1),
        Unusable(),
        Tracker(),
        EventRules("front", clock=ManualClock(), new_id=str),
        AnalysisQueue(),
        ManualClock(),
        lambda: None,
    )
    with pytest.raises(ModelError):
        worker.setup()
