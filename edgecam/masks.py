"""Privacy masks: parts of a picture that are made black before anything looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.yuv import Image, planes
from edgecam.zones import Point, Polygon

Covered = NDArray[np.bool_]

_BLACK = (16, 128, 128)
"""Y, U and V, limited range."""


def covered(polygon: Polygon, size: tuple[int, int]) -> Covered:
    """Which pixels of a picture of (width, height) pixels a polygon touches, however little: bool [h, w].

    `polygon` has points in fractions of the picture, in any direction; where its outline crosses itself, what is
    inside is told by the even-odd rule.
    """
    width, height = size
    touched = np.zeros((height, width), np.bool_)
    corners = [(x * width, y * height) for x, y in polygon]
    edges = list(zip(corners, corners[1:] + corners[:1], strict=True))
    for row in _rows(corners, height):
        middle = row + 0.5
        crossings = sorted(_x_at(edge, middle) for edge in edges if (edge[0][1] > middle) != (edge[1][1] > middle))
        for left, right in zip(crossings[::2], crossings[1::2], strict=True):
            touched[row, max(0, ceil(left - 0.5)) : max(0, ceil(right - 0.5))] = True
    for edge in edges:
        _touch(touched, edge)
    return touched


def _rows(points: Sequence[Point], height: int) -> range:
    """The rows of pixels from the highest to the lowest of the points."""
    tops = [y for _, y in points]
    return range(max(0, floor(min(tops))), min(height, ceil(max(tops))))


def _x_at(edge: tuple[Point, Point], y: float) -> float:
    """Where a line that is not level is at the height `y`, or else at its end that is nearest."""
    (x0, y0), (x1, y1) = sorted(edge, key=lambda point: point[1])
    return x0 + (min(max(y, y0), y1) - y0) * (x1 - x0) / (y1 - y0)


def _touch(touched: Covered, edge: tuple[Point, Point]) -> None:
    """Add the pixels that a straight line, in pixels, goes through."""
    (x0, y0), (x1, y1) = edge
    for row in _rows(edge, touched.shape[0]):
        ends = (x0, x1) if y0 == y1 else (_x_at(edge, row), _x_at(edge, row + 1))
        touched[row, max(0, floor(min(ends))) : max(0, ceil(max(ends)))] = True


class _Patch(NamedTuple):
    """The rectangle of a plane around one polygon: where it is, what is covered in it (255, else 0), and black."""

    rows: slice
    columns: slice
    covered: Image
    black: Image


class PrivacyMask:
    """Polygons to be made black in pictures of one size.

    Every pixel that a polygon touches is black, of the luma as of the chroma, and in the small picture the pixels
    around them as well: they were mixed from their neighbours.
    """

    def __init__(self, polygons: Sequence[Polygon], size: tuple[int, int], lores_size: tuple[int, int]) -> None:
        """Work out what is covered: some 50 ms, once, for two polygons at 720p.

        Args:
            polygons: points in fractions of the frame.
            size: width and height of the main picture, pixels, both even.
            lores_size: width and height of the small picture, pixels.
        """
        self.size = size
        self.lores_size = lores_size
        half = size[0] // 2, size[1] // 2
        self._planes: tuple[list[_Patch], ...] = ([], [], [])
        self._lores = []
        for polygon in polygons:
            luma = covered(polygon, size)
            chroma = np.logical_or.reduce(luma.reshape(half[1], 2, half[0], 2), axis=(1, 3), dtype=np.bool_)
            for patches, plane, black in zip(self._planes, (luma, chroma, chroma), _BLACK, strict=True):
                patches.extend(_patch(plane, (), black))
            around = cv2.dilate(covered(polygon, lores_size).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            self._lores.extend(_patch(around, (3,), 0))

    def blacken(self, main: Image, lores: Image) -> None:
        """Make the covered parts black, in place.

        `main` is I420, uint8 [height * 3 // 2, width], `lores` RGB, uint8 [h, w, 3], both writable and of the sizes
        that were announced.
        """
        for plane, patches in zip(planes(main), self._planes, strict=True):
            _blacken(plane, patches)
        _blacken(lores, self._lores)


def _patch(plane: Covered, channels: tuple[int, ...], black: int) -> list[_Patch]:
    """The smallest rectangle with all that is covered; none where nothing is."""
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    if not rows.size:
        return []
    place = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    inside = np.where(plane[place], 255, 0).astype(np.uint8)
    return [_Patch(*place, inside, np.full((*inside.shape, *channels), black, np.uint8))]


def _blacken(picture: Image, patches: Sequence[_Patch]) -> None:
    for patch in patches:
        cv2.copyTo(patch.black, patch.covered, picture[patch.rows, patch.columns])
