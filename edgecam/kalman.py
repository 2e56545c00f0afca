"""Constant-velocity Kalman filters for boxes.

A box is four independent quantities: centre x and y, which move at a velocity, and width and height, which wander.
So the textbook filter (Bar-Shalom, Li, Kirubarajan: Estimation with Applications to Tracking and Navigation, 2001,
section 6.2: white-noise acceleration) comes down to 2x2 matrices written out by hand, and a handful of plain numbers
for each box: for the few boxes of a picture that is faster than any array. A size has no velocity on purpose: limbs and
wings change it to and fro several times a second, and to believe in that for a few frames more folds the box up.

All in fractions of the frame and seconds. The constants were measured on rendered streets and gardens at 2 to 30
analyses a second with noisy detections.
"""

from __future__ import annotations

from math import log, pi, sqrt

from edgecam.types import BBox

#: A box strays from the body in it by this part of its sides (gait and wings, far more than the detector's own
#: error, which is about 0.05), and by no less than this part of the frame.
_MEASUREMENT_NOISE = 0.2
_MEASUREMENT_FLOOR = 0.002
#: How far the velocity of the centre wanders in a second, in box sizes (the root of the area) per second; and how far
#: width and height drift in one, in box sizes. Squared: these are variances.
_UNREST = 1.5**2
_DRIFT = 0.4**2
#: The spread of a velocity that was not yet seen: in box sizes per second, and in frames per second.
_FIRST_SPEED_IN_SIZES = 1.0
_FIRST_SPEED_IN_FRAMES = 0.5


class Measured:
    """A box as it was seen: its centre and sides, its area, and how far its centre may be wrong (variances)."""

    __slots__ = ("area", "height", "noise_x", "noise_y", "width", "x", "y")

    def __init__(self, box: BBox) -> None:
        xmin, ymin, xmax, ymax = box
        self.x = (xmin + xmax) / 2
        self.y = (ymin + ymax) / 2
        self.width = width = xmax - xmin
        self.height = height = ymax - ymin
        self.area = width * height
        self.noise_x = (_MEASUREMENT_NOISE * width) ** 2 + _MEASUREMENT_FLOOR**2
        self.noise_y = (_MEASUREMENT_NOISE * height) ** 2 + _MEASUREMENT_FLOOR**2


class Moving:
    """A coordinate that moves: value and velocity, their variances and their covariance."""

    __slots__ = ("covariance", "value", "variance", "velocity", "velocity_variance")

    def __init__(self, value: float, variance: float, velocity_variance: float) -> None:
        self.value = value
        self.velocity = 0.0
        self.variance = variance
        self.covariance = 0.0
        self.velocity_variance = velocity_variance

    def predict(self, dt: float, unrest: float) -> None:
        """`dt` seconds later, where the velocity's variance grows by `unrest` per second: F x and F P F' + Q."""
        driven = self.velocity_variance + unrest * dt
        self.value += dt * self.velocity
        self.variance += dt * (2 * self.covariance + dt * (self.velocity_variance + unrest * dt / 3))
        self.covariance += dt * (self.velocity_variance + driven) / 2
        self.velocity_variance = driven

    def correct(self, value: float, noise: float) -> None:
        """The value was seen, with that variance."""
        spread = self.variance + noise
        gain, velocity_gain = self.variance / spread, self.covariance / spread
        apart = value - self.value
        self.value += gain * apart
        self.velocity += velocity_gain * apart
        self.velocity_variance -= velocity_gain * self.covariance
        self.variance *= 1 - gain
        self.covariance *= 1 - gain


class Wandering:
    """A length that drifts without a direction: its value and variance."""

    __slots__ = ("value", "variance")

    def __init__(self, value: float, variance: float) -> None:
        self.value = value
        self.variance = variance

    def correct(self, value: float, noise: float) -> None:
        """The value was seen, with that variance."""
        gain = self.variance / (self.variance + noise)
        self.value += gain * (value - self.value)
        self.variance *= 1 - gain


class BoxFilter:
    """What is known of one box's motion; when it begins, that it stands still, as far as is known."""

    __slots__ = ("height", "width", "x", "y")

    def __init__(self, seen: Measured) -> None:
        speed = (_FIRST_SPEED_IN_SIZES * sqrt(seen.area) + _FIRST_SPEED_IN_FRAMES) ** 2
        self.x = Moving(seen.x, seen.noise_x, speed)
        self.y = Moving(seen.y, seen.noise_y, speed)
        self.width = Wandering(seen.width, seen.noise_x)
        self.height = Wandering(seen.height, seen.noise_y)

    def predict(self, dt: float) -> None:
        """Move on by `dt` seconds (0 or more)."""
        area = self.width.value * self.height.value
        self.x.predict(dt, _UNREST * area)
        self.y.predict(dt, _UNREST * area)
        drift = _DRIFT * area * dt
        self.width.variance += drift
        self.height.variance += drift

    def correct(self, seen: Measured) -> None:
        """The box was seen."""
        self.x.correct(seen.x, seen.noise_x)
        self.y.correct(seen.y, seen.noise_y)
        self.width.correct(seen.width, seen.noise_x)
        self.height.correct(seen.height, seen.noise_y)

    def distance(self, seen: Measured) -> float:
        """Squared Mahalanobis distance between the centres.

        Chi-squared with two degrees of freedom where both are the same object. The spread that it is measured in grows
        with the size of the box, with time and with ignorance of the velocity.
        """
        x, y = self.x, self.y
        across, down = x.value - seen.x, y.value - seen.y
        return across * across / (x.variance + seen.noise_x) + down * down / (y.variance + seen.noise_y)

    def doubt(self, seen: Measured) -> float:
        """The `distance` from which on the box is likelier somebody else's, who might be anywhere in the frame.

        Both likelihoods equal: the normal density at that distance, and 1 for each frame's area. It falls below zero
        for an object that has been out of sight for so long that it, too, might be anywhere.
        """
        return -log((2 * pi) ** 2 * (self.x.variance + seen.noise_x) * (self.y.variance + seen.noise_y))
