"""Owns the flat coloured shapes that everything in a scene is made of, and the curves that outline them.

Points are complex numbers (x + y*1j) with y upwards, in whatever unit the drawing uses; a drawing is a list of shapes,
painted first to last.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RGB = tuple[int, int, int]
Points = NDArray[np.complex128]

_CIRCLE: Points = np.exp(2j * np.pi * np.arange(22) / 22)
_HALF: Points = np.exp(1j * np.linspace(np.pi / 2, 3 * np.pi / 2, 8))


class Shape(NamedTuple):
    """One filled polygon.

    `outlined` shapes also carry the actor's contour line, inner detail does not; `shining` ones are lamps that are on.
    """

    points: Points
    colour: RGB
    outlined: bool = True
    shining: bool = False


def poly(points: Sequence[tuple[float, float]], colour: RGB, *, outlined: bool = False) -> Shape:
    """A polygon with straight edges through `points`."""
    return Shape(np.array([complex(x, y) for x, y in points]), colour, outlined)


@lru_cache(maxsize=64)
def _corner_cutting(count: int) -> NDArray[np.float64]:
    """The matrix of two rounds of Chaikin's corner cutting on a closed polygon of `count` points (Chaikin 1974)."""
    matrix = np.eye(count)
    for _ in range(2):
        following = np.roll(matrix, -1, axis=0)
        cut = np.empty((2 * len(matrix), count))
        cut[0::2] = 0.8 * matrix + 0.2 * following
        cut[1::2] = 0.2 * matrix + 0.8 * following
        matrix = cut
    return matrix


def rounded(points: Sequence[tuple[float, float]], colour: RGB, *, outlined: bool = True) -> Shape:
    """A polygon with its corners cut round; it stays inside the polygon through `points`."""
    corners = np.array([complex(x, y) for x, y in points])
    return Shape(_corner_cutting(len(corners)) @ corners, colour, outlined)


def disc(centre: complex, rx: float, ry: float, colour: RGB, angle: float = 0.0, *, outlined: bool = True) -> Shape:
    """An ellipse turned by `angle` radians counter-clockwise."""
    points = rx * _CIRCLE.real + 1j * ry * _CIRCLE.imag
    return Shape(centre + points * complex(np.cos(angle), np.sin(angle)), colour, outlined)


def limb(start: complex, end: complex, width: float, end_width: float, colour: RGB, *, outlined: bool = True) -> Shape:
    """A tapering bar with round ends from `start` to `end`."""
    along = end - start
    along = along / (abs(along) or 1.0)
    return Shape(
        np.concatenate([start + 0.5 * width * along * _HALF, end - 0.5 * end_width * along * _HALF]), colour, outlined
    )


def moved(shapes: list[Shape], offset: complex) -> list[Shape]:
    """The drawing shifted by `offset`."""
    return [shape._replace(points=shape.points + offset) for shape in shapes]


def shade(colour: RGB, factor: float) -> RGB:
    """`colour` made darker (factor < 1) or lighter."""
    r, g, b = colour
    return (min(255, int(r * factor)), min(255, int(g * factor)), min(255, int(b * factor)))


def mix(first: RGB, second: RGB, part: float) -> RGB:
    """`first` moved towards `second` by `part` (0 to 1)."""
    r, g, b = (int(a + (c - a) * part) for a, c in zip(first, second, strict=True))
    return (r, g, b)
