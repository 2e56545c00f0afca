"""A sink in trouble costs frames, never events."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest

from edgecam.errors import SinkError
from edgecam.outlet import EVENTS_KEPT, STEADY_AFTER, Outlet
from edgecam.ports import Sink
from edgecam.testing import ManualClock, RecordingSink, make_frame
from edgecam.types import AnnotatedFrame, BBox, Event, EventType

BOX = BBox(0.1, 0.1, 0.2, 0.2)


def make_event(number: int) -> Event:
    return Event(
        EventType.NEW, f"event-{number}", "front", number, "dog", 0.9, 0.9, BOX, number, number / 30, 0.0, None, 0, BOX
    )


def annotated(sequence: int) -> AnnotatedFrame:
    frame = make_frame(sequence)
    return AnnotatedFrame(frame, frame.main, (), None)


def test_events_wait_for_a_broken_sink_and_keep_their_order() -> None:
    sink, clock = RecordingSink(), ManualClock()
    outlet = Outlet(sink, clock)
    outlet.open()
    sink.refuse.append(SinkError("disk full"))
    for number in range(3):
        outlet.publish(make_event(number))
    assert sink.events == []
    clock.advance(1.1)
    outlet.publish(make_event(3))
    assert [event.event_id for event in sink.events] == ["event-0", "event-1", "event-2", "event-3"]
    assert (outlet.events_taken, outlet.events_lost) == (4, 0)
    assert sink.opened == 2


def test_frames_are_refused_and_counted_while_the_sink_is_down() -> None:
    sink, clock = RecordingSink(), ManualClock()
    outlet = Outlet(sink, clock)
    outlet.open()
    sink.refuse.append(SinkError("disk full"))
    taken = [outlet.write(annotated(0)), outlet.write(annotated(1))]
    clock.advance(1.1)
    taken.append(outlet.write(annotated(2)))
    assert taken == [False, False, True]
    assert (outlet.frames_taken, outlet.frames_refused) == (1, 2)


def test_what_is_wrong_is_said_until_it_is_mended() -> None:
    sink, clock = RecordingSink(), ManualClock()
    outlet = Outlet(sink, clock)
    outlet.open()
    assert (outlet.publish(make_event(0)), outlet.trouble) == (True, "")
    sink.refuse.append(SinkError("a.db: the disk is full"))
    assert (outlet.publish(make_event(1)), outlet.trouble) == (False, "a.db: the disk is full")
    clock.advance(1.1)
    assert (outlet.publish(make_event(2)), outlet.trouble) == (True, "")


def test_a_failed_reopening_backs_off_further() -> None:
    sink, clock = RecordingSink(), ManualClock()
    outlet = Outlet(sink, clock)
    outlet.open()
    sink.refuse += [SinkError("gone"), SinkError("still gone")]
    outlet.publish(make_event(0))
    clock.advance(1.1)
    outlet.publish(make_event(1))
    clock.advance(1.1)
    outlet.publish(make_event(2))
    assert sink.events == [], "the second wait is two seconds"
    clock.advance(1.0)
    outlet.flush()
    assert len(sink.events) == 3


def test_a_last_try_is_made_at_the_end_and_losses_are_counted() -> None:
    sink = RecordingSink()
    outlet = Outlet(sink, ManualClock())
    outlet.open()
    sink.refuse.append(SinkError("gone"))
    outlet.publish(make_event(0))
    outlet.close()
    assert (outlet.events_taken, outlet.events_lost) == (1, 0)

    sink.refuse += [SinkError("gone"), SinkError("gone")]
    outlet.publish(make_event(1))
    outlet.close()
    assert outlet.events_lost == 1


def test_the_backlog_is_bounded() -> None:
    sink = RecordingSink()
    outlet = Outlet(sink, ManualClock())
    outlet.open()
    sink.refuse.append(SinkError("gone"))
    for number in range(EVENTS_KEPT + 5):
        outlet.publish(make_event(number))
    assert outlet.events_lost == 5


def test_a_sink_of_events_alone_never_costs_a_frame() -> None:
    class EventsOnly(Sink):
        def publish(self, event: Event) -> None:
            raise SinkError("disk full")

    outlet = Outlet(EventsOnly(), ManualClock())
    outlet.open()
    outlet.publish(make_event(0))
    assert outlet.write(annotated(0))


class BufferingSink(Sink):
    """As an encoder: on a full disk it takes a frame after each opening, and fails with the next."""

    def __init__(self, clock: ManualClock) -> None:
        self.full = True
        self.opened: list[float] = []
        self._clock = clock
        self._buffered = 0

    def open(self) -> None:
        self.opened.append(self._clock.monotonic())
        self._buffered = 0

    def write(self, annotated: AnnotatedFrame) -> None:
        self._buffered += 1
        if self.full and self._buffered > 1:
            raise SinkError("the disk is full")


def test_an_outage_is_said_once_though_each_try_succeeds_at_first(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    clock = ManualClock()
    sink = BufferingSink(clock)
    outlet = Outlet(sink, clock)
    outlet.open()
    for second in range(200):
        outlet.write(annotated(second))
        clock.advance(1.0)
    assert caplog.messages == ["BufferingSink: the disk is full"]
    assert [after - before for before, after in pairwise(sink.opened)] == [2, 3, 5, 9, 17, 31, 31, 31, 31, 31]
    sink.full = False
    for second in range(60):
        outlet.write(annotated(200 + second))
        clock.advance(1.0)
    assert len(caplog.messages) == 2
    assert "BufferingSink: back after" in caplog.messages[1]
    assert outlet.trouble == ""


def test_after_a_while_a_new_fault_is_an_outage_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    sink, clock = RecordingSink(), ManualClock()
    outlet = Outlet(sink, clock)
    outlet.open()
    for _ in range(2):
        sink.refuse.append(SinkError("gone"))
        assert not outlet.write(annotated(0))
        clock.advance(1.1)
        assert outlet.write(annotated(1)), "the first wait is one second again"
        clock.advance(STEADY_AFTER)
        assert outlet.write(annotated(2))
    assert caplog.messages == ["RecordingSink: gone", "RecordingSink: back after 1.1 s"] * 2
