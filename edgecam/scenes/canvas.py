"""Owns the frame being painted: anti-aliased actors, their shadows, and which pixel belongs to whom."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.scenes.shapes import RGB, Points, Shape

WIDE = 16 / 9
_SHIFT = 4
_SUB = 1 << _SHIFT
_LINE = 0.0022

Image = NDArray[np.uint8]
Polygon = NDArray[np.int32]

_FROM_RIGHT: Image = np.array([[122, 134, 142], [108, 128, 138], [92, 112, 124]], np.uint8)
_SHADING: dict[int, Image] = {1: _FROM_RIGHT, -1: np.ascontiguousarray(_FROM_RIGHT[:, ::-1])}
_GLOW = 150 * np.clip(1 - np.hypot(*np.mgrid[-1:1:65j, -1:1:65j]), 0, 1).astype(np.float32) ** 2


class Area(NamedTuple):
    """A rectangle of pixels, the ends exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int

    def clipped(self, width: int, height: int) -> "Area":
        """The part inside a picture of that size."""
        return Area(max(0, self.x0), max(0, self.y0), min(width, self.x1), min(height, self.y1))

    def common(self, other: "Area") -> "Area":
        """The part shared with `other`."""
        return Area(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))

    def union(self, other: "Area") -> "Area":
        """The smallest rectangle around both."""
        return Area(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    @property
    def empty(self) -> bool:
        """True where no pixel is left."""
        return self.x0 >= self.x1 or self.y0 >= self.y1


class Placement(NamedTuple):
    """Where a drawing stands: its origin and unit in picture heights (x up to 16/9), facing +1 or -1."""

    x: float
    y: float
    scale: float
    facing: float


class Canvas:
    """A frame under construction with, for every pixel, the number of the actor seen there (0: none).

    One unit is the picture's height; the picture is 16/9 units wide at any pixel size, so every size shows the same.
    """

    def __init__(self, frame: Image) -> None:
        """Paint into `frame`, uint8 [height, width, 3]."""
        self.frame = frame
        self.height, self.width = frame.shape[:2]
        self.owner: Image = np.zeros((self.height, self.width), np.uint8)

    def project(
        self, shapes: list[Shape], at: Placement, upright: float = 1.0, lean: float = 0.0, grow: float = 0.0
    ) -> tuple[list[Polygon], Area]:
        """The shapes as fixed-point pixel polygons, and the pixels they touch (may reach outside the frame).

        `upright` scales heights (negative: mirrored below), `lean` shears them, `grow` moves every edge outwards by so
        many units.
        """
        points = np.concatenate([shape.points for shape in shapes])
        sizes = np.array([len(shape.points) for shape in shapes])
        if grow:
            points = points + grow / at.scale * _outward(points, sizes)
        pixels = np.empty((len(points), 2))
        pixels[:, 0] = (at.x + at.scale * (at.facing * points.real + lean * points.imag)) * (self.width / WIDE) - 0.5
        pixels[:, 1] = (at.y - at.scale * upright * points.imag) * self.height - 0.5
        fixed = np.rint(pixels * _SUB).astype(np.int32)
        (left, top), (right, bottom) = fixed.min(axis=0) // _SUB, fixed.max(axis=0) // _SUB
        ends = np.cumsum(sizes).tolist()
        polygons = [fixed[end - size : end] for end, size in zip(ends, sizes.tolist(), strict=True)]
        return polygons, Area(int(left) - 1, int(top) - 1, int(right) + 3, int(bottom) + 3)

    def inside(self, area: Area) -> Area:
        """The part of `area` inside the frame."""
        return area.clipped(self.width, self.height)

    def paint(
        self, shapes: list[Shape], at: Placement, number: int, colours: list[RGB], contour: RGB, lit_side: float
    ) -> tuple[Area, int]:
        """Paint an actor inside its contour line, lit from `lit_side` (-1: left), and mark its pixels with `number`.

        Returns the pixels touched and how many pixels the actor would show unoccluded on an endless frame.
        """
        silhouette, area = self.project([shape for shape in shapes if shape.outlined], at, grow=_LINE)
        seen = self.inside(area)
        if seen.empty:
            return seen, 1
        origin = np.array([area.x0, area.y0], np.int32) * _SUB
        mask: Image = np.zeros((area.y1 - area.y0, area.x1 - area.x0), np.uint8)
        for polygon in silhouette:
            cv2.fillPoly(mask, [polygon - origin], 1, cv2.LINE_8, _SHIFT)
            cv2.fillPoly(self.frame, [polygon], contour, cv2.LINE_AA, _SHIFT)
        self.draw(shapes, at, colours)
        inner = mask[seen.y0 - area.y0 : seen.y1 - area.y0, seen.x0 - area.x0 : seen.x1 - area.x0]
        cv2.copyTo(inner * np.uint8(number), inner, self.owner[seen.y0 : seen.y1, seen.x0 : seen.x1])
        window = self.frame[seen.y0 : seen.y1, seen.x0 : seen.x1]
        shading = cv2.resize(_SHADING[int(lit_side)], mask.shape[::-1])[
            seen.y0 - area.y0 : seen.y1 - area.y0, seen.x0 - area.x0 : seen.x1 - area.x0
        ]
        cv2.copyTo(cv2.multiply(window, cv2.merge([shading] * 3), None, 1 / 128), inner, window)
        return seen, cv2.countNonZero(mask)

    def draw(self, shapes: list[Shape], at: Placement, colours: list[RGB]) -> None:
        """Paint shapes without contour or mark."""
        for polygon, colour in zip(self.project(shapes, at)[0], colours, strict=True):
            cv2.fillPoly(self.frame, [polygon], colour, cv2.LINE_AA, _SHIFT)

    def darken(self, polygons: list[Polygon], reach: Area, strength: float) -> Area:
        """Darken the ground under a soft silhouette; returns the pixels touched."""
        blur_px = max(1, round(self.height * 0.004))
        area = self.inside(Area(reach.x0 - blur_px, reach.y0 - blur_px, reach.x1 + blur_px, reach.y1 + blur_px))
        if area.empty:
            return area
        mask: Image = np.zeros((area.y1 - area.y0, area.x1 - area.x0), np.uint8)
        origin = np.array([area.x0, area.y0], np.int32) * _SUB
        for polygon in polygons:
            cv2.fillPoly(mask, [polygon - origin], round(255 * strength), cv2.LINE_8, _SHIFT)
        kernel = 2 * blur_px + 1
        light = cv2.bitwise_not(cv2.blur(mask, (kernel, kernel)))
        window = self.frame[area.y0 : area.y1, area.x0 : area.x1]
        cv2.multiply(window, cv2.merge([light] * 3), window, 1 / 255)
        return area

    def glow(self, lamp: Shape, at: Placement, radius: float) -> Area:
        """Lay a soft light of `radius` units around a lamp; returns the pixels touched."""
        centre = lamp.points.mean()
        x = (at.x + at.scale * at.facing * centre.real) * self.width / WIDE
        y = (at.y - at.scale * centre.imag) * self.height
        reach = round(radius * self.height)
        whole = Area(round(x) - reach, round(y) - reach, round(x) + reach, round(y) + reach)
        area = self.inside(whole)
        if area.empty:
            return area
        disc = cv2.resize(_GLOW, (2 * reach, 2 * reach))[
            area.y0 - whole.y0 : area.y1 - whole.y0, area.x0 - whole.x0 : area.x1 - whole.x0
        ]
        light = np.multiply(disc[:, :, None], np.array(lamp.colour, np.float32) / 255).astype(np.uint8)
        window = self.frame[area.y0 : area.y1, area.x0 : area.x1]
        cv2.add(window, light, window)
        return area

    def mirror(self, polygons: list[Polygon], reach: Area, colours: list[RGB], strength: float) -> Area:
        """Lay a faint reflection of the polygons over the ground; returns the pixels touched."""
        area = self.inside(reach)
        if area.empty:
            return area
        window = self.frame[area.y0 : area.y1, area.x0 : area.x1]
        reflected = window.copy()
        origin = np.array([area.x0, area.y0], np.int32) * _SUB
        for polygon, colour in zip(polygons, colours, strict=True):
            cv2.fillPoly(reflected, [polygon - origin], colour, cv2.LINE_8, _SHIFT)
        blurred = cv2.blur(reflected, (3, max(3, (self.height // 60) | 1)))
        cv2.addWeighted(window, 1 - strength, blurred, strength, 0, window)
        return area


def _outward(points: Points, sizes: NDArray[np.int64]) -> Points:
    """For every point of the polygons laid end to end, the unit vector pointing out of its polygon."""
    ends = np.cumsum(sizes)
    starts = ends - sizes
    following, preceding = np.arange(1, len(points) + 1), np.arange(-1, len(points) - 1)
    following[ends - 1], preceding[starts] = starts, ends - 1
    area = np.add.reduceat((points.conj() * points[following]).imag, starts)
    along = points[following] - points[preceding]
    turn = np.repeat(np.where(area > 0, -1j, 1j), sizes)
    return np.asarray(turn * along / np.maximum(np.abs(along), 1e-9), np.complex128)
