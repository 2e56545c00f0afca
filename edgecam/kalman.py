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

#: Boxes are rows, so these stand on the right of them.
_FROM_EDGES = np.array([[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]])
_TO_EDGES = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]])

#: A box strays from the body in it by this part of its sides (gait and wings, far more than the detector's own
#: error, which is about 0.05), and by no less than this part of the frame.
_MEASUREMENT_NOISE = 0.2
_MEASUREMENT_FLOOR = 0.002
#: Which side of the box each of its quantities is measured by: x and width by the width.
_SIDES = np.array([2, 3, 2, 3])
#: How far the velocity of the centre wanders in a second, in box sizes (the root of the area) per second; and how far
#: width and height drift in one, in box sizes. Squared: these are variances.
_UNREST = np.array([[[1.5, 1.5, 0.0, 0.0]], [[0.0, 0.0, 0.4, 0.4]]]) ** 2
#: The spread of a velocity that was not yet seen: in box sizes per second, and in frames per second.
_FIRST_SPEED_IN_SIZES = np.array([1.0, 1.0, 0.0, 0.0])
_FIRST_SPEED_IN_FRAMES = np.array([0.5, 0.5, 0.0, 0.0])


def from_edges(edges: Floats) -> Floats:
    """[n, 4] xmin, ymin, xmax, ymax to [n, 4] centre x, centre y, width, height."""
    boxes: Floats = edges @ _FROM_EDGES
    return boxes


def to_edges(boxes: Floats) -> Floats:
    """The inverse of `from_edges`; serves velocities too."""
    edges: Floats = boxes @ _TO_EDGES
    return edges


def started(measured: Floats) -> Floats:
    """The states of boxes [n, 4] seen for the first time: they stand still, as far as is known."""
    states = np.zeros((5, *measured.shape))
    states[VALUE] = measured
    states[VALUE_VARIANCE] = _measurement_variance(measured.take(_SIDES, axis=1))
    states[VELOCITY_VARIANCE] = (_FIRST_SPEED_IN_SIZES * np.sqrt(_areas(measured)) + _FIRST_SPEED_IN_FRAMES) ** 2
    return states


def predicted(states: Floats, dt: float) -> Floats:
    """The states `dt` seconds later (0 or more)."""
    # The five numbers of a quantity move on linearly, with what drives it as a sixth and seventh: the centre's wander
    # and the side's drift. That is the textbook's F x and F P F' + Q, for all quantities at once.
    motion = np.array(
        [
            [1, dt, 0, 0, 0, 0, 0],
            [0, 1, 0, 0, 0, 0, 0],
            [0, 0, 1, 2 * dt, dt**2, dt**3 / 3, dt],
            [0, 0, 0, 1, dt, dt**2 / 2, 0],
            [0, 0, 0, 0, 1, dt, 0],
        ]
    )
    driven = np.concatenate([states, _UNREST * _areas(states[VALUE])])
    later: Floats = (motion @ driven.reshape(7, -1)).reshape(states.shape)
    return later


def corrected(states: Floats, measured: Floats) -> Floats:
    """The states after the boxes [n, 4] were seen, one for each state."""
    # Value and velocity are corrected alike, and so are the variance of the value and its covariance with the velocity.
    means, variances, velocity_variance = states[:2], states[2:4], states[4:]
    gains = variances / (variances[0] + _measurement_variance(measured.take(_SIDES, axis=1)))
    return np.concatenate(
        [
            means + gains * (measured - means[0]),
            variances * (1 - gains[0]),
            velocity_variance - gains[1:] * variances[1:],
        ]
    )


def centre_distances(states: Floats, measured: Floats) -> Floats:
    """Squared Mahalanobis distances [n, m] between the centres of n states and of m boxes [m, 4].

    Chi-squared with two degrees of freedom where state and box are the same object. The spread that the
    distance is measured in grows with the size of the box, with time and with ignorance of the velocity.
    """
    # Copied with the quantities first, or NumPy would loop over two numbers at a time.
    centres, variances, boxes = states[VALUE].T.copy(), states[VALUE_VARIANCE].T.copy(), measured.T.copy()
    spread = variances[:2, :, None] + _measurement_variance(boxes[2:])[:, None]
    apart = centres[:2, :, None] - boxes[:2, None]
    ratios = apart**2 / spread
    distances: Floats = ratios[0] + ratios[1]
    return distances


def _areas(boxes: Floats) -> Floats:
    return boxes[:, 2:3] * boxes[:, 3:]


def _measurement_variance(sides: Floats) -> Floats:
    return (_MEASUREMENT_NOISE * sides) ** 2 + _MEASUREMENT_FLOOR**2
