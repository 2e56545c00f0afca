"""The two hand-overs: newest frames win, no analysis is lost."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.errors import RingClosed
from edgecam.ring import AnalysisQueue, FrameRing
from edgecam.testing import make_frame
from edgecam.types import Analysis, BBox, Event, EventType

BOX = BBox(0.1, 0.1, 0.2, 0.3)
DOG_SEEN = Event(EventType.NEW, "1", "front", 1, "dog", 0.9, 0.9, BOX, 2, 2.0, 0.0, None, 2, BOX)


def filled(count: int, capacity: int) -> FrameRing:
    ring = FrameRing(capacity)
    for sequence in range(count):
        ring.put(make_frame(sequence))
    return ring


def read_all(ring: FrameRing, reader: str = "reader") -> list[int]:
    """Every sequence a reader gets until the ring is closed and drained."""
    seen: list[int] = []
    while True:
        try:
            frame = ring.next(reader, after=seen[-1] if seen else -1, timeout=0.0)
        except RingClosed:
            return seen
        if frame is None:
            return seen
        seen.append(frame.sequence)


@given(count=st.integers(0, 40), capacity=st.integers(1, 16))
def test_the_newest_frames_stay_and_losses_are_found_by_subtraction(count: int, capacity: int) -> None:
    seen = read_all(filled(count, capacity))
    assert seen == list(range(max(0, count - capacity), count))


def test_latest_skips_to_the_newest() -> None:
    ring = filled(5, 8)
    frame = ring.latest("detect", after=1, timeout=0.0)
    assert frame is not None
    assert frame.sequence == 4


def test_nothing_new_is_none_and_not_an_error() -> None:
    ring = filled(3, 8)
    assert ring.latest("detect", after=2, timeout=0.0) is None
    assert ring.next("output", after=2, timeout=0.0) is None


def test_a_closed_ring_is_drained_before_it_says_so() -> None:
    ring = filled(3, 8)
    ring.close()
    ring.close()
    assert read_all(ring) == [0, 1, 2]
    with pytest.raises(RingClosed):
        ring.next("output", after=2, timeout=0.0)
    with pytest.raises(RingClosed):
        ring.put(make_frame(3))


def test_a_closed_live_ring_does_not_hold_the_detector_up() -> None:
    ring = filled(3, 8)
    ring.close()
    with pytest.raises(RingClosed):
        ring.latest("detect", after=0, timeout=0.0)


def test_a_lossless_ring_waits_for_its_slowest_reader() -> None:
    ring = FrameRing(2, lossless=True, readers=("detect", "output"))
    assert ring.put(make_frame(0))
    assert ring.put(make_frame(1))
    assert not ring.put(make_frame(2)), "nobody has read yet"
    assert ring.next("detect", after=1, timeout=0.0) is None
    assert not ring.put(make_frame(2)), "output has not read yet"
    ring.next("output", after=0, timeout=0.0)
    assert ring.put(make_frame(2))
    assert ring.latest("detect", after=0, timeout=0.0).sequence == 1, "oldest first, nothing skipped"  # type: ignore[union-attr]


def test_what_all_readers_have_passed_is_not_kept() -> None:
    ring = FrameRing(8, readers=("detect", "output"))
    for sequence in range(4):
        ring.put(make_frame(sequence))
    ring.latest("detect", after=3, timeout=0.0)
    assert read_all(ring, "somebody") == [0, 1, 2, 3], "output has read none"
    ring.next("output", after=1, timeout=0.0)
    assert read_all(ring, "somebody") == [2, 3]
    ring.next("output", after=3, timeout=0.0)
    assert read_all(ring, "somebody") == [3], "the newest stays for who looks"


def test_nothing_is_kept_for_who_only_wants_the_newest() -> None:
    ring = FrameRing(8, readers=("output",))
    for sequence in range(4):
        ring.put(make_frame(sequence))
        ring.next("output", after=sequence, timeout=0.0)
    assert read_all(ring, "somebody") == [3]
    newest = ring.latest("detect", after=-1, timeout=0.0)
    assert newest is not None
    assert newest.sequence == 3


def test_a_reader_that_left_is_not_waited_for() -> None:
    ring = FrameRing(1, lossless=True, readers=("detect",))
    ring.put(make_frame(0))
    assert not ring.put(make_frame(1))
    ring.leave("detect")
    assert ring.put(make_frame(1))


def test_closing_wakes_a_waiting_reader() -> None:
    ring = FrameRing(1)
    outcome: list[str] = []

    def read() -> None:
        try:
            ring.next("output", after=-1, timeout=60.0)
        except RingClosed:
            outcome.append("closed")

    thread = threading.Thread(target=read)
    thread.start()
    ring.close()
    thread.join(10.0)
    assert outcome == ["closed"]


def test_capacity_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity 0"):
        FrameRing(0)


def test_analyses_come_out_in_order_and_none_is_lost() -> None:
    queue = AnalysisQueue(capacity=3)
    for sequence in range(3):
        assert queue.put(Analysis(sequence, 0.0), timeout=0.0)
    assert not queue.put(Analysis(3, 0.0), timeout=0.0), "full: the detect thread must wait"
    assert [analysis.sequence for analysis in queue.take()] == [0, 1, 2]
    assert queue.put(Analysis(3, 0.0), timeout=0.0)
    assert queue.events_lost == 0


def test_a_frame_is_covered_by_its_own_or_a_later_analysis() -> None:
    queue = AnalysisQueue()
    assert not queue.wait_for(0, timeout=0.0)
    queue.put(Analysis(4, 0.0), timeout=0.0)
    assert queue.wait_for(4, timeout=0.0)
    assert queue.wait_for(2, timeout=0.0)
    assert not queue.wait_for(5, timeout=0.0)
    queue.close()
    assert queue.wait_for(5, timeout=0.0), "none will come: no reason to wait"


def test_events_put_after_the_reader_left_are_counted() -> None:
    queue = AnalysisQueue(capacity=1)
    queue.put(Analysis(0, 0.0), timeout=0.0)
    queue.leave()
    assert queue.put(Analysis(1, 0.0), timeout=0.0)
    assert queue.events_lost == 0
    assert queue.put(Analysis(2, 0.0, events=(DOG_SEEN, DOG_SEEN)), timeout=0.0)
    assert queue.events_lost == 2
