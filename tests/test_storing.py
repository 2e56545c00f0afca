"""A sink's own thread: what hangs in it holds up nobody, and is told."""

from __future__ import annotations

import logging
import threading
from time import monotonic

import pytest
from sink_stories import annotated, event

from edgecam.backlog import FRAMES_KEPT, Receipt
from edgecam.errors import RingClosed, SinkError
from edgecam.storing import STALLED_AFTER, StoreWorker
from edgecam.testing import ManualClock, RecordingSink
from edgecam.types import AnnotatedFrame, EventType

LIMIT = 20.0


class HangingSink(RecordingSink):
    """Hangs in its next write after `hang`, until `release`."""

    name = "video"
    waits_for_disk = True

    def __init__(self) -> None:
        super().__init__()
        self.hangs = threading.Event()
        self._may_pass = threading.Event()
        self._may_pass.set()

    def hang(self) -> None:
        self._may_pass.clear()

    def release(self) -> None:
        self._may_pass.set()

    def write(self, annotated: AnnotatedFrame) -> None:
        if not self._may_pass.is_set():
            self.hangs.set()
            self._may_pass.wait(LIMIT)
        super().write(annotated)


def make_store(sink: RecordingSink) -> StoreWorker:
    return StoreWorker(sink, ManualClock(), lambda: None)


def receipt(told: list[bool]) -> Receipt:
    return Receipt(1, told.append)


def test_frames_and_events_come_to_the_sink_in_order() -> None:
    sink, told = RecordingSink(), []  # type: RecordingSink, list[bool]
    store = make_store(sink)
    store.setup()
    assert store.offer(annotated(0), receipt(told), 0.0)
    store.publish((event(EventType.NEW, 0, "e"), receipt(told)))
    assert store.offer(annotated(1), receipt(told), 0.0)
    store.close()
    for _ in range(3):
        store.step()
    assert sink.order == ["frame 0", "new e", "frame 1"]
    assert told == [True, True, True]
    with pytest.raises(RingClosed):
        store.step()


def test_a_broken_sink_refuses_frames_and_gets_its_events_later() -> None:
    sink, told, clock = RecordingSink(), [], ManualClock()  # type: RecordingSink, list[bool], ManualClock
    store = StoreWorker(sink, clock, lambda: None)
    store.setup()
    sink.refuse.append(SinkError("a.mp4: cannot write: the disk is full"))
    store.offer(annotated(0), receipt(told), 0.0)
    store.publish((event(EventType.NEW, 0, "e"), receipt(told)))
    store.step()
    store.step()
    assert told == [False, False]
    assert store.trouble == "a.mp4: cannot write: the disk is full"
    clock.advance(1.1)
    store.offer(annotated(1), receipt(told), 0.0)
    store.step()
    store.publish((event(EventType.END, 1, "e"), receipt(told)))
    store.step()
    assert told == [False, False, True, True]
    assert sink.order == ["new e", "frame 1", "end e"]
    assert (store.trouble, store.frames_refused, store.events_lost) == ("", 1, 0)


def test_frames_without_room_are_counted() -> None:
    told: list[bool] = []
    store = make_store(RecordingSink())
    for number in range(FRAMES_KEPT):
        assert store.offer(annotated(number), receipt(told), 0.0)
    late = receipt(told)
    assert not store.offer(annotated(FRAMES_KEPT), late, 0.0)
    store.refuse(late)
    assert (store.frames_refused, told) == (1, [False])


def test_a_sink_that_cannot_even_start_is_the_threads_fault() -> None:
    sink = RecordingSink()
    sink.refuse.append(SinkError("/data: cannot write: no permission"))
    store = make_store(sink)
    store.start()
    store.join_within(LIMIT)
    assert isinstance(store.fault, SinkError)
    assert not store.offer(annotated(0), receipt([]), 0.0), "nobody will take it"


def test_what_is_left_is_handed_over_before_the_thread_ends() -> None:
    sink, told = HangingSink(), []  # type: HangingSink, list[bool]
    sink.hang()
    store = make_store(sink)
    store.start()
    for number in range(5):
        assert store.offer(annotated(number), receipt(told), 0.0)
    store.publish((event(EventType.END, 4, "e"), receipt(told)))
    store.close()
    sink.release()
    store.join_within(LIMIT)
    assert sink.order == [*(f"frame {number}" for number in range(5)), "end e"]
    assert told == [True] * 6
    assert sink.closed == 1


def test_a_disk_that_stalls_is_said_once_and_so_is_its_return(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    sink = HangingSink()
    store = make_store(sink)
    assert store.trouble == ""
    sink.hang()
    store.start()
    store.offer(annotated(0), receipt([]), 0.0)
    assert sink.hangs.wait(LIMIT)
    store.look_after()
    assert caplog.messages == []
    store.beat = monotonic() - STALLED_AFTER - 25
    store.look_after()
    store.look_after()
    assert store.trouble == "the video: the disk has not answered for 30 s"
    sink.release()
    store.close()
    store.join_within(LIMIT)
    store.look_after()
    store.look_after()
    stalled, back = caplog.messages
    assert stalled == "the video: the disk has not answered for 30 s; frames are refused, events wait"
    assert back.startswith("the video: the disk answers again, after 30.")
    assert store.trouble == ""


def test_a_sink_may_look_after_what_it_was_told_while_its_thread_is_stuck() -> None:
    class LookingSink(RecordingSink):
        looked: tuple[int, ...] = ()

        def look_after(self) -> None:
            self.looked += (len(self.events),)

    sink = LookingSink()
    store = make_store(sink)
    store.look_after()
    store.publish((event(EventType.NEW, 0, "e"), receipt([])))
    store.step()
    store.look_after()
    assert sink.looked == (0, 0, 1)


def test_time_in_which_the_machine_slept_is_not_the_disks(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    now = [monotonic()]
    monkeypatch.setattr("edgecam.storing.monotonic", lambda: now[0])
    sink = HangingSink()
    store = make_store(sink)
    sink.hang()
    store.start()
    store.offer(annotated(0), receipt([]), 0.0)
    assert sink.hangs.wait(LIMIT)
    store.look_after()
    now[0] += 3600
    store.look_after()
    assert (store.trouble, caplog.messages) == ("", [])
    for _ in range(11):
        now[0] += 0.5
        store.look_after()
    assert store.trouble == "the video: the disk has not answered for 6 s"
    assert len(caplog.messages) == 1
    sink.release()
    store.close()
    store.join_within(LIMIT)


def test_what_a_stuck_sink_has_not_taken_is_settled_when_it_is_abandoned() -> None:
    sink, told = HangingSink(), []  # type: HangingSink, list[bool]
    sink.hang()
    store = make_store(sink)
    store.start()
    store.offer(annotated(0), receipt(told), 0.0)
    assert sink.hangs.wait(LIMIT)
    store.offer(annotated(1), receipt(told), 0.0)
    store.publish((event(EventType.NEW, 1, "e"), receipt(told)))
    store.abandon()
    assert told == [False, False, False]
    assert store.events_lost == 1
    sink.release()
    store.close()
    store.join_within(LIMIT)
    assert told == [False, False, False], "once is enough, though it came through in the end"
