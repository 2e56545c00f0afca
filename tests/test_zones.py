"""Zones: where they are, and when an object is in one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgecam.types import BBox
from edgecam.zones import Point, Polygon, Presence, Zone, contains, foot

LEFT: Polygon = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
IN, OUT = (0.25, 0.5), (0.75, 0.5)
#: Quarters of a pixel, so that OpenCV's single precision is exact.
corners = st.tuples(st.integers(0, 64), st.integers(0, 64))


@given(st.lists(corners, min_size=3, max_size=8), corners)
@example([(0, 0), (64, 0), (64, 64), (0, 64)], (32, 64)).via("on an edge")
@example([(0, 0), (64, 0), (64, 64), (0, 64)], (0, 0)).via("on a corner")
@example([(0, 0), (32, 32), (64, 0), (64, 64), (0, 64)], (16, 32)).via("level with a corner")
def test_a_point_is_inside_where_opencv_says_so(polygon: list[tuple[int, int]], point: tuple[int, int]) -> None:
    expected = cv2.pointPolygonTest(np.array(polygon, np.float32), (float(point[0]), float(point[1])), False) >= 0
    scaled: Polygon = tuple((x / 64, y / 64) for x, y in polygon)
    assert contains(scaled, (point[0] / 64, point[1] / 64)) is expected


def test_an_object_stands_where_the_middle_of_its_lower_edge_is() -> None:
    assert foot(BBox(0.25, 0.125, 0.75, 0.5)) == (0.5, 0.5)


def looks(zone: Zone, places: list[Point], rate: float = 10.0, label: str = "person", score: float = 0.8) -> list[bool]:
    """Whether an object that is seen in these places is in the zone."""
    presence = Presence([zone])
    seen = []
    for number, place in enumerate(places):
        presence.look(number / rate, place, label, score)
        seen.append(presence.current == (zone.name,))
    return seen


@pytest.mark.parametrize("inertia", [1, 3, 5])
def test_it_takes_so_many_looks_in_a_row_to_enter_and_to_leave(inertia: int) -> None:
    zone = Zone("left", LEFT, inertia=inertia)
    before = [False] * (inertia - 1)
    assert looks(zone, [IN] * 8 + [OUT] * 8) == before + [True] * 8 + [False] * (9 - inertia)


def test_a_box_that_shakes_on_the_edge_changes_nothing() -> None:
    zone = Zone("left", LEFT)
    assert looks(zone, [OUT] * 4 + [IN, IN, OUT] * 10) == [False] * 34
    assert looks(zone, [IN] * 4 + [OUT, OUT, IN] * 10) == [False] * 2 + [True] * 32


@pytest.mark.parametrize("rate", [2.0, 5.0, 10.0, 30.0])
def test_loitering_takes_its_time_at_any_rate(rate: float) -> None:
    zone = Zone("left", LEFT, loitering_time=4.0)
    count = int(6 * rate) + 1
    assert looks(zone, [IN] * count, rate) == [n / rate >= 4.0 for n in range(count)]


def test_who_leaves_has_to_loiter_again() -> None:
    zone = Zone("left", LEFT, inertia=1, loitering_time=1.0)
    assert looks(zone, [IN] * 8 + [OUT] + [IN] * 12, rate=8.0) == [False] * 17 + [True] * 4


def test_labels_and_scores_decide_who_enters() -> None:
    zone = Zone("left", LEFT, labels=("person",), thresholds={"person": 0.7}, inertia=1)
    assert looks(zone, [IN]) == [True]
    assert looks(zone, [IN], label="dog") == [False]
    assert looks(zone, [IN], score=0.69) == [False]


def test_who_is_in_stays_in_with_any_score() -> None:
    presence = Presence([Zone("left", LEFT, thresholds={"person": 0.7}, inertia=1)])
    assert presence.look(0.0, IN, "person", 0.8)
    assert not presence.look(0.1, IN, "person", 0.2)
    assert presence.current == ("left",)


def test_zones_are_named_in_the_order_of_entering() -> None:
    presence = Presence([Zone("right", ((0.5, 0), (1, 0), (1, 1), (0.5, 1)), inertia=1), Zone("left", LEFT, inertia=1)])
    changes = [presence.look(n / 10, place, "dog", 0.9) for n, place in enumerate([IN, IN, OUT, IN])]
    assert changes == [True, False, True, True]
    assert (presence.current, presence.entered) == (("left",), ("left", "right"))


points = st.tuples(st.floats(0, 1), st.floats(0, 1))
zones = st.builds(
    Zone,
    st.sampled_from(["a", "b"]),
    st.lists(points, min_size=3, max_size=6).map(tuple),
    inertia=st.integers(1, 4),
    loitering_time=st.sampled_from([0.0, 0.3]),
)


@given(st.lists(zones, max_size=2, unique_by=lambda zone: zone.name), st.lists(points, max_size=30))
def test_what_was_entered_only_grows(places: list[Zone], way: list[Point]) -> None:
    presence = Presence(places)
    for number, point in enumerate(way):
        before = presence.current, presence.entered
        changed = presence.look(number / 10, point, "person", 0.9)
        assert presence.entered[: len(before[1])] == before[1]
        assert set(presence.current) <= set(presence.entered)
        assert len(set(presence.entered)) == len(presence.entered)
        assert changed == (presence.current != before[0])
