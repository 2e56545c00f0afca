"""A sink in trouble costs frames, never events."""

from __future__ import annotations

from edgecam.errors import SinkError
from edgecam.outlet import EVENTS_KEPT, Outlet
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
