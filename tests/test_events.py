"""The event rules: one new, one end, updates only between, and only where there is something to say."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam.events import EventRules, event_document, frigate_event_id
from edgecam.filters import Filter, Filters
from edgecam.marks import Marks
from edgecam.testing import ManualClock
from edgecam.tracker import Tracker
from edgecam.types import BBox, Detection, Event, EventType, Track

NEW, UPDATE, END = EventType.NEW, EventType.UPDATE, EventType.END
STILL = BBox(0, 0, 0, 0)
BOX = BBox(0.4, 0.4, 0.5, 0.6)


def rules(
    *,
    thresholds: dict[str, float] | None = None,
    labels: Sequence[str] = (),
    filters: Filters | None = None,
    marks: Marks | None = None,
    update_interval: float = 1.0,
    stationary_after: float = 1e9,
    stationary_memory: float = 300.0,
) -> EventRules:
    """Rules for the camera "front" at threshold 0.5 that number their events from 1."""
    numbers = count(1)
    own = {label: Filter(threshold) for label, threshold in (thresholds or {}).items()}
    return EventRules(
        "front",
        filters=filters or Filters(by_label=own, labels=frozenset(labels)),
        marks=marks,
        update_interval=update_interval,
        stationary_after=stationary_after,
        stationary_memory=stationary_memory,
        clock=ManualClock(wall_at_zero=datetime.fromtimestamp(0, UTC)),
        new_id=lambda started: f"{started.timestamp():.2f}-{next(numbers)}",
    )


def track(
    number: int = 1,
    *,
    label: str = "person",
    score: float = 0.8,
    box: BBox = BOX,
    misses: int = 0,
    confirmed: bool = True,
) -> Track:
    return Track(number, label, score, box, 5, misses, STILL, confirmed, predicted=misses > 0)


def shifted(box: BBox, dx: float) -> BBox:
    return BBox(box.xmin + dx, box.ymin, box.xmax + dx, box.ymax)


def scaled(box: BBox, factor: float) -> BBox:
    x, y = box.center
    return BBox(
        x - box.width * factor / 2, y - box.height * factor / 2, x + box.width * factor / 2, y + box.height * factor / 2
    )


def tell(judge: EventRules, frames: Sequence[Sequence[Track]], rate: float = 10.0) -> list[Event]:
    """The messages about frames 0, 1, … at `rate` a second."""
    return [event for n, tracks in enumerate(frames) for event in judge.update(n, n / rate, tracks)]


def test_the_life_of_an_event() -> None:
    judge = rules()
    events = tell(judge, [[track(confirmed=False)], [track(score=0.7)], [track(score=0.7)], [track(misses=1)], []])
    assert [(event.type, event.event_id, event.sequence) for event in events] == [
        (NEW, "0.00-1", 1),
        (END, "0.00-1", 4),
    ]
    new, end = events
    assert (new.camera, new.track_id, new.label, new.score, new.bbox) == ("front", 1, "person", 0.7, BOX)
    assert (new.start, new.timestamp, new.end) == (0.0, 0.1, None)
    assert (end.start, end.timestamp, end.end) == (0.0, 0.4, 0.2), "ended when it was last hit"
    assert judge.finish(0.5) == ()


@pytest.mark.parametrize(
    "thing",
    [track(score=0.49), track(confirmed=False), track(misses=1), track(label="bird", score=0.65)],
    ids=["weak", "unconfirmed", "missed", "label with its own threshold"],
)
def test_what_is_not_announced(thing: Track) -> None:
    judge = rules(thresholds={"bird": 0.7})
    assert tell(judge, [[thing]] * 20) == []
    assert judge.finish(3.0) == ()


def test_an_own_threshold_may_be_lower() -> None:
    judge = rules(thresholds={"bird": 0.3})
    assert [event.type for event in tell(judge, [[track(label="bird", score=0.3)]])] == [NEW]
    assert judge.lowest_threshold == 0.3
    assert rules().lowest_threshold == 0.5


def test_detections_are_accepted_by_label_and_down_to_half_their_threshold() -> None:
    judge = rules(labels=("person", "bird"), thresholds={"bird": 0.2})
    offered = [
        Detection("person", 0.25, BOX),
        Detection("person", 0.24, BOX),
        Detection("bird", 0.1, BOX),
        Detection("dog", 0.9, BOX),
    ]
    assert judge.accept(offered) == [offered[0], offered[2]]
    assert rules().accept(offered[3:]) == offered[3:], "no labels: all count"


def test_a_label_that_does_not_count_is_never_announced() -> None:
    assert tell(rules(labels=("dog",)), [[track()]] * 3) == []


def test_an_object_that_stands_still_is_not_worth_an_update() -> None:
    events = tell(rules(), [[track()]] * 590)
    assert [event.type for event in events] == [NEW]


def test_but_once_a_minute_it_is() -> None:
    events = tell(rules(), [[track()]] * 1300)
    assert [(event.type, event.timestamp) for event in events] == [(NEW, 0.0), (UPDATE, 60.0), (UPDATE, 120.0)]


def test_a_moving_object_is_reported_once_an_interval() -> None:
    moving = [[track(box=shifted(BOX, 0.01 * n))] for n in range(31)]
    events = tell(rules(update_interval=1.0), moving)
    assert [event.timestamp for event in events] == [0.0, 1.0, 2.0, 3.0]
    assert events[2].bbox == moving[20][0].bbox


def test_a_changed_score_is_reported_after_the_interval() -> None:
    events = tell(rules(), [[track(score=0.8)]] * 5 + [[track(score=0.74)]] * 20)
    assert [(event.type, event.timestamp, event.score, event.top_score) for event in events] == [
        (NEW, 0.0, 0.8, 0.8),
        (UPDATE, 1.0, 0.74, 0.8),
    ]


def test_top_score_remembers_what_was_not_reported() -> None:
    judge = rules(update_interval=0.5)
    events = tell(judge, [[track(score=score)] for score in (0.8, 0.82, 0.8, 0.7, 0.7, 0.7)])
    assert [(event.score, event.top_score) for event in events] == [(0.8, 0.8), (0.7, 0.82)]


def test_a_better_look_is_reported_at_once() -> None:
    judge = rules()
    closer = scaled(BOX, 1.2)
    events = tell(judge, [[track()], [track(box=closer)], [track(box=BOX)], []])
    assert [(event.type, event.sequence, event.best_sequence, event.best_bbox) for event in events] == [
        (NEW, 0, 0, BOX),
        (UPDATE, 1, 1, closer),
        (END, 3, 1, closer),
    ]


def test_a_little_better_is_not_better() -> None:
    assert [event.type for event in tell(rules(), [[track()], [track(box=scaled(BOX, 1.05))]])] == [NEW]


def test_an_object_cut_off_by_the_edge_makes_a_worse_picture() -> None:
    cut, whole = BBox(0.0, 0.4, 0.15, 0.7), BBox(0.02, 0.4, 0.16, 0.7)
    events = tell(rules(), [[track(box=cut)], [track(box=whole)], [track(box=cut)]])
    assert [(event.type, event.best_sequence) for event in events] == [(NEW, 0), (UPDATE, 1)]


def test_a_predicted_box_is_never_reported() -> None:
    frames = [[track()], *[[track(box=shifted(BOX, 0.02 * n), misses=n)] for n in range(1, 30)], []]
    new, end = tell(rules(), frames)
    assert (new.type, end.type, end.bbox, end.end) == (NEW, END, BOX, 0.0)


def test_an_event_keeps_its_label() -> None:
    events = tell(
        rules(update_interval=0.1),
        [[track(box=shifted(BOX, 0.03 * n), label=label)] for n, label in enumerate(["dog", "cat", "cat"])],
    )
    assert {event.label for event in events} == {"dog"}


def test_finish_ends_all_that_is_open() -> None:
    judge = rules()
    tell(judge, [[track(1), track(2, label="dog")]] * 3)
    ended = judge.finish(7.0)
    assert [(e.type, e.track_id, e.sequence, e.timestamp, e.end) for e in ended] == [
        (END, 1, 2, 7.0, 0.2),
        (END, 2, 2, 7.0, 0.2),
    ]
    assert judge.finish(8.0) == ()


def test_ends_come_before_what_begins() -> None:
    judge = rules()
    tell(judge, [[track(1)]])
    assert [(event.type, event.track_id) for event in judge.update(1, 0.1, [track(2)])] == [(END, 1), (NEW, 2)]


boxes = st.tuples(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.01, 0.5), st.floats(0.01, 0.5)).map(
    lambda box: BBox(box[0], box[1], min(1.0, box[0] + box[2]), min(1.0, box[1] + box[3]))
)
#: Mostly the same two places, so that tracks live for a while.
places = st.one_of(st.sampled_from([BOX, shifted(BOX, 0.02), shifted(BOX, 0.3), scaled(BOX, 1.15)]), boxes)
detections = st.builds(Detection, st.sampled_from(["person", "dog"]), st.floats(0.3, 1), places)
streams = st.lists(st.tuples(st.floats(0.01, 0.7), st.lists(detections, max_size=4)), max_size=40)


@settings(max_examples=150)
@given(streams)
def test_each_event_has_one_new_one_end_and_updates_only_between(
    stream: list[tuple[float, list[Detection]]],
) -> None:
    judge, tracker, timestamp, events = rules(labels=("person",)), Tracker(), 0.0, list[Event]()
    for sequence, (wait, found) in enumerate(stream):
        timestamp += wait
        events += judge.update(sequence, timestamp, tracker.update(timestamp, judge.accept(found)))
    events += judge.finish(timestamp + 0.1)
    for event_id in {event.event_id for event in events}:
        check_story([event for event in events if event.event_id == event_id])


def check_story(story: list[Event]) -> None:
    """All messages of one event, in order."""
    kinds = [event.type for event in story]
    assert kinds == [NEW, *[UPDATE] * (len(story) - 2), END]
    assert len({(event.camera, event.track_id, event.label, event.start) for event in story}) == 1
    assert [event.end is None for event in story] == [True] * (len(story) - 1) + [False]
    assert story[0].score >= 0.5
    told = [event.sequence for event in story[:-1]]
    assert told == sorted(set(told)), "at most one message a frame"
    assert all(event.best_sequence in told for event in story), "the best look was announced when it came"
    assert [event.best_sequence for event in story] == sorted(event.best_sequence for event in story)
    assert [event.top_score for event in story] == sorted(event.top_score for event in story)
    assert all(event.score <= event.top_score for event in story)
    for event in story:
        assert event.start <= event.timestamp
        assert event.end is None or event.start <= event.end <= event.timestamp


def test_ids_have_frigates_form() -> None:
    wall = datetime(2026, 11, 30, 12, 0, 0, 123456, UTC)
    made = frigate_event_id(wall, Random(1))
    assert re.fullmatch(r"1796040000\.123456-[a-z0-9]{6}", made)
    assert made == frigate_event_id(wall, Random(1))
    assert made != frigate_event_id(wall, Random(2))


def test_the_document_is_what_consumers_rely_on() -> None:
    judge = rules()
    tell(judge, [[track(confirmed=False)], [track(score=0.8123456)]])
    end = judge.finish(2.0)[0]
    document = event_document(replace(end, started=1767225600.0))
    assert document == {
        "type": "end",
        "id": "0.00-1",
        "camera": "front",
        "label": "person",
        "score": 0.8123,
        "top_score": 0.8123,
        "box": [0.4, 0.4, 0.5, 0.6],
        "frame": 1,
        "track_id": 1,
        "frame_size": [0, 0],
        "start_time": 1767225600.0,
        "frame_time": 1767225602.0,
        "end_time": 1767225600.1,
        "clock_synced": True,
        "best": {"frame": 1, "time": 1767225600.1, "score": 0.8123, "box": [0.4, 0.4, 0.5, 0.6]},
        "current_zones": [],
        "entered_zones": [],
        "crossings": [],
        "stationary": False,
        "motionless_count": 1,
        "position_changes": 0,
    }
    assert json.loads(json.dumps(document)) == document


def test_an_open_event_has_no_end_time() -> None:
    (new,) = tell(rules(), [[track()]])
    assert event_document(new)["end_time"] is None
