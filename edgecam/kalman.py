"""Constant-velocity Kalman filters for many boxes at once.

A box is four independent quantities: centre x and y, which move at a velocity, and width and height, which wander.
So the textbook filter (Bar-Shalom, Li, Kirubarajan: Estimation with Applications to Tracking and Navigation, 2001,
section 6.2: white-noise acceleration) comes down to 2x2 matrices written out by hand, and one NumPy expression
serves all boxes. A size has no velocity on purpose: limbs and wings change it to and fro several times a second, and to
believe in that for a few frames more folds the box up.

States are float64 [5, n, 4]: value, velocity (per second), variance of the value, covariance of the two, variance of
the velocity; n boxes; the four quantities in fractions of the frame. All functions return new arrays. The constants
were measured on rendered streets and gardens at 2 to 30 analyses a second with noisy detections.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

VALUE, VELOCITY, VALUE_VARIANCE, COVARIANCE, VELOCITY_VARIANCE = range(5)

#: A box strays from the body in it by this part of its sides (gait and wings, far more than the detector's own
#: error, which is about 0.05), and by no less than this part of the frame.
_MEASUREMENT_NOISE = 0.2
_MEASUREMENT_FLOOR = 0.002
#: How far the velocity of the centre wanders in a second, in box sizes (the root of the area) per second.
_WANDER = np.array([1.5, 1.5, 0.0, 0.0])
#: How far width and height wander in a second, in box sizes.
_DRIFT = np.array([0.0, 0.0, 0.4, 0.4])
#: The spread of a velocity that was not yet seen: in box sizes per second, and in frames per second.
_FIRST_SPEED_IN_SIZES = np.array([1.0, 1.0, 0.0, 0.0])
_FIRST_SPEED_IN_FRAMES = np.array([0.5, 0.5, 0.0, 0.0])


def from_edges(edges: Floats) -> Floats:
    """[n, 4] xmin, ymin, xmax, ymax to [n, 4] centre x, centre y, width, height."""
    low, high = edges[:, :2], edges[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def to_edges(boxes: Floats) -> Floats:
    """The inverse of `from_edges`; serves velocities too."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def started(measured: Floats) -> Floats:
    """The states of boxes [n, 4] seen for the first time: they stand still, as far as is known."""
    states = np.zeros((5, *measured.shape))
    states[VALUE] = measured
    states[VALUE_VARIANCE] = _measurement_variance(measured)
    states[VELOCITY_VARIANCE] = (_FIRST_SPEED_IN_SIZES * _sizes(measured) + _FIRST_SPEED_IN_FRAMES) ** 2
    return states


def predicted(states: Floats, dt: float) -> Floats:
    """The states `dt` seconds later (0 or more)."""
    value, velocity, value_variance, covariance, velocity_variance = states
    sizes = _sizes(value)
    wander, drift = (_WANDER * sizes) ** 2 * dt, (_DRIFT * sizes) ** 2 * dt
    later = np.empty_like(states)
    later[VALUE] = value + velocity * dt
    later[VELOCITY] = velocity
    later[VALUE_VARIANCE] = (
        value_variance + 2 * dt * covariance + dt**2 * velocity_variance + wander * dt**2 / 3 + drift
    )
    later[COVARIANCE] = covariance + dt * velocity_variance + wander * dt / 2
    later[VELOCITY_VARIANCE] = velocity_variance + wander
    return later


def corrected(states: Floats, measured: Floats) -> Floats:
    """The states after the boxes [n, 4] were seen, one for each state."""
    value, velocity, value_variance, covariance, velocity_variance = states
    surprise = measured - value
    total = value_variance + _measurement_variance(measured)
    gain, velocity_gain = value_variance / total, covariance / total
    better = np.empty_like(states)
    better[VALUE] = value + gain * surprise
    better[VELOCITY] = velocity + velocity_gain * surprise
    better[VALUE_VARIANCE] = (1 - gain) * value_variance
    better[COVARIANCE] = (1 - gain) * covariance
    better[VELOCITY_VARIANCE] = velocity_variance - velocity_gain * covariance
    return better


def centre_distances(states: Floats, measured: Floats) -> Floats:
    """Squared Mahalanobis distances [n, m] between the centres of n states and of m boxes [m, 4].

    Chi-squared with two degrees of freedom where state and box are the same object. The spread that the
    distance is measured in grows with the size of the box, with time and with ignorance of the velocity.
    """
    spread = states[VALUE_VARIANCE, :, None, :2] + _measurement_variance(measured)[None, :, :2]
    apart = states[VALUE, :, None, :2] - measured[None, :, :2]
    ratios = apart**2 / spread
    distances: Floats = ratios[..., 0] + ratios[..., 1]
    return distances


def _sizes(boxes: Floats) -> Floats:
    return np.sqrt(boxes[:, 2:3] * boxes[:, 3:])


def _measurement_variance(measured: Floats) -> Floats:
    sides = measured[:, [2, 3, 2, 3]]
    return (_MEASUREMENT_NOISE * sides) ** 2 + _MEASUREMENT_FLOOR**2
