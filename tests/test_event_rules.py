"""The rules that make events worth having: filters, masks, zones, lines, and what stands still."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam.events import EventRules
from edgecam.filters import Filter, Filters
from edgecam.lines import Line
from edgecam.marks import Marks
from edgecam.testing import ManualClock
from edgecam.tracker import Tracker
from edgecam.types import BBox, Detection, Event, EventType, Track
from edgecam.zones import Zone, contains, foot

NEW, UPDATE, END = EventType.NEW, EventType.UPDATE, EventType.END
STILL = BBox(0, 0, 0, 0)
HD = (1280, 720)
CAR = BBox(0.2, 0.4, 0.5, 0.7)
LEFT = Zone("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
RIGHT = Zone("right", ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)))
MIDDLE = Line("middle", ((0.5, 1.0), (0.5, 0.0)))
#: The upper tenth, whose lower edge is in it.
TOP = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.1), (0.0, 0.1))


def rules(filters: Filters | None = None, marks: Marks | None = None, **timing: float) -> EventRules:
    """Rules that number their events from 1."""
    numbers = count(1)
    clock = ManualClock(wall_at_zero=datetime.fromtimestamp(0, UTC))
    return EventRules("front", filters=filters, marks=marks, clock=clock, new_id=lambda _: str(next(numbers)), **timing)


def track(number: int = 1, box: BBox = CAR, *, label: str = "car", score: float = 0.8, misses: int = 0) -> Track:
    return Track(number, label, score, box, 5, misses, STILL, confirmed=True, predicted=misses > 0)


def walker(x: float, number: int = 1) -> Track:
    """A person who stands at x; its box is a tenth wide."""
    return track(number, BBox(x - 0.05, 0.4, x + 0.05, 0.8), label="person")


def told(judge: EventRules, frames: Sequence[Sequence[Track]], rate: float = 10.0, start: int = 0) -> list[Event]:
    return [event for n, tracks in enumerate(frames, start) for event in judge.update(n, n / rate, tracks, HD)]


def kinds(events: Sequence[Event]) -> list[tuple[EventType, float]]:
    return [(event.type, event.timestamp) for event in events]


class TestWhatBecomesAnEvent:
    def test_only_what_the_filter_of_its_label_lets_through(self) -> None:
        small, wide = BBox(0.2, 0.4, 0.25, 0.45), BBox(0.0, 0.4, 0.9, 0.5)
        filters = Filters(Filter(min_area=0.01, max_ratio=5.0), {"bird": Filter(0.7)})
        assert told(rules(filters), [[track(box=small), track(2, wide)]] * 5) == []
        bird = [[track(box=small, label="bird", score=0.7)]]
        assert [event.label for event in told(rules(filters), bird)] == ["bird"]
        assert told(rules(filters), [[track(label="bird", score=0.69)]]) == []

    def test_only_what_is_seen_for_long_enough(self) -> None:
        judge = rules(Filters(Filter(min_duration=0.5)))
        assert kinds(told(judge, [[track()]] * 8)) == [(NEW, 0.5)]
        assert told(rules(Filters(Filter(min_duration=0.5))), [[track()]] * 5 + [[]] * 5) == []

    def test_no_other_one_of_its_label_within_the_cooldown(self) -> None:
        judge = rules(Filters(by_label={"car": Filter(cooldown=2.0)}))
        frames = [[track(1)], [], [track(2)], [track(2), track(3, label="dog")]] + [[track(2)]] * 30
        events = told(judge, frames)
        assert [(e.type, e.label, e.timestamp) for e in events if e.type is not UPDATE] == [
            (NEW, "car", 0.0),
            (END, "car", 0.1),
            (NEW, "dog", 0.3),
            (END, "dog", 0.4),
            (NEW, "car", 2.1),
        ]
        assert events[-1].start == 0.2, "it was there all the time"

    def test_only_what_was_in_a_required_zone(self) -> None:
        judge = rules(marks=Marks((LEFT, RIGHT), required_zones=frozenset({"right"})))
        events = told(judge, [[walker(0.3 + n / 50)] for n in range(20)])
        assert (events[0].type, events[0].timestamp) == (NEW, 1.2), "third look beyond the middle"
        assert events[0].entered_zones == ("left", "right")
        assert events[0].start == 0.0

    def test_labels_left_out_are_not(self) -> None:
        judge = rules(Filters(exclude_labels=frozenset({"car"})))
        assert judge.accept([Detection("car", 0.9, CAR)]) == []
        assert told(judge, [[track()]] * 3) == []


class TestMasks:
    def test_what_stands_in_a_mask_is_not_seen(self) -> None:
        judge = rules(marks=Marks(masks=(TOP,)))
        hidden = Detection("car", 0.9, BBox(0.4, 0.0, 0.6, 0.1))
        shown = Detection("car", 0.9, BBox(0.4, 0.0, 0.6, 0.11))
        assert judge.accept([hidden, shown]) == [shown]

    def test_also_where_its_box_reaches_out_of_the_frame(self) -> None:
        ground = ((0.0, 0.9), (1.0, 0.9), (1.0, 1.0), (0.0, 1.0))
        judge = rules(marks=Marks(masks=(ground,)))
        assert judge.accept([Detection("car", 0.9, BBox(0.4, 0.5, 0.6, 1.05))]) == []


class TestZonesAndLines:
    def test_an_update_at_once_where_a_zone_is_entered_or_left(self) -> None:
        judge = rules(marks=Marks((LEFT, RIGHT)), update_interval=60.0)
        events = told(judge, [[walker(0.295 + n / 50)] for n in range(20)])
        assert [(e.type, e.timestamp, e.current_zones, e.entered_zones) for e in events] == [
            (NEW, 0.0, (), ()),
            (UPDATE, 0.2, ("left",), ("left",)),
            (UPDATE, 1.3, ("right",), ("left", "right")),
        ]

    def test_and_where_a_line_is_crossed(self) -> None:
        judge = rules(marks=Marks(lines=(MIDDLE,)), update_interval=60.0)
        there = [[walker(0.455 + n / 100)] for n in range(10)]
        events = told(judge, [*there, *there[::-1], []])
        assert [(e.type, [(c.direction, c.timestamp) for c in e.crossings]) for e in events] == [
            (NEW, []),
            (UPDATE, [("in", 0.6)]),
            (UPDATE, [("in", 0.6), ("out", 1.6)]),
            (END, [("in", 0.6), ("out", 1.6)]),
        ]

    def test_what_happened_before_the_announcement_is_in_it(self) -> None:
        judge = rules(Filters(Filter(min_duration=1.5)), Marks((LEFT, RIGHT), (MIDDLE,)))
        (new,) = told(judge, [[walker(0.3 + n / 50)] for n in range(16)])
        assert new.entered_zones == ("left", "right")
        assert [crossing.direction for crossing in new.crossings] == ["in"]

    def test_the_label_of_the_event_counts_not_that_of_the_moment(self) -> None:
        dogs = Zone("left", LEFT.polygon, labels=("dog",))
        judge = rules(marks=Marks((dogs,)))
        events = told(judge, [[track(label=label)] for label in ["dog", "cat", "cat"]])
        assert [(event.label, event.current_zones) for event in events] == [("dog", ()), ("dog", ("left",))]

    def test_predicted_boxes_enter_and_cross_nothing(self) -> None:
        judge = rules(marks=Marks((RIGHT,), (MIDDLE,)))
        frames = [[walker(0.4)], *[[track(1, walker(0.4 + n / 50).bbox, misses=n)] for n in range(1, 20)], []]
        _, end = told(judge, frames)
        assert (end.type, end.entered_zones, end.crossings) == (END, (), ())

    @pytest.mark.parametrize("rate", [2.0, 5.0, 15.0, 30.0])
    def test_the_rate_decides_nothing(self, rate: float) -> None:
        """Ten seconds from left to right and back, over the line both ways."""
        judge = rules(marks=Marks((LEFT, RIGHT), (MIDDLE,)))
        steps = int(10 * rate)
        way = [0.101 + 0.8 * (1 - abs(1 - 2 * n / steps)) for n in range(steps + 1)]
        events = told(judge, [[walker(x)] for x in way] + [[]], rate)
        assert events[-1].entered_zones == ("left", "right")
        assert [crossing.direction for crossing in events[-1].crossings] == ["in", "out"]
        entries = [e.current_zones for e in events if e.type is not END]
        changes = [here for before, here in pairwise([(), *entries]) if here != before]
        assert changes == [("left",), ("right",), ("left",)]


class TestStationaryObjects:
    def test_one_message_when_it_stands_and_one_when_it_goes(self) -> None:
        judge = rules(update_interval=0.5)
        parked = [[track()]] * 1200
        leaving = [[track(box=BBox(0.3 + n / 20, 0.4, 0.6 + n / 20, 0.7))] for n in range(8)]
        events = told(judge, parked + leaving * 2)
        stands = [(e.type, e.timestamp, e.stationary, e.position_changes) for e in events[:3]]
        assert stands == [(NEW, 0.0, False, 0), (UPDATE, 10.0, True, 0), (UPDATE, 121.0, False, 1)]
        assert events[1].motionless_count == 100

    def test_a_better_look_or_score_is_no_news_while_it_stands(self) -> None:
        judge = rules()
        told(judge, [[track(score=0.6)]] * 101)
        assert told(judge, [[track(score=0.9)]] * 100, start=101) == []

    def test_lost_and_found_it_is_the_same_event(self) -> None:
        judge = rules()
        parked, found = [[track(1)]] * 120, [[track(2)]] * 3000
        assert kinds(told(judge, parked + [[]] * 500 + found)) == [(NEW, 0.0), (UPDATE, 10.0)]
        (end,) = judge.finish(400.0)
        assert (end.event_id, end.track_id, end.end) == ("1", 2, 361.9)

    def test_forgotten_after_a_while_it_ends_when_it_was_last_seen(self) -> None:
        judge = rules(stationary_memory=60.0)
        events = told(judge, [[track(1)]] * 120 + [[]] * 700)
        assert kinds(events) == [(NEW, 0.0), (UPDATE, 10.0), (END, 71.9)]
        assert events[-1].end == 11.9
        assert told(judge, [[track(2)]], start=820)[0].type is NEW

    @pytest.mark.parametrize(
        "other", [track(2, label="truck"), track(2, BBox(0.6, 0.4, 0.9, 0.7))], ids=["label", "place"]
    )
    def test_another_label_or_place_is_another_event(self, other: Track) -> None:
        judge = rules()
        told(judge, [[track(1)]] * 120 + [[]])
        (new,) = told(judge, [[other]], start=121)
        assert (new.type, new.event_id) == (NEW, "2")

    def test_without_a_memory_it_ends_at_once(self) -> None:
        judge = rules(stationary_memory=0.0)
        assert kinds(told(judge, [[track(1)]] * 120 + [[]])) == [(NEW, 0.0), (UPDATE, 10.0), (END, 12.0)]

    def test_it_is_found_again_before_the_cooldown_and_the_duration_are_over(self) -> None:
        judge = rules(Filters(Filter(min_duration=3.0, cooldown=100.0)))
        told(judge, [[track(1)]] * 120 + [[]] * 10)
        assert told(judge, [[track(2)]] * 20, start=130) == []
        assert [event.track_id for event in judge.finish(20.0)] == [2]

    def test_no_more_are_remembered_than_fit(self) -> None:
        judge = rules(stationary_after=0.5)
        frames = [frame for n in range(80) for frame in [[track(n, label=f"car {n}")]] * 10]
        events = told(judge, [*frames, []])
        assert [event.label for event in events if event.type is END] == [f"car {n}" for n in range(16)]
        assert len(judge.finish(100.0)) == 64

    def test_shaking_on_the_edge_of_a_zone_is_no_news(self) -> None:
        judge = rules(marks=Marks((LEFT, RIGHT), (MIDDLE,)))
        frames = [[walker(0.5 + 0.008 * (-1) ** (n // 5))] for n in range(2000)]
        events = told(judge, frames)
        assert [e for e in events if e.timestamp > 10.4] == []

    @settings(max_examples=30)
    @given(st.integers(0, 2**32), st.sampled_from([2.0, 5.0, 10.0, 30.0]), st.floats(0.1, 0.9))
    def test_whatever_its_box_and_score_do_it_says_nothing_while_it_stands(
        self, seed: int, rate: float, x: float
    ) -> None:
        """Boxes off by 3 % of their size, on and beside the edges and the line; a look in ten is missing."""
        shaky, box = Random(seed), walker(x).bbox
        judge = rules(marks=Marks((LEFT, RIGHT), (MIDDLE,)), update_interval=0.1)
        frames = []
        for _ in range(int(40 * rate)):
            shaken = BBox(*(edge + shaky.gauss(0, 0.03 * side) for edge, side in zip(box, (0.1, 0.4) * 2, strict=True)))
            frames.append([track(1, shaken, score=shaky.uniform(0.5, 0.9), misses=int(shaky.random() < 0.1))])
        events = told(judge, frames, rate)
        stands = [event for event in events if event.stationary]
        assert events[-len(stands) :] == stands, "once it stands, it does so for good"
        settled = stands[-1].timestamp - stands[0].timestamp
        assert settled <= 5 / rate, "where it stands may be told a few looks later: a zone's inertia has to run out"

    def test_who_stands_in_a_zone_loiters_there(self) -> None:
        zone = Zone("left", LEFT.polygon, loitering_time=30.0)
        events = told(rules(marks=Marks((zone,))), [[walker(0.3)]] * 600)
        assert [(e.timestamp, e.stationary, e.current_zones) for e in events] == [
            (0.0, False, ()),
            (10.0, True, ()),
            (30.0, True, ("left",)),
        ]


boxes = st.tuples(st.floats(-0.1, 0.9), st.floats(-0.1, 0.9), st.floats(0.02, 0.5), st.floats(0.02, 0.5)).map(
    lambda box: BBox(box[0], box[1], box[0] + box[2], box[1] + box[3])
)
#: Mostly the same few places, so that tracks live for a while and some stand still.
places = st.one_of(st.sampled_from([CAR, BBox(0.22, 0.4, 0.52, 0.7), BBox(0.5, 0.4, 0.8, 0.7)]), boxes)
found = st.builds(Detection, st.sampled_from(["person", "car", "dog"]), st.floats(0.2, 1), places)
streams = st.lists(st.tuples(st.floats(0.01, 0.7), st.lists(found, max_size=4)), max_size=60)
marked = st.builds(
    Marks,
    st.sampled_from([(), (LEFT, RIGHT), (Zone("left", LEFT.polygon, ("person",), {"person": 0.6}, 2, 0.3),)]),
    st.sampled_from([(), (MIDDLE,)]),
    st.sampled_from([(), (TOP,), (RIGHT.polygon,)]),
    st.sampled_from([frozenset[str](), frozenset({"left"})]),
)
needs = st.builds(
    Filter,
    st.sampled_from([0.3, 0.5, 0.8]),
    st.sampled_from([0.0, 0.05]),
    st.sampled_from([1.0, 0.1]),
    st.sampled_from([0.0, 0.8]),
    st.sampled_from([1000.0, 2.0]),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([0.0, 1.0]),
)
filtered = st.builds(
    Filters, needs, st.dictionaries(st.sampled_from(["person", "car"]), needs, max_size=2), st.just(frozenset[str]())
)


def messages(judge: EventRules, stream: list[tuple[float, list[Detection]]], seen: Callable[..., None]) -> list[Event]:
    """All messages about what a tracker makes of a stream; `seen` is told what the rules let through."""
    tracker, timestamp, events = Tracker(high_score=judge.lowest_threshold), 0.0, list[Event]()
    judge.update(0, timestamp, (), HD)
    for sequence, (wait, detections) in enumerate(stream, 1):
        timestamp += wait
        accepted = judge.accept(detections)
        seen(accepted)
        events += judge.update(sequence, timestamp, tracker.update(timestamp, accepted), HD)
    return events + list(judge.finish(timestamp + 0.1))


def check_story(story: list[Event]) -> None:
    """All messages of one event, in order."""
    assert [event.type for event in story] == [NEW, *[UPDATE] * (len(story) - 2), END]
    assert len({(event.label, event.start, event.started, event.frame_size) for event in story}) == 1
    sequences = [event.sequence for event in story[:-1]]
    assert sequences == sorted(set(sequences))
    assert all(event.best_sequence in sequences for event in story)
    for before, after in pairwise(story):
        assert after.entered_zones[: len(before.entered_zones)] == before.entered_zones
        assert after.crossings[: len(before.crossings)] == before.crossings
        assert set(after.current_zones) <= set(after.entered_zones)
        assert after.position_changes >= before.position_changes
        changed = (
            after.stationary != before.stationary
            or after.current_zones != before.current_zones
            or after.crossings != before.crossings
        )
        assert changed or after.type is END or not before.stationary, "it stood still and there was nothing to say"
    directions = [crossing.direction for crossing in story[-1].crossings]
    assert all(a != b for a, b in pairwise(directions))


@settings(max_examples=200)
@given(streams, filtered, marked, st.sampled_from([0.5, 2.0]), st.sampled_from([0.0, 1.5, 300.0]))
def test_whatever_comes_each_event_is_a_story_within_its_rules(
    stream: list[tuple[float, list[Detection]]], filters: Filters, marks: Marks, after: float, memory: float
) -> None:
    judge = rules(filters, marks, stationary_after=after, stationary_memory=memory, update_interval=0.3)

    def check(accepted: Sequence[Detection]) -> None:
        for detection in accepted:
            box = detection.bbox.clipped()
            assert not any(contains(mask, foot(box)) for mask in marks.masks)
            assert filters.of(detection.label).fits(box, HD)

    events = messages(judge, stream, check)
    for event_id in {event.event_id for event in events}:
        check_story([event for event in events if event.event_id == event_id])
    ended: dict[str, float] = {}
    for event in events:
        wanted = filters.of(event.label)
        if event.type is NEW:
            assert event.score >= wanted.threshold
            assert wanted.fits(event.bbox, HD)
            assert event.timestamp - event.start >= wanted.min_duration
            assert event.timestamp >= ended.get(event.label, float("-inf")) + wanted.cooldown
            assert not marks.required_zones or marks.required_zones & set(event.entered_zones)
        elif event.type is END:
            ended[event.label] = event.timestamp
