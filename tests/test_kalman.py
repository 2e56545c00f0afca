"""The filter against the textbook's matrices, and what must hold for any box and any time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam import kalman

Floats = NDArray[np.float64]
CENTRE_X, WIDTH = 0, 2

seconds = st.floats(0, 2)
sides = st.floats(0.01, 0.5)
places = st.floats(0, 1)


@st.composite
def boxes(draw: st.DrawFn, count: int = 3) -> Floats:
    return np.array([[draw(places), draw(places), draw(sides), draw(sides)] for _ in range(count)])


def moving(box: Floats, velocity: Floats, t: float) -> Floats:
    """The box, moved at its centre for `t` seconds."""
    return box + np.concatenate([velocity, [0, 0]]) * t


def followed(times: list[float], box: Floats, velocity: Floats) -> Floats:
    """The states after a box was seen at all these times."""
    states = kalman.started(moving(box, velocity, times[0])[None])
    for earlier, now in pairwise(times):
        states = kalman.predicted(states, now - earlier)
        states = kalman.corrected(states, moving(box, velocity, now)[None])
    return states


@given(boxes())
def test_edges_and_centres_are_two_views_of_the_same_box(measured: Floats) -> None:
    assert np.allclose(kalman.from_edges(kalman.to_edges(measured)), measured)


@given(boxes(), seconds)
def test_prediction_is_that_of_the_textbook(measured: Floats, dt: float) -> None:
    states = kalman.corrected(kalman.predicted(kalman.started(measured), 0.1), measured + 0.01)
    later = kalman.predicted(states, dt)
    transition = np.array([[1, dt], [0, 1]])
    for n, box in enumerate(states[kalman.VALUE]):
        wander = (1.5 * np.sqrt(box[2] * box[3])) ** 2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        value, velocity, variance, covariance, velocity_variance = states[:, n, CENTRE_X]
        mean = transition @ [value, velocity]
        spread = transition @ [[variance, covariance], [covariance, velocity_variance]] @ transition.T + wander
        assert np.allclose(later[:, n, CENTRE_X], [*mean, spread[0, 0], spread[0, 1], spread[1, 1]])


@given(boxes(), boxes())
def test_correction_is_that_of_the_textbook(measured: Floats, again: Floats) -> None:
    states = kalman.predicted(kalman.started(measured), 0.2)
    corrected = kalman.corrected(states, again)
    for n, box in enumerate(again):
        value, velocity, variance, covariance, velocity_variance = states[:, n, CENTRE_X]
        spread = np.array([[variance, covariance], [covariance, velocity_variance]])
        seen = np.array([[1.0, 0.0]])
        noise = (0.2 * box[WIDTH]) ** 2 + 0.002**2
        gain = spread @ seen.T / (seen @ spread @ seen.T + noise)
        mean = np.array([value, velocity]) + gain[:, 0] * (box[CENTRE_X] - value)
        after = (np.eye(2) - gain @ seen) @ spread
        assert np.allclose(corrected[:, n, CENTRE_X], [*mean, after[0, 0], after[0, 1], after[1, 1]])


@given(boxes(), seconds, seconds)
def test_two_short_waits_are_one_long_wait(measured: Floats, first: float, second: float) -> None:
    states = kalman.started(measured)
    stepwise = kalman.predicted(kalman.predicted(states, first), second)
    assert np.allclose(stepwise, kalman.predicted(states, first + second))


@given(boxes())
def test_no_time_changes_nothing(measured: Floats) -> None:
    states = kalman.started(measured)
    assert np.array_equal(kalman.predicted(states, 0.0), states)


@given(boxes(), boxes(), seconds)
def test_a_look_never_makes_less_certain(measured: Floats, again: Floats, dt: float) -> None:
    states = kalman.predicted(kalman.started(measured), dt)
    better = kalman.corrected(states, again)
    for variance in (kalman.VALUE_VARIANCE, kalman.VELOCITY_VARIANCE):
        assert (better[variance] <= states[variance]).all()
        assert (better[variance] >= 0).all()


@given(
    places, places, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.lists(st.floats(0.03, 0.3), min_size=15, max_size=15)
)
def test_steady_motion_is_learnt_at_any_rhythm(x: float, y: float, vx: float, vy: float, waits: list[float]) -> None:
    times = np.cumsum([0.0, *waits]).tolist()
    box, velocity = np.array([x, y, 0.1, 0.2]), np.array([vx, vy])
    states = followed(times, box, velocity)
    assert np.allclose(states[kalman.VELOCITY, 0, :2], velocity, atol=0.1)
    ahead = kalman.predicted(states, 0.5)[kalman.VALUE, 0]
    assert np.allclose(ahead, moving(box, velocity, times[-1] + 0.5), atol=0.06)


def test_a_pulsing_width_is_not_extrapolated() -> None:
    states = kalman.started(np.array([[0.5, 0.5, 0.1, 0.3]]))
    for width in (0.09, 0.07, 0.05):
        states = kalman.corrected(kalman.predicted(states, 0.1), np.array([[0.5, 0.5, width, 0.3]]))
    assert kalman.predicted(states, 0.5)[kalman.VALUE, 0, WIDTH] > 0.05


def test_distance_is_nearness_measured_in_ignorance() -> None:
    box = np.array([[0.5, 0.5, 0.1, 0.1]])
    beside = np.array([[0.6, 0.5, 0.1, 0.1], [0.9, 0.5, 0.1, 0.1]])
    soon, late = (kalman.centre_distances(kalman.predicted(kalman.started(box), dt), beside)[0] for dt in (0.03, 0.5))
    assert soon[0] < soon[1]
    assert (late < soon).all()
    assert kalman.centre_distances(kalman.started(box), box)[0, 0] == 0


def test_no_boxes_are_no_trouble() -> None:
    nothing = kalman.started(np.empty((0, 4)))
    assert kalman.predicted(nothing, 0.1).shape == kalman.corrected(nothing, np.empty((0, 4))).shape == (5, 0, 4)
