"""Owns the frame being painted: anti-aliased actors, their shadows, and which pixel belongs to whom."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.scenes.shapes import RGB, Shape

WIDE = 16 / 9
_SHIFT = 4
_SUB = 1 << _SHIFT

Image = NDArray[np.uint8]
Polygon = NDArray[np.int32]


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

    @property
    def empty(self) -> bool:
        """True where no pixel is left."""
        return self.x0 >= self.x1 or self.y0 >= self.y1


class Placement(NamedTuple):
    """Where a drawing stands: its origin in units of the picture height (x up to 16/9), units per drawing unit, facing +1 or -1."""

    x: float
    y: float
    scale: float
    facing: float


class Canvas:
    """A frame under construction with, for every pixel, the number of the actor seen there (0: none).

    One unit is the picture's height; the picture is 16/9 units wide at any pixel size, so that every size shows the same.
    """

    def __init__(self, frame: Image) -> None:
        """Paint into `frame`, uint8 [height, width, 3]."""
        self.frame = frame
        self.height, self.width = frame.shape[:2]
        self.owner: Image = np.zeros((self.height, self.width), np.uint8)
        self.line_px = max(1, round(self.height * 0.003))

    def project(self, shapes: list[Shape], at: Placement, upright: float = 1.0, lean: float = 0.0) -> list[Polygon]:
        """The shapes as fixed-point pixel polygons; `upright` scales heights (negative: mirrored below), `lean` shears them."""
        points = np.concatenate([shape.points for shape in shapes])
        across = at.x + at.scale * (at.facing * points.real + lean * points.imag)
        down = at.y - at.scale * upright * points.imag
        pixels = np.stack([across * (self.width / WIDE) - 0.5, down * self.height - 0.5], axis=1)
        fixed = np.round(pixels * _SUB).astype(np.int32)
        ends = np.cumsum([len(shape.points) for shape in shapes])[:-1]
        return np.split(fixed, ends)

    def bounds(self, polygons: list[Polygon], margin: int) -> Area:
        """The pixels the polygons touch, grown by `margin`; may reach outside the frame."""
        low = np.min([polygon.min(axis=0) for polygon in polygons], axis=0) // _SUB
        high = np.max([polygon.max(axis=0) for polygon in polygons], axis=0) // _SUB + 1
        return Area(int(low[0]) - margin, int(low[1]) - margin, int(high[0]) + margin + 1, int(high[1]) + margin + 1)

    def inside(self, area: Area) -> Area:
        """The part of `area` inside the frame."""
        return area.clipped(self.width, self.height)

    def paint(self, shapes: list[Shape], at: Placement, number: int, colours: list[RGB], contour: RGB) -> tuple[Area, int]:
        """Paint an actor and mark its pixels with `number`.

        Returns the pixels touched and how many pixels the actor would show unoccluded on an endless frame.
        """
        polygons = self.project(shapes, at)
        area = self.bounds(polygons, self.line_px + 1)
        visible = self.inside(area)
        outlined = [polygon for polygon, shape in zip(polygons, shapes, strict=True) if shape.outlined]
        origin = np.array([area.x0, area.y0], np.int32) * _SUB
        mask: Image = np.zeros((area.y1 - area.y0, area.x1 - area.x0), np.uint8)
        local = [polygon - origin for polygon in outlined]
        cv2.polylines(mask, local, True, 1, self.line_px, cv2.LINE_8, _SHIFT)
        for polygon in local:
            cv2.fillPoly(mask, [polygon], 1, cv2.LINE_8, _SHIFT)
        full = cv2.countNonZero(mask)
        if visible.empty:
            return area, full
        cv2.polylines(self.frame, outlined, True, contour, self.line_px + 1, cv2.LINE_AA, _SHIFT)
        for polygon, colour in zip(polygons, colours, strict=True):
            cv2.fillPoly(self.frame, [polygon], colour, cv2.LINE_AA, _SHIFT)
        window = (slice(visible.y0, visible.y1), slice(visible.x0, visible.x1))
        inner = mask[visible.y0 - area.y0 : visible.y1 - area.y0, visible.x0 - area.x0 : visible.x1 - area.x0]
        self.owner[window][inner > 0] = number
        return area, full

    def darken(self, polygons: list[Polygon], strength: float, blur_px: int) -> Area:
        """Darken the ground under a soft silhouette; returns the pixels touched."""
        area = self.inside(self.bounds(polygons, 2 * blur_px + 1))
        if area.empty:
            return area
        mask: Image = np.zeros((area.y1 - area.y0, area.x1 - area.x0), np.uint8)
        origin = np.array([area.x0, area.y0], np.int32) * _SUB
        for polygon in polygons:
            cv2.fillPoly(mask, [polygon - origin], int(255 * strength), cv2.LINE_8, _SHIFT)
        kernel = 2 * blur_px + 1
        mask = cv2.blur(mask, (kernel, kernel))
        window = self.frame[area.y0 : area.y1, area.x0 : area.x1]
        cv2.multiply(window, cv2.merge([255 - mask] * 3), window, 1 / 255)
        return area

    def mirror(self, polygons: list[Polygon], colours: list[RGB], strength: float) -> Area:
        """Lay a faint reflection of the polygons over the ground; returns the pixels touched."""
        area = self.inside(self.bounds(polygons, 2))
        if area.empty:
            return area
        window = self.frame[area.y0 : area.y1, area.x0 : area.x1]
        reflected = window.copy()
        origin = np.array([area.x0, area.y0], np.int32) * _SUB
        for polygon, colour in zip(polygons, colours, strict=True):
            cv2.fillPoly(reflected, [polygon - origin], colour, cv2.LINE_8, _SHIFT)
        reflected = cv2.blur(reflected, (3, max(3, (self.height // 60) | 1)))
        cv2.addWeighted(window, 1 - strength, reflected, strength, 0, window)
        return area
