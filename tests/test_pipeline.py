"""Three real threads and scripted devices: nothing unaccounted for, nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecam.app import App
from edgecam.clock import SystemClock
from edgecam.errors import ModelError, SinkError, WorkerStuck
from edgecam.events import EventRules
from edgecam.pipeline import Pipeline, PipelineParts
from edgecam.ports import Camera, Detector, Sink
from edgecam.testing import RecordingSink, ScriptedCamera, ScriptedDetector, make_frame
from edgecam.tracker import Tracker
from edgecam.types import AnnotatedFrame, BBox, Detection, Event, EventType, Frame

DOG = Detection("dog", 0.9, BBox(0.1, 0.1, 0.3, 0.5))


def make_app(camera: Camera, detector: Detector, *sinks: Sink, **options: float) -> App:
    changed = threading.Event()
    rules = EventRules("front", clock=SystemClock(), new_id=lambda start: f"event-{start}")
    parts = PipelineParts("front", camera, detector, Tracker(), rules, sinks, None, SystemClock())
    return App([Pipeline(parts, changed.set, **options)], changed)  # type: ignore[arg-type]


def frames(count: int) -> list[Frame | Exception | None]:
    return [make_frame(sequence) for sequence in range(count)]


EARLIER: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def _threads_of_earlier_tests() -> None:
    """What another file's test left behind, hung on purpose, is none of ours."""
    EARLIER.clear()
    EARLIER.update(threading.enumerate())


def edgecam_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.endswith("-front") and each not in EARLIER]


def test_a_lossless_camera_has_every_frame_analysed_and_written() -> None:
    sink = RecordingSink()
    app = make_app(ScriptedCamera(frames(200), lossless=True), ScriptedDetector([[DOG]] * 200), sink, ring_frames=8)
    app.run()
    counters = app.counters()["front"]
    assert counters.frames_captured == counters.frames_written == counters.frames_analysed == 200
    assert counters.frames_dropped == counters.frames_skipped == counters.events_lost == 0
    assert [annotated.frame.sequence for annotated in sink.frames] == list(range(200))
    assert all(annotated.analysis is not None for annotated in sink.frames)
    assert sink.events[0].type is EventType.NEW
    assert sink.events[-1].type is EventType.END
    assert edgecam_threads() == []


def test_a_live_camera_may_lose_frames_but_none_is_unaccounted_for() -> None:
    sink = RecordingSink()
    app = make_app(ScriptedCamera(frames(500)), ScriptedDetector([[DOG]] * 500), sink, ring_frames=4)
    app.run()
    counters = app.counters()["front"]
    assert counters.frames_captured == 500
    assert counters.frames_written + counters.frames_dropped == 500
    assert counters.frames_written == len(sink.frames)
    assert counters.frames_analysed + counters.frames_skipped == 500


def test_a_broken_sink_stops_nothing_and_loses_no_event() -> None:
    sink = RecordingSink()
    camera = ScriptedCamera([*frames(100)], lossless=True)
    detections: Sequence[Sequence[Detection]] = [[DOG]] * 100

    class BreakingTheSink(ScriptedDetector):
        """Breaks the sink once, in the middle of the run."""

        calls = 0

        def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
            self.calls += 1
            if self.calls == 20:
                sink.refuse.append(SinkError("disk full"))
            return super().detect(image)

    app = make_app(camera, BreakingTheSink(detections), sink)
    app.run()
    counters = app.counters()["front"]
    assert counters.frames_written + counters.frames_dropped == counters.frames_captured == 100
    assert counters.events_lost == 0
    assert {event.type for event in sink.events} >= {EventType.NEW, EventType.END}


def test_a_fault_at_the_start_stops_what_had_started() -> None:
    class Unusable(ScriptedDetector):
        def open(self) -> None:
            raise ModelError("x.tflite: not a TFLite model")

    sink = RecordingSink()
    with pytest.raises(ModelError, match=r"x\.tflite"):
        make_app(ScriptedCamera(frames(5)), Unusable(), sink).run()
    assert sink.closed == 1
    assert edgecam_threads() == []


def test_a_bug_in_a_worker_is_raised_and_the_rest_stops() -> None:
    sink = RecordingSink()
    with pytest.raises(ZeroDivisionError):
        make_app(ScriptedCamera(frames(5), lossless=True), ScriptedDetector([ZeroDivisionError()]), sink).run()
    assert sink.closed == 1
    assert edgecam_threads() == []


def test_a_stop_from_outside_ends_open_events() -> None:
    sink = RecordingSink()

    class Endless(ScriptedCamera):
        """Delivers for ever, and asks for the end once the dog has been announced."""

        def read(self, timeout: float) -> Frame | None:
            if sink.events:
                app.stop()
            return super().read(timeout)

    endless = (make_frame(sequence) for sequence in range(10**9))
    detections = ([DOG] for _ in range(10**9))
    app = make_app(Endless(endless, lossless=True), ScriptedDetector(detections), sink)
    app.run()
    assert sink.events[0].type is EventType.NEW
    assert sink.events[-1].type is EventType.END
    counters = app.counters()["front"]
    assert counters.frames_captured == counters.frames_written + counters.frames_dropped


@pytest.mark.timeout(60)
def test_a_hung_sink_is_named_and_holds_nobody_for_ever() -> None:
    release = threading.Event()

    class Hung(RecordingSink):
        """Never comes back from its first frame."""

        def write(self, annotated: AnnotatedFrame) -> None:
            release.wait(60.0)

    endless = (make_frame(sequence) for sequence in range(10**9))
    detections = ([DOG] for _ in range(10**9))
    app = make_app(ScriptedCamera(endless), ScriptedDetector(detections), Hung(), ring_frames=4, stop_timeout=1.0)
    detect = app.pipelines[0].detect

    def stop_when_the_queue_is_full() -> None:
        if detect.analysed > 256:
            app.stop()

    try:
        with pytest.raises(WorkerStuck, match="output-front is stuck"):
            app.run(stop_when_the_queue_is_full)
    finally:
        release.set()
        for worker in app.pipelines[0].workers:
            worker.join_within(10.0)


class EventsAlone(Sink):
    """Takes events alone, and none of them."""

    name = "events file"

    def __init__(self, *, works: bool = False, on_disk: bool = True) -> None:
        self.waits_for_disk = on_disk
        self._works = works
        self.taken = 0

    def publish(self, event: Event) -> None:
        if not self._works:
            raise SinkError("the disk is full")
        self.taken += 1


class Refusing(RecordingSink):
    """Takes frames, and nothing else."""

    def publish(self, event: Event) -> None:
        raise SinkError("the disk is full")


def test_an_event_that_could_be_recorded_nowhere_is_lost_once() -> None:
    """However many sinks lost it: what counts is the record of events, not a picture or a clip."""
    taking = EventsAlone(works=True, on_disk=False)
    sinks = [EventsAlone(), EventsAlone(on_disk=False), taking, Refusing(), Refusing()]
    app = make_app(ScriptedCamera(frames(100), lossless=True), ScriptedDetector([[DOG]] * 100), *sinks)
    app.run()
    assert app.counters()["front"].events_lost == taking.taken > 0

    app = make_app(ScriptedCamera(frames(100), lossless=True), ScriptedDetector([[DOG]] * 100), taking, Refusing())
    app.run()
    assert app.counters()["front"].events_lost == 0


class OnDisk(RecordingSink):
    """A sink on a disk that stalls until it is released."""

    waits_for_disk = True

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def write(self, annotated: AnnotatedFrame) -> None:
        self.released.wait(60.0)
        super().write(annotated)


def endless() -> ScriptedCamera:
    return ScriptedCamera(make_frame(sequence) for sequence in range(10**9))


def test_a_lossless_pipeline_waits_for_a_disk_that_stalls_and_loses_nothing() -> None:
    disk = OnDisk()
    app = make_app(ScriptedCamera(frames(200), lossless=True), ScriptedDetector([[DOG]] * 200), disk, ring_frames=8)
    turns = iter(range(10**9))

    def release_later() -> None:
        if next(turns) == 5:
            assert app.counters()["front"].frames_captured < 100, "it is held back"
            disk.released.set()

    app.run(release_later)
    counters = app.counters()["front"]
    assert counters.frames_captured == counters.frames_written == 200
    assert counters.frames_dropped == counters.events_lost == 0
    assert [annotated.frame.sequence for annotated in disk.frames] == list(range(200))
    assert edgecam_threads() == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("lossless", [False, True])
def test_a_disk_that_never_comes_back_is_named_alone_and_nothing_is_unaccounted_for(
    lossless: bool,  # noqa: FBT001 (a parameter of the test)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgecam.output.GIVEN_UP_AFTER", 1.0)
    disk = OnDisk()
    camera = endless()
    camera.lossless = lossless
    app = make_app(camera, ScriptedDetector([DOG] for _ in range(10**9)), disk, ring_frames=8, stop_timeout=3.0)
    turns = iter(range(10**9))
    try:
        with pytest.raises(WorkerStuck, match=r"\AOnDisk-front is stuck: [^\n]*\Z"):
            app.run(lambda: app.stop() if next(turns) == 5 else None)
        counters = app.counters()["front"]
        assert counters.frames_captured == counters.frames_dropped > 0
        assert counters.frames_written == 0
    finally:
        disk.released.set()
        app.pipelines[0].stores[0].join_within(10.0)
