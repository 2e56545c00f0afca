"""The output thread's turns: every frame in order, with its own boxes, and events after their frame."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edgecam.backlog import FRAMES_KEPT
from edgecam.errors import RingClosed, SinkError
from edgecam.output import OutputWorker
from edgecam.ports import Sink
from edgecam.ring import AnalysisQueue, FrameRing
from edgecam.testing import ManualClock, RecordingSink, make_frame
from edgecam.types import Analysis, AnnotatedFrame, BBox, Event, EventType, Track

STILL = BBox(0.0, 0.0, 0.0, 0.0)


class OnDisk(RecordingSink):
    """A sink with a thread of its own, which the test does not start: each `step` of its store is the test's."""

    waits_for_disk = True


class Bench:
    """An output thread with its hand-overs and one sink, all in the test's hands."""

    def __init__(self, capacity: int = 16, *, lossless: bool = False, others: Sequence[Sink] = ()) -> None:
        self.ring = FrameRing(capacity, lossless=lossless, readers=("output",))
        self.analyses = AnalysisQueue()
        self.clock = ManualClock()
        self.sink = RecordingSink()
        sinks = [self.sink, *others]
        self.worker = OutputWorker(self.ring, self.analyses, sinks, None, self.clock, lambda: None, wait=0.0)
        self.worker.setup()

    def capture(self, *sequences: int) -> None:
        for sequence in sequences:
            self.ring.put(make_frame(sequence))

    def analyse(self, sequence: int, xmin: float = 0.1, *, event: str = "") -> None:
        box = BBox(xmin, 0.1, xmin + 0.2, 0.5)
        track = Track(1, "dog", 0.9, box, hits=5, misses=0, velocity=STILL, confirmed=True)
        timestamp = sequence / 30
        told = Event(
            EventType.NEW, event, "front", 1, "dog", 0.9, 0.9, box, sequence, timestamp, timestamp, None, sequence, box
        )
        self.analyses.put(Analysis(sequence, timestamp, (), (track,), (told,) if event else ()), timeout=0.0)

    def turns(self, count: int) -> None:
        for _ in range(count):
            self.worker.step()

    def written(self) -> list[int]:
        return [annotated.frame.sequence for annotated in self.sink.frames]


class EventsAlone(Sink):
    """A sink of events alone, which tells what another one had been given by then, and takes its time."""

    def __init__(self, other: RecordingSink | None = None) -> None:
        self.other = other
        self.told: list[tuple[str, list[str]]] = []
        self.refuse: list[SinkError] = []

    def publish(self, event: Event) -> None:
        if self.refuse:
            raise self.refuse.pop()
        self.told.append((event.event_id, list(self.other.order) if self.other else []))


def test_every_frame_is_written_in_order_with_the_boxes_of_that_frame() -> None:
    bench = Bench()
    bench.capture(0, 1, 2, 3, 4)
    bench.analyse(0, xmin=0.1)
    bench.analyse(4, xmin=0.5)
    bench.turns(5)
    assert bench.written() == [0, 1, 2, 3, 4]
    xmins = [annotated.tracks[0].bbox.xmin for annotated in bench.sink.frames]
    assert xmins == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert [annotated.analysis is not None for annotated in bench.sink.frames] == [True, False, False, False, True]


def test_a_frame_without_its_analysis_in_time_gets_predicted_boxes() -> None:
    bench = Bench()
    bench.capture(0, 1)
    bench.analyse(0)
    bench.turns(2)
    assert [annotated.tracks[0].predicted for annotated in bench.sink.frames] == [False, True]


def test_an_event_comes_after_its_frame_and_before_the_next() -> None:
    bench = Bench()
    bench.capture(0, 1, 2)
    bench.analyse(0)
    bench.analyse(1, event="e1")
    bench.analyse(2)
    bench.turns(3)
    assert bench.sink.order == ["frame 0", "frame 1", "new e1", "frame 2"]


def test_a_sink_of_events_alone_does_not_wait_for_the_frame() -> None:
    alone = EventsAlone()
    bench = Bench(others=[alone])
    alone.other = bench.sink
    bench.capture(0, 1, 2)
    bench.analyse(0)
    bench.analyse(1, event="e1")
    bench.analyse(2, event="e2")
    bench.turns(3)
    assert alone.told == [("e1", []), ("e2", [])]
    assert bench.sink.order == ["frame 0", "frame 1", "new e1", "frame 2", "new e2"]


def test_a_sink_of_events_alone_does_not_wait_for_a_frame_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecam.output.TURN", 0.0)
    alone = EventsAlone()
    bench = Bench(others=[alone])
    bench.capture(0)
    bench.turns(1)
    bench.analyse(0, event="late")
    bench.turns(1)
    assert alone.told == [("late", [])]
    bench.worker.teardown()
    assert alone.told == [("late", [])]
    assert [event.event_id for event in bench.sink.events] == ["late"]


def test_it_waits_at_the_end_for_the_last_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecam.output.TURN", 0.0)
    bench = Bench()
    bench.capture(0)
    bench.analyse(0)
    bench.turns(1)
    bench.ring.close()
    bench.turns(1)
    bench.analyse(0, event="last")
    bench.analyses.close()
    with pytest.raises(RingClosed):
        bench.turns(1)
    bench.worker.teardown()
    assert [event.event_id for event in bench.sink.events] == ["last"]


def test_it_is_noted_how_long_frames_and_events_took() -> None:
    alone = EventsAlone()
    bench = Bench(others=[alone])
    bench.clock.advance(0.5)
    bench.capture(0)
    bench.analyse(0, event="e0")
    bench.turns(1)
    latencies = bench.worker.latencies.summary()
    assert {stage: (each.count, each.p99) for stage, each in latencies.items()} == {
        "output": (1, 0.5),
        "event": (1, 0.5),
    }


def test_an_event_that_the_journal_refused_has_no_latency() -> None:
    alone = EventsAlone()
    bench = Bench(others=[alone])
    alone.refuse.append(SinkError("disk full"))
    bench.capture(0)
    bench.analyse(0, event="e0")
    bench.turns(1)
    assert bench.worker.latencies.summary()["event"].count == 0


def test_a_lossless_camera_has_a_time_of_its_own() -> None:
    bench = Bench(lossless=True, others=[EventsAlone()])
    bench.capture(0)
    bench.analyse(0, event="e0")
    bench.turns(1)
    assert {each.count for each in bench.worker.latencies.summary().values()} == {0}


def test_an_event_whose_frame_was_dropped_is_published_all_the_same() -> None:
    bench = Bench(capacity=2)
    bench.analyse(1, event="e1")
    bench.capture(0, 1, 2, 3, 4)
    bench.turns(2)
    assert bench.written() == [3, 4]
    assert bench.worker.missed == 3
    assert [event.event_id for event in bench.sink.events] == ["e1"]


def test_what_is_left_is_published_at_the_end() -> None:
    bench = Bench()
    bench.analyse(7, event="late")
    bench.worker.teardown()
    assert [event.event_id for event in bench.sink.events] == ["late"]
    assert bench.sink.closed == 1


def test_frames_captured_are_written_refused_or_missed_exactly() -> None:
    bench = Bench(capacity=4)
    bench.capture(*range(10))
    bench.sink.refuse.append(SinkError("disk full"))
    bench.ring.close()
    bench.analyses.close()
    with pytest.raises(RingClosed):
        bench.turns(20)
    worker = bench.worker
    assert (worker.missed, worker.refused, worker.written) == (6, 4, 0)


def test_a_lossless_pipeline_does_not_go_on_without_the_analysis() -> None:
    bench = Bench(lossless=True)
    bench.capture(0)
    bench.turns(3)
    assert bench.written() == []
    bench.analyse(0)
    bench.turns(1)
    assert bench.written() == [0]


def test_the_rate_is_measured_in_the_cameras_own_time() -> None:
    bench = Bench()
    bench.capture(*range(10))
    bench.turns(10)
    assert bench.worker.rate == pytest.approx(30.0)


def stepped(bench: Bench, count: int) -> None:
    """Let the sink's own thread, the first one, take so many things."""
    for _ in range(count):
        bench.worker.stores[0].step()


def test_a_sink_on_the_disk_gets_frames_and_events_in_order_from_its_own_thread() -> None:
    disk = OnDisk()
    bench = Bench(others=[disk])
    bench.capture(0, 1, 2)
    bench.analyse(1, event="e1")
    bench.analyse(2)
    bench.turns(3)
    assert (bench.sink.order, disk.order) == (["frame 0", "frame 1", "new e1", "frame 2"], [])
    assert (bench.worker.written, bench.worker.refused) == (0, 0), "one of them has not taken any"
    stepped(bench, 4)
    assert disk.order == bench.sink.order
    assert bench.worker.written == 3


def test_a_disk_that_hangs_costs_its_own_frames_alone_and_no_event() -> None:
    disk, frames = OnDisk(), FRAMES_KEPT + 10
    bench = Bench(capacity=frames, others=[disk])
    bench.capture(*range(frames))
    for sequence in range(frames):
        bench.analyse(sequence, event=f"e{sequence}")
    bench.turns(frames)
    assert bench.written() == list(range(frames))
    assert bench.worker.refused == bench.worker.stores[0].frames_refused == 10
    stepped(bench, FRAMES_KEPT + frames)
    assert [annotated.frame.sequence for annotated in disk.frames] == list(range(FRAMES_KEPT))
    assert [event.event_id for event in disk.events] == [f"e{sequence}" for sequence in range(frames)]
    assert bench.worker.written == FRAMES_KEPT


def test_a_frame_counts_as_refused_where_the_disk_refuses_it_later() -> None:
    disk = OnDisk()
    bench = Bench(others=[disk])
    bench.capture(0, 1)
    bench.turns(2)
    disk.refuse.append(SinkError("disk full"))
    stepped(bench, 2)
    assert (bench.worker.written, bench.worker.refused) == (0, 2)
    assert bench.written() == [0, 1]


def test_the_time_of_a_frame_ends_where_the_last_sink_has_it() -> None:
    bench = Bench(others=[OnDisk()])
    bench.capture(0)
    bench.turns(1)
    assert bench.worker.latencies.summary()["output"].count == 0
    bench.clock.advance(0.25)
    stepped(bench, 1)
    latency = bench.worker.latencies.summary()["output"]
    assert (latency.count, latency.p50) == (1, 0.25)


class EventsOnDisk(EventsAlone):
    """A journal, as it were: on the disk, and of events alone."""

    waits_for_disk = True


def test_a_journal_that_hangs_holds_up_no_frame_and_gets_every_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecam.output.EVENT_WAIT", 0.0)
    journal = EventsOnDisk()
    bench = Bench(others=[journal])
    bench.capture(0, 1, 2)
    for sequence in range(3):
        bench.analyse(sequence, event=f"e{sequence}")
    bench.turns(3)
    assert bench.worker.written == 3
    assert bench.worker.latencies.summary()["event"].count == 0
    stepped(bench, 3)
    assert [event_id for event_id, _ in journal.told] == ["e0", "e1", "e2"]
    assert bench.worker.latencies.summary()["event"].count == 3


class AtAGlance(OnDisk):
    """Looks at every frame, and wants every third."""

    def __init__(self) -> None:
        super().__init__()
        self.glanced_at: list[int] = []

    def glance(self, annotated: AnnotatedFrame) -> bool:
        self.glanced_at.append(annotated.frame.sequence)
        return annotated.frame.sequence % 3 == 0


def test_a_sink_is_only_given_what_it_wants_at_a_glance() -> None:
    picky = AtAGlance()
    bench = Bench(others=[picky])
    (store,) = bench.worker.stores
    store.setup()
    bench.capture(0, 1, 2, 3)
    for sequence in range(4):
        bench.analyse(sequence, event=f"e{sequence}")
    bench.turns(4)
    assert picky.glanced_at == [0, 1, 2, 3]
    assert bench.worker.written == 2, "what is not wanted is no frame that waits"
    bench.worker.teardown()
    for _ in range(4):
        store.step()
    assert picky.order == ["frame 0", "new e0", "new e1", "new e2", "frame 3", "new e3"]
    assert (bench.worker.written, bench.worker.refused) == (4, 0)
