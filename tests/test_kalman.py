"""The filter against the textbook's matrices, and what must hold for any box and any time."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam.kalman import BoxFilter, Measured, Moving
from edgecam.types import BBox

Floats = NDArray[np.float64]

seconds = st.floats(0, 2)
sides = st.floats(0.01, 0.5)
places = st.floats(0, 1)


def seen(x: float, y: float, width: float, height: float) -> Measured:
    """A box by its centre and sides."""
    return Measured(BBox(x - width / 2, y - height / 2, x + width / 2, y + height / 2))


boxes = st.builds(seen, places, places, sides, sides)


def followed(times: list[float], box: Measured, vx: float, vy: float) -> BoxFilter:
    """The filter after a box that moves was seen at all these times."""
    motion = BoxFilter(seen(box.x + vx * times[0], box.y + vy * times[0], box.width, box.height))
    for earlier, now in pairwise(times):
        motion.predict(now - earlier)
        motion.correct(seen(box.x + vx * now, box.y + vy * now, box.width, box.height))
    return motion


def after(motion: BoxFilter, *waits: float) -> BoxFilter:
    """The filter so much later; it is left as it is."""
    later = deepcopy(motion)
    for wait in waits:
        later.predict(wait)
    return later


def numbers(motion: BoxFilter) -> list[float]:
    """All that it knows."""
    coordinates = [number for one in (motion.x, motion.y) for number in (*state(one)[0], *state(one)[1].ravel())]
    return coordinates + [number for one in (motion.width, motion.height) for number in (one.value, one.variance)]


def state(one: Moving) -> tuple[Floats, Floats]:
    """Mean [2] and covariance [2, 2], as the textbook writes them."""
    spread = np.array([[one.variance, one.covariance], [one.covariance, one.velocity_variance]])
    return np.array([one.value, one.velocity]), spread


def test_a_box_is_measured_at_its_centre() -> None:
    box = Measured(BBox(0.1, 0.2, 0.3, 0.8))
    assert (box.x, box.y, box.width, box.height, box.area) == pytest.approx((0.2, 0.5, 0.2, 0.6, 0.12))


@given(boxes, boxes, seconds)
def test_prediction_is_that_of_the_textbook(box: Measured, again: Measured, dt: float) -> None:
    motion = after(BoxFilter(box), 0.1)
    motion.correct(again)
    later = after(motion, dt)
    area = motion.width.value * motion.height.value
    transition = np.array([[1, dt], [0, 1]])
    wander = 1.5**2 * area * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
    for before, now in ((motion.x, later.x), (motion.y, later.y)):
        mean, spread = state(before)
        assert np.allclose(state(now)[0], transition @ mean)
        assert np.allclose(state(now)[1], transition @ spread @ transition.T + wander)
    assert later.width.value == motion.width.value
    assert later.width.variance == pytest.approx(motion.width.variance + 0.4**2 * area * dt)


@given(boxes, boxes)
def test_correction_is_that_of_the_textbook(box: Measured, again: Measured) -> None:
    motion = after(BoxFilter(box), 0.2)
    corrected = deepcopy(motion)
    corrected.correct(again)
    look = np.array([[1.0, 0.0]])
    for before, now, value, side in (
        (motion.x, corrected.x, again.x, again.width),
        (motion.y, corrected.y, again.y, again.height),
    ):
        mean, spread = state(before)
        noise = (0.2 * side) ** 2 + 0.002**2
        gain = spread @ look.T / (look @ spread @ look.T + noise)
        assert np.allclose(state(now)[0], mean + gain[:, 0] * (value - mean[0]))
        assert np.allclose(state(now)[1], (np.eye(2) - gain @ look) @ spread)
    gain = motion.width.variance / (motion.width.variance + (0.2 * again.width) ** 2 + 0.002**2)
    assert corrected.width.value == pytest.approx(motion.width.value + gain * (again.width - motion.width.value))
    assert corrected.width.variance == pytest.approx(motion.width.variance * (1 - gain))


@given(boxes, seconds, seconds)
def test_two_short_waits_are_one_long_wait(box: Measured, first: float, second: float) -> None:
    motion = BoxFilter(box)
    assert np.allclose(numbers(after(motion, first, second)), numbers(after(motion, first + second)))


@given(boxes)
def test_no_time_changes_nothing(box: Measured) -> None:
    motion = BoxFilter(box)
    assert numbers(after(motion, 0.0)) == numbers(motion)


@given(boxes, boxes, seconds)
def test_a_look_never_makes_less_certain(box: Measured, again: Measured, dt: float) -> None:
    motion = after(BoxFilter(box), dt)
    better = deepcopy(motion)
    better.correct(again)
    for before, now in ((motion.x, better.x), (motion.y, better.y)):
        assert 0 <= now.variance <= before.variance
        assert 0 <= now.velocity_variance <= before.velocity_variance
    assert 0 <= better.width.variance <= motion.width.variance


@given(
    places, places, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.lists(st.floats(0.03, 0.3), min_size=15, max_size=15)
)
def test_steady_motion_is_learnt_at_any_rhythm(x: float, y: float, vx: float, vy: float, waits: list[float]) -> None:
    times = np.cumsum([0.0, *waits]).tolist()
    motion = followed(times, seen(x, y, 0.1, 0.2), vx, vy)
    assert (motion.x.velocity, motion.y.velocity) == pytest.approx((vx, vy), abs=0.1)
    ahead, end = after(motion, 0.5), times[-1] + 0.5
    assert (ahead.x.value, ahead.y.value) == pytest.approx((x + vx * end, y + vy * end), abs=0.06)
    assert (ahead.width.value, ahead.height.value) == pytest.approx((0.1, 0.2), abs=0.01)


def test_a_pulsing_width_is_not_extrapolated() -> None:
    motion = BoxFilter(seen(0.5, 0.5, 0.1, 0.3))
    for width in (0.09, 0.07, 0.05):
        motion.predict(0.1)
        motion.correct(seen(0.5, 0.5, width, 0.3))
    assert after(motion, 0.5).width.value > 0.05


def test_distance_is_nearness_measured_in_ignorance() -> None:
    motion = BoxFilter(seen(0.5, 0.5, 0.1, 0.1))
    near, far = seen(0.6, 0.5, 0.1, 0.1), seen(0.9, 0.5, 0.1, 0.1)
    soon, late = after(motion, 0.03), after(motion, 0.5)
    assert soon.distance(near) < soon.distance(far)
    assert late.distance(near) < soon.distance(near)
    assert late.distance(far) < soon.distance(far)
    assert motion.distance(seen(0.5, 0.5, 0.1, 0.1)) == 0


@given(boxes, boxes, seconds)
def test_doubt_begins_where_anybody_is_as_likely(box: Measured, again: Measured, dt: float) -> None:
    motion = after(BoxFilter(box), dt)
    spread = np.array([motion.x.variance + again.noise_x, motion.y.variance + again.noise_y])
    density = np.exp(-motion.doubt(again) / 2) / (2 * np.pi * np.sqrt(spread.prod()))
    assert density == pytest.approx(1)
