"""The outline of a box: a line of its colour between two dark seams, its corners thicker; drawn once, laid often."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from edgecam.canvas import Area, Canvas
from edgecam.plates import INK, Colour, Floats, Paint, Plate, Sketch, even, inside, joined, paired, rounded_box

_LONGEST_RUN_PX = 16
"""Runs of 2, 4, 8 and 16 bytes are copied quickest."""


class Pen:
    """What boxes are drawn with; equal pens are one and the same, see `pen_of`."""

    def __init__(self, colour: Colour, unit: float, *, dashed: bool) -> None:
        self.colour = colour
        self.unit = unit
        self.dashed = dashed
        self.accent_px = 4 * unit
        """Thickness of the line at the corners."""
        self.line_px = 2 * unit
        """Thickness of the line between the corners; the outer side is the same."""
        self.margin_px = margin_px(unit)
        self.longest_corner_px = even(26 * unit + self.margin_px)
        self.across_px = 2 * self.margin_px + 2
        """Thickness of the bands along the upper and the lower edge: all of a round corner but its straight ends."""
        least = 2 * self.margin_px
        self.down_px = least if least > _LONGEST_RUN_PX else 1 << (least - 1).bit_length()
        """Thickness of the bands along the left and the right edge."""
        self.shortest_corner_px = max(self.across_px, self.down_px)

    def draw(self, sketch: Sketch, distance: Floats, width: float) -> None:
        """Draw a line of `width` pixels where the distance is zero, with a dark seam on either side."""
        opacity = 0.7 if self.dashed else 1.0
        away = np.abs(distance) - width / 2
        sketch.paint(inside(away - self.unit), INK, 0.45 * opacity)
        sketch.paint(inside(away), self.colour, opacity)

    def stroke(self, distance: Floats, width: float) -> Paint:
        sketch = Sketch(distance.shape[1], distance.shape[0])
        self.draw(sketch, distance, width)
        return sketch.finished()


@lru_cache(maxsize=64)
def pen_of(colour: Colour, unit: float, *, dashed: bool) -> Pen:
    """The pen for boxes of a colour; `unit` is 1 for a picture 720 pixels high."""
    return Pen(colour, unit, dashed=dashed)


def margin_px(unit: float) -> int:
    """How far outlines reach out of their boxes."""
    return even(3 * unit)


def draw_outline(canvas: Canvas, box: Area, pen: Pen) -> None:
    """Draw around a box that lies a margin inside the picture."""
    margin = pen.margin_px
    left, top, right, bottom = box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin
    width, height = right - left, bottom - top
    corner = min(pen.longest_corner_px, max(2, min(width, height) // 8 * 2))
    if corner < pen.shortest_corner_px:
        canvas.add(_small(pen, corner, width, height), left, top)
    else:
        across = _across(pen, corner, width, canvas.width)
        down = _down(pen, corner, height - 2 * pen.across_px, canvas.height)
        canvas.surround((left, top, right, bottom), across, down)


@lru_cache(maxsize=128)
def _across(pen: Pen, corner: int, width: int, longest: int) -> Plate:
    """The upper and the lower edge of an outline, from corner to corner."""
    ends, rows = _corners(pen, corner, upright=False), slice(None)
    between = _edges(pen, longest, upright=False).part(rows, slice(0, width - 2 * corner))
    return joined([ends.part(rows, slice(0, corner)), between, ends.part(rows, slice(corner, None))], -1).plate()


@lru_cache(maxsize=128)
def _down(pen: Pen, corner: int, height: int, longest: int) -> Plate:
    """The left and the right edge of an outline, between its upper and its lower one."""
    ends, columns, end = _corners(pen, corner, upright=True), slice(None), corner - pen.across_px
    between = _edges(pen, longest, upright=True).part(slice(0, height - 2 * end), columns)
    return joined([ends.part(slice(0, end), columns), between, ends.part(slice(end, None), columns)], -2).plate()


@lru_cache(maxsize=64)
def _corners(pen: Pen, corner: int, *, upright: bool) -> Paint:
    """What the four corners of an outline have of its two bands across, or of those down between them, as a pair."""
    paint, taken = pen.stroke(*_rounding(pen, corner)), pen.across_px
    if not upright:
        columns = slice(None)
        return paired(paint.part(slice(0, taken), columns), paint.part(slice(2 * corner - taken, None), columns))
    rows = slice(taken, 2 * corner - taken)
    return paired(paint.part(rows, slice(0, pen.down_px)), paint.part(rows, slice(2 * corner - pen.down_px, None)))


@lru_cache(maxsize=32)
def _edges(pen: Pen, length: int, *, upright: bool) -> Paint:
    """The upper and the lower (upright: left and right) edge of an outline, as a pair."""
    thick = pen.down_px if upright else pen.across_px
    distance, first, second, whole = _straight(pen, length, thick), slice(0, thick), slice(thick, None), slice(None)
    if upright:
        paint = pen.stroke(distance.T, pen.line_px)
        return paired(paint.part(whole, first), paint.part(whole, second))
    paint = pen.stroke(distance, pen.line_px)
    return paired(paint.part(first, whole), paint.part(second, whole))


@lru_cache(maxsize=128)
def _small(pen: Pen, corner: int, width: int, height: int) -> Plate:
    """A whole outline, too small to be put together."""
    thick, sketch = 2 * pen.margin_px, Sketch(width, height)
    for upright in (False, True):
        sides = _straight(pen, (height if upright else width) - 2 * corner, thick)
        distance = np.full((width, height) if upright else (height, width), np.inf, np.float32)
        distance[:thick, corner:-corner] = sides[:thick]
        lower = distance[-thick:, corner:-corner]
        lower[...] = np.where(np.abs(sides[thick:]) < np.abs(lower), sides[thick:], lower)
        pen.draw(sketch, distance.T if upright else distance, pen.line_px)
    corners, line = _rounding(pen, corner)
    distance = np.full((height, width), np.inf, np.float32)
    for rows in (slice(0, corner), slice(-corner, None)):
        for columns in (slice(0, corner), slice(-corner, None)):
            distance[rows, columns] = corners[rows, columns]
    pen.draw(sketch, distance, line)
    return sketch.plate()


def _rounding(pen: Pen, corner: int) -> tuple[Floats, float]:
    """How far each pixel of the four corners, side by side, is from their line, and how thick that is."""
    line = pen.line_px if pen.dashed else pen.accent_px
    radius = max(0.0, min(7 * pen.unit, corner - pen.margin_px))
    return rounded_box(2 * corner, 2 * corner, radius, pen.margin_px - (pen.accent_px - line) / 2), line


def _straight(pen: Pen, length: int, thick: int) -> Floats:
    """How far each pixel is from its line: `thick` rows of the upper edge, and below them as many of the lower."""
    outward = (pen.accent_px - pen.line_px) / 2
    first = np.arange(thick, dtype=np.float32) + 0.5 - pen.margin_px + outward
    distance = np.repeat(np.concatenate([first, first[::-1]])[:, None], length, axis=1)
    if pen.dashed:
        distance[:, np.arange(length) // even(9 * pen.unit) % 2 == 0] = np.inf
    return distance
