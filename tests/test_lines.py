"""Lines: who went over them, which way."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.lines import Line, Path
from edgecam.types import BBox
from edgecam.zones import Point

#: From left to right, in the middle of the picture: over it downwards is "in".
GATE = Line("gate", ((0.2, 0.5), (0.8, 0.5)))
SIZE = 0.2


def box_at(place: Point, size: float = SIZE) -> BBox:
    """A square box that stands there."""
    x, y = place
    return BBox(x - size / 2, y - size, x + size / 2, y)


def crossed(places: list[Point], line: Line = GATE, label: str = "person", size: float = SIZE) -> list[str]:
    path = Path([line])
    for number, place in enumerate(places):
        path.look(number / 10, box_at(place, size), label)
    return [crossing.direction for crossing in path.crossings]


def way(*places: Point, steps: int = 10) -> list[Point]:
    """A walk from place to place."""
    return [
        (a[0] + (b[0] - a[0]) * n / steps, a[1] + (b[1] - a[1]) * n / steps)
        for a, b in pairwise(places)
        for n in range(steps + 1)
    ]


def test_over_the_line_and_back() -> None:
    down, up = (0.5, 0.7), (0.5, 0.3)
    assert crossed(way(up, down)) == ["in"]
    assert crossed(way(down, up)) == ["out"]
    assert crossed(way(up, down, up, down)) == ["in", "out", "in"]


@pytest.mark.parametrize("steps", [1, 2, 7, 60])
def test_the_rate_does_not_matter(steps: int) -> None:
    assert crossed(way((0.5, 0.1), (0.4, 0.9), (0.5, 0.1), steps=steps)) == ["in", "out"]


def test_directions_follow_the_points_and_may_be_named() -> None:
    back = Line("gate", (GATE.points[1], GATE.points[0]), directions=("leaves", "comes"))
    assert crossed(way((0.5, 0.3), (0.5, 0.7), (0.5, 0.3)), back) == ["comes", "leaves"]
    upright = Line("door", ((0.5, 1.0), (0.5, 0.0)))
    assert crossed(way((0.3, 0.5), (0.7, 0.5)), upright) == ["in"], "upwards along it, the right is on the right"


def test_past_the_ends_is_not_over_the_line() -> None:
    assert crossed(way((0.1, 0.3), (0.1, 0.7), (0.9, 0.7), (0.9, 0.3))) == []


def test_who_comes_back_round_the_end_is_not_counted_twice() -> None:
    round_the_end = [(0.5, 0.3), (0.5, 0.7), (0.95, 0.7), (0.95, 0.3), (0.5, 0.3), (0.5, 0.7)]
    assert crossed(way(*round_the_end)) == ["in"]
    assert crossed(way(*round_the_end, (0.5, 0.3))) == ["in", "out"]


def test_standing_on_the_line_counts_nothing() -> None:
    shaky = Random(1)
    standing = [(0.5 + shaky.gauss(0, 0.005), 0.5 + shaky.uniform(-0.019, 0.019)) for _ in range(1000)]
    assert crossed(standing) == []
    assert crossed([*way((0.5, 0.3), (0.5, 0.5)), *standing, *way((0.5, 0.5), (0.5, 0.3))]) == []
    assert crossed([*way((0.5, 0.3), (0.5, 0.5)), *standing, *way((0.5, 0.5), (0.5, 0.7))]) == ["in"]


def test_how_far_beyond_the_line_goes_by_the_size() -> None:
    assert crossed([(0.5, 0.45), (0.5, 0.515)], size=0.1) == ["in"]
    assert crossed([(0.5, 0.45), (0.5, 0.515)], size=0.2) == []


def test_labels_that_count() -> None:
    line = Line("gate", GATE.points, labels=("person",))
    walk = way((0.5, 0.3), (0.5, 0.7))
    assert crossed(walk, line) == ["in"]
    assert crossed(walk, line, label="dog") == []


def test_a_crossing_says_when_it_was_sure() -> None:
    path = Path([GATE])
    news = [path.look(n / 10, box_at((0.5, 0.405 + n / 100)), "person") for n in range(20)]
    assert news == [n == 12 for n in range(20)]
    (crossing,) = path.crossings
    assert (crossing.line, crossing.direction, crossing.timestamp) == ("gate", "in", 1.2)


points = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(points, points, st.lists(points, max_size=40), st.floats(0.01, 0.5))
def test_in_and_out_alternate(first: Point, second: Point, places: list[Point], size: float) -> None:
    directions = crossed(places, Line("any", (first, second)), size=size)
    assert all(a != b for a, b in pairwise(directions))


@given(st.lists(st.sampled_from([0.1, 0.3, 0.45, 0.49, 0.5, 0.51, 0.55, 0.7, 0.9]), max_size=40))
def test_over_a_line_right_across_the_picture_the_clear_sides_tell_the_count(heights: list[float]) -> None:
    below = [y > 0.5 for y in heights if abs(y - 0.5) > 0.1 * SIZE]
    expected = ["in" if there else "out" for here, there in pairwise(below) if here != there]
    assert crossed([(0.5, y) for y in heights], Line("across", ((0.0, 0.5), (1.0, 0.5)))) == expected
