"""Objects that stand still, and those that only seem to."""

from __future__ import annotations

from random import Random

import pytest

from edgecam.stationary import Stillness
from edgecam.types import BBox

CAR = BBox(0.2, 0.4, 0.5, 0.7)
RATES = [2.0, 5.0, 10.0, 30.0]


def moved(box: BBox, right: float) -> BBox:
    return BBox(box.xmin + right, box.ymin, box.xmax + right, box.ymax)


def shaken(box: BBox, shaky: Random, part: float = 0.04) -> BBox:
    """A detector's box of a thing that stands: each edge off by some of its size."""
    x, y = part * box.width, part * box.height
    return BBox(*(edge + shaky.gauss(0, by) for edge, by in zip(box, (x, y, x, y), strict=True)))


@pytest.mark.parametrize("rate", RATES)
def test_what_stands_for_so_long_is_stationary(rate: float) -> None:
    still = Stillness(10.0, 0.0, CAR)
    shaky = Random(1)
    turned = [n / rate for n in range(int(300 * rate)) if still.look(n / rate, shaken(CAR, shaky))]
    assert turned == [10.0], "once, for five minutes"
    assert still.motionless_count == int(300 * rate) - 1
    assert still.position_changes == 0


@pytest.mark.parametrize("rate", RATES)
def test_what_moves_is_not(rate: float) -> None:
    still = Stillness(10.0, 0.0, CAR)
    speed = 0.02  # a quarter of its width in under four seconds
    assert not any(still.look(n / rate, moved(CAR, speed * n / rate)) for n in range(int(30 * rate)))


@pytest.mark.parametrize("rate", RATES)
def test_it_is_active_again_a_second_after_it_left_its_place(rate: float) -> None:
    still = Stillness(10.0, 0.0, CAR)
    assert sum(still.look(n / rate, CAR) for n in range(int(20 * rate))) == 1
    away = [n / rate for n in range(int(5 * rate)) if still.look(20 + n / rate, moved(CAR, 0.2 + 0.02 * n / rate))]
    assert away == [1.0]
    assert (still.stationary, still.position_changes) == (False, 1)


@pytest.mark.parametrize("rate", RATES)
def test_who_walks_past_does_not_move_it(rate: float) -> None:
    still = Stillness(10.0, 0.0, CAR)
    half = BBox(0.2, 0.4, 0.3, 0.7)
    boxes = [CAR] * int(20 * rate) + ([half] * max(1, int(0.9 * rate)) + [CAR]) * 20
    assert sum(still.look(n / rate, box) for n, box in enumerate(boxes)) == 1


def test_its_place_is_where_it_came_to_rest() -> None:
    still = Stillness(10.0, 0.0, CAR)
    rest = moved(CAR, 0.05)
    for n in range(150):
        still.look(n / 10, moved(CAR, min(0.05, 0.01 * n)))
    assert still.stationary
    assert still.place.iou(rest) > 0.99
    assert still.found_again(rest) > 0.99
    assert still.found_again(moved(rest, 0.2)) == 0


def test_counts_begin_again_with_each_move() -> None:
    still = Stillness(1.0, 0.0, CAR)
    for n in range(20):
        still.look(n / 10, CAR)
    there = moved(CAR, 0.3)
    for n in range(20, 60):
        still.look(n / 10, there)
    assert (still.stationary, still.position_changes, still.motionless_count) == (True, 1, 29)
