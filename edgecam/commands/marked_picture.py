"""Marks drawn on a picture, with their names: zones, lines with their directions, masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.glyphs import text_mask
from edgecam.lines import Line
from edgecam.marks import Marks
from edgecam.overlay import PALETTE, SMALLEST
from edgecam.plates import INK, WHITE, Colour
from edgecam.zones import Point, Polygon, Zone

Image = NDArray[np.uint8]
#: Positions are handed to OpenCV in sixteenths of a pixel.
_SHIFT = 4
_FILL = 0.3
_MASK_FILL = 0.65


def draw_marks(image: Image, marks: Marks) -> None:
    """Draw on `image`, in place: uint8 RGB [h, w, 3], contiguous. Masks are dark, zones and lines have colours."""
    pen = _Pen(image)
    for number, mask in enumerate(marks.masks, 1):
        pen.polygon(mask, INK, _MASK_FILL)
        pen.name(f"mask {number}", _middle(mask), INK, WHITE)
    for zone, colour in zip(marks.zones, _colours(marks.zones), strict=True):
        pen.polygon(zone.polygon, colour, _FILL)
    for line, colour in zip(marks.lines, _colours(marks.lines), strict=True):
        pen.line(line, colour)
    for zone, colour in zip(marks.zones, _colours(marks.zones), strict=True):
        pen.name(_said_of(zone, marks), _middle(zone.polygon), colour, INK)


def _said_of(zone: Zone, marks: Marks) -> str:
    """The zone's name and what else decides who is in it."""
    said = [zone.name, *(["required"] if zone.name in marks.required_zones else [])]
    said += [f"{zone.loitering_time:g} s"] if zone.loitering_time else []
    return ", ".join(said) + (f": {', '.join(zone.labels)}" if zone.labels else "")


def _colours(marks: Sequence[Zone] | Sequence[Line]) -> Iterable[Colour]:
    """One for each; those of lines begin at the other end of the palette."""
    palette = PALETTE[::-1] if marks and isinstance(marks[0], Line) else PALETTE
    return (palette[number % len(palette)] for number in range(len(marks)))


def _middle(polygon: Polygon) -> Point:
    """The point that is farthest from all edges, so that a name stands inside whatever the shape."""
    field = np.zeros((120, 160), np.uint8)
    corners = np.array([[x * 159, y * 119] for x, y in polygon])
    cv2.fillPoly(field, [np.rint(corners).astype(np.int32)], 1)
    distance = cv2.distanceTransform(np.pad(field, 1), cv2.DIST_L2, 3)
    row, column = np.unravel_index(int(np.argmax(distance)), distance.shape)
    return min(1.0, (float(column) - 1) / 159), min(1.0, (float(row) - 1) / 119)


class _Pen:
    """Draws on one picture; sizes follow its height."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._height, self._width = image.shape[:2]
        self._unit: float = max(SMALLEST, self._height / 720)
        self._named: list[tuple[int, int, int, int]] = []

    def polygon(self, polygon: Polygon, colour: Colour, fill: float) -> None:
        corners = np.array([self._place(point) for point in polygon], np.int32)
        cover = np.zeros((self._height, self._width), np.uint8)
        cv2.fillPoly(cover, [corners], 255, cv2.LINE_AA, _SHIFT)
        self._paint(self._image, cover, colour, fill)
        for tint, width in ((INK, 5), (colour, 3)):
            cv2.polylines(self._image, [corners], True, tint, self._thick(width), cv2.LINE_AA, _SHIFT)

    def line(self, line: Line, colour: Colour) -> None:
        """The line, an arrow across it each way, and the directions' names at their tips."""
        ends = [self._place(point) for point in line.points]
        for tint, width in ((INK, 6), (colour, 4)):
            cv2.line(self._image, ends[0], ends[1], tint, self._thick(width), cv2.LINE_AA, _SHIFT)
        (x0, y0), (x1, y1) = ((x * self._width, y * self._height) for x, y in line.points)
        length = max(1.0, float(np.hypot(x1 - x0, y1 - y0)))
        right = np.array([-(y1 - y0), x1 - x0]) / length
        reach = 55 * self._unit
        for part, way, name in ((0.4, right, line.directions[0]), (0.6, -right, line.directions[1])):
            start = np.array([x0 + part * (x1 - x0), y0 + part * (y1 - y0)])
            self._arrow(start, start + way * reach, colour)
            self._name_at(name, start + way * (reach + 14 * self._unit), colour, INK)
        self._name_at(line.name, np.array([(x0 + x1) / 2, (y0 + y1) / 2]), colour, INK)

    def name(self, text: str, point: Point, colour: Colour, ink: Colour) -> None:
        """A name on a plate of `colour`, in the middle around a point, as far as the picture reaches."""
        self._name_at(text, np.array([point[0] * self._width, point[1] * self._height]), colour, ink)

    def _arrow(self, start: NDArray[np.floating], tip: NDArray[np.floating], colour: Colour) -> None:
        ends = [(round(float(x)), round(float(y))) for x, y in (start, tip)]
        for tint, width in ((INK, 5), (colour, 3)):
            cv2.arrowedLine(self._image, ends[0], ends[1], tint, self._thick(width), cv2.LINE_AA, tipLength=0.3)

    def _name_at(self, text: str, centre: NDArray[np.floating], colour: Colour, ink: Colour) -> None:
        mask = text_mask(text, 17 * self._unit)
        pad = round(5 * self._unit)
        height, width = mask.shape[0] + pad, mask.shape[1] + 2 * pad
        left = min(max(0, round(float(centre[0])) - width // 2), max(0, self._width - width))
        top = min(max(0, round(float(centre[1])) - height // 2), max(0, self._height - height))
        while top + 2 * height <= self._height and self._is_named(left, top, left + width, top + height):
            top += height // 2
        self._named.append((left, top, left + width, top + height))
        plate = self._image[top : top + height, left : left + width]
        self._paint(plate, np.full(plate.shape[:2], 255, np.uint8), colour, 0.9)
        inner = plate[pad // 2 :, pad:][: mask.shape[0], : mask.shape[1]]
        self._paint(inner, mask[: inner.shape[0], : inner.shape[1]], ink, 1.0)

    def _is_named(self, left: int, top: int, right: int, bottom: int) -> bool:
        """Whether another name stands there."""
        return any(left < x1 and x0 < right and top < y1 and y0 < bottom for x0, y0, x1, y1 in self._named)

    def _place(self, point: Point) -> tuple[int, int]:
        """In sixteenths of a pixel, kept inside so that an edge along the frame is seen."""
        x, y = point[0] * self._width - 0.5, point[1] * self._height - 0.5
        scale = 1 << _SHIFT
        return round(min(self._width - 2, max(1, x)) * scale), round(min(self._height - 2, max(1, y)) * scale)

    def _thick(self, width: float) -> int:
        return max(1, round(width * self._unit))

    @staticmethod
    def _paint(window: Image, cover: Image, colour: Colour, opacity: float) -> None:
        weight = (cover.astype(np.float32) * (opacity / 255))[..., None]
        window[...] = np.rint(window * (1 - weight) + np.array(colour, np.float32) * weight).astype(np.uint8)
