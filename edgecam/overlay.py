"""The overlay: boxes, labels, clock and status, drawn straight onto planar YUV 4:2:0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.glyphs import text_mask, typeface
from edgecam.plates import Canvas, Colour, Floats, Plate, Sketch, Tiles, even, inside, rounded_box
from edgecam.types import BBox, Track

WHITE: Colour = (255, 255, 255)
INK: Colour = (12, 16, 22)
PALETTE: tuple[Colour, ...] = (
    (88, 212, 255),  # sky blue
    (255, 164, 0),  # amber
    (38, 236, 156),  # bluish green
    (252, 104, 176),  # pink
    (254, 248, 120),  # yellow
    (255, 116, 81),  # vermilion
    (165, 144, 255),  # violet
)
"""After Okabe and Ito (jfly.uni-koeln.de/color), then moved until every eye tells them apart: tests/test_overlay.py."""
KNOWN = {"person": 0, "car": 1, "dog": 2, "cat": 3, "bird": 4, "truck": 5, "bus": 5, "bicycle": 6, "motorcycle": 6}
"""Labels that often stand side by side get colours of their own; any other takes one by its hash."""

SMALLEST = 0.6
"""Below this share of the sizes at 720 lines text cannot be read, nor a line's colour be told."""

_Place = tuple[int, int, int, int]  # left, top, right, bottom in pixels, all even


class Overlay:
    """Draws what the tracks say onto a picture; knows nothing of where it comes from and goes to.

    Sizes follow the picture's height; `scale` multiplies them all. Drawn parts are cached, so that a frame costs only
    the laying of small plates.
    """

    def __init__(
        self, *, show_labels: bool = True, show_clock: bool = True, show_status: bool = True, scale: float = 1.0
    ) -> None:
        self._show_labels = show_labels
        self._show_clock = show_clock
        self._show_status = show_status
        self._scale = scale

    def draw(self, image: NDArray[np.uint8], tracks: Iterable[Track], wall: datetime | None, status: str) -> None:
        """Draw on `image`, in place: I420, uint8 [h * 3 // 2, w], contiguous, width and height even.

        Every track given is drawn, a predicted one with a dashed box. `wall` is shown as it stands, in its own time
        zone; None leaves the clock out, an empty status the status.
        """
        canvas = Canvas(image)
        unit = max(SMALLEST, self._scale * canvas.height / 720)
        visible: list[tuple[_Place, Track]] = []
        for track in sorted(tracks, key=lambda track: track.track_id):
            place = _visible(track.bbox, canvas, _margin_px(unit))
            if place is not None:
                visible.append((place, track))
                _draw_box(canvas, place, _Pen(colour_of(track.label), unit, track.predicted))
        clock = f"{wall:%Y-%m-%d  %H:%M:%S}" if wall is not None and self._show_clock else ""
        taken = _draw_strip(canvas, status if self._show_status else "", clock, unit)
        if self._show_labels:
            _draw_labels(canvas, visible, taken, unit)


def colour_of(label: str) -> Colour:
    """The colour of a label, the same in every process."""
    known = KNOWN.get(label)
    return PALETTE[crc32(label.encode(errors="replace")) % len(PALETTE) if known is None else known]


class _Pen(NamedTuple):
    """What a box is drawn with; `unit` is 1 for a picture 720 pixels high."""

    colour: Colour
    unit: float
    dashed: bool

    @property
    def accent_px(self) -> float:
        """Thickness of the line at the corners."""
        return 4 * self.unit

    @property
    def line_px(self) -> float:
        """Thickness of the line between the corners; the outer side is the same."""
        return 2 * self.unit

    def stroke(self, distance: Floats, width: float) -> Plate:
        """A line of `width` pixels where the distance is zero, with a dark seam on either side."""
        opacity = 0.7 if self.dashed else 1.0
        sketch = Sketch(distance.shape[1], distance.shape[0])
        away = np.abs(distance)
        sketch.paint(inside(away - width / 2 - self.unit), INK, 0.45 * opacity)
        sketch.paint(inside(away - width / 2), self.colour, opacity)
        return sketch.plate()


@lru_cache(maxsize=256)
def _corners(pen: _Pen, corner: int) -> Tiles:
    """The four corners of a box: 2 x 2 tiles."""
    margin = _margin_px(pen.unit)
    width = pen.line_px if pen.dashed else pen.accent_px
    inset = margin - (pen.accent_px - width) / 2
    distance = rounded_box(2 * corner, 2 * corner, max(0.0, min(7 * pen.unit, corner - margin)), inset)
    return pen.stroke(distance, width).tiles(2, 2)


@lru_cache(maxsize=64)
def _edges(pen: _Pen, length: int, *, upright: bool) -> Tiles:
    """The upper and lower (upright: left and right) edge of a box, each two margins thick: two tiles."""
    margin = _margin_px(pen.unit)
    outward = (pen.accent_px - pen.line_px) / 2
    upper = np.arange(2 * margin, dtype=np.float32) + 0.5 - margin + outward
    distance = np.repeat(np.concatenate([upper, upper[::-1]])[:, None], length, axis=1)
    if pen.dashed:
        distance[:, np.arange(length) // even(9 * pen.unit) % 2 == 0] = length
    plate = pen.stroke(distance.T if upright else distance, pen.line_px)
    return plate.tiles(1, 2) if upright else plate.tiles(2, 1)


def _visible(bbox: BBox, canvas: Canvas, margin: int) -> _Place | None:
    """The visible part of the box, so far inside that its line is seen whole; None where there is none."""
    seen = bbox.clipped()
    right, bottom = canvas.width - margin, canvas.height - margin
    x0, x1 = (min(right, max(margin, 2 * round(x * canvas.width / 2))) for x in (seen.xmin, seen.xmax))
    y0, y1 = (min(bottom, max(margin, 2 * round(y * canvas.height / 2))) for y in (seen.ymin, seen.ymax))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _draw_box(canvas: Canvas, place: _Place, pen: _Pen) -> None:
    margin = _margin_px(pen.unit)
    left, top = place[0] - margin, place[1] - margin
    width, height = place[2] + margin - left, place[3] + margin - top
    corner, thick = _corner_px(min(width, height), pen.unit), 2 * margin
    across, down = _edges(pen, canvas.width, upright=False), _edges(pen, canvas.height, upright=True)
    canvas.spread(across, (left + corner, top), (0, height - thick), (width - 2 * corner, thick))
    canvas.spread(down, (left, top + corner), (width - thick, 0), (thick, height - 2 * corner))
    canvas.spread(_corners(pen, corner), (left, top), (width - corner, height - corner), (corner, corner))


def _draw_strip(canvas: Canvas, status: str, clock: str, unit: float) -> list[_Place]:
    """Draw the strip along the lower edge and return the place it takes.

    The clock stands right, the status left; what finds no room is left out.
    """
    if not status and not clock:
        return []
    em = _em_px(unit)
    pad = even(0.6 * em)
    strip = _scrim(canvas.width, even(2.8 * em))
    top = canvas.height - strip.height
    canvas.lay(strip, 0, top)
    room = canvas.width - pad
    for text, right in ((clock, True), (status, False)):
        plate = _line(text, em)
        if text and plate.width + pad <= room:
            canvas.lay(plate, room - plate.width if right else pad, canvas.height - even(0.3 * em) - plate.height)
            room -= plate.width + pad
    return [(0, top, canvas.width, canvas.height)]


def _draw_labels(canvas: Canvas, visible: list[tuple[_Place, Track]], taken: list[_Place], unit: float) -> None:
    for place, track in visible:
        percent = round(100 * min(1.0, max(0.0, track.score)))
        plate = _label(track.label, percent, track.track_id, _em_px(unit), dimmed=track.predicted)
        spot = _free(_label_places(canvas, place, plate, _margin_px(unit)), taken)
        canvas.lay(plate, spot[0], spot[1])
        taken.append(spot)


def _label_places(canvas: Canvas, box: _Place, plate: Plate, margin: int) -> Iterator[_Place]:
    """Where a box's label may stand, best first: above, inside where the box is at the top edge, below, inside."""
    above, below = box[1] - margin - plate.height, box[3] + margin
    lowest = max(0, canvas.height - plate.height)
    inside = min(box[1] + margin, lowest)
    tops = [above, below, inside] if above >= 0 else [inside, below]
    rightmost = max(0, canvas.width - plate.width)
    for top in tops:
        for left in (box[0] - margin // 4 * 2, box[2] + margin // 4 * 2 - plate.width):
            x = max(0, min(left, rightmost))
            if top <= lowest:
                yield x, top, x + plate.width, top + plate.height


def _free(places: Iterator[_Place], taken: list[_Place]) -> _Place:
    """The first place that nothing has taken; failing that, the first."""
    first = place = next(places)
    while any(_overlap(place, other) for other in taken):
        following = next(places, None)
        if following is None:
            return first
        place = following
    return place


def _overlap(one: _Place, other: _Place) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _em_px(unit: float) -> float:
    return 17 * unit


def _margin_px(unit: float) -> int:
    return even(3 * unit)


def _corner_px(shorter_side: int, unit: float) -> int:
    return min(even(26 * unit + _margin_px(unit)), max(2, shorter_side // 8 * 2))


@lru_cache(maxsize=4)
def _scrim(width: int, height: int) -> Plate:
    """A shade that grows darker downwards."""
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    sketch = Sketch(width, height)
    sketch.paint(np.repeat(ramp * ramp * (3 - 2 * ramp), width, axis=1), INK, 0.75)
    return sketch.plate()


@lru_cache(maxsize=16)
def _line(text: str, em: float) -> Plate:
    """White text in a soft shadow."""
    reach = even(0.15 * em)
    mask = np.pad(text_mask(text, em), reach)
    sketch = Sketch(mask.shape[1], mask.shape[0])
    sketch.paint(np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.09 * em), np.uint8), INK, 0.8)
    sketch.paint(mask, WHITE)
    return sketch.plate()


@lru_cache(maxsize=512)
def _label(label: str, percent: int, track_id: int, em: float, *, dimmed: bool) -> Plate:
    parts = [(text_mask(label, em), 1.0), (text_mask(f"{percent}%", em), 0.85), (text_mask(f"#{track_id}", em), 0.6)]
    pad, space = 0.5 * em, 0.36 * em
    width = even(2 * pad + sum(mask.shape[1] for mask, _ in parts) + 2 * space)
    height = even(1.45 * em)
    sketch = Sketch(width, height)
    sketch.paint(inside(rounded_box(width, height, 0.3 * em)), colour_of(label), 0.75 if dimmed else 0.95)
    face = typeface()
    top = round(height / 2 - (face.baseline_px - face.capital_px / 2) * em / face.em_px)
    pen = pad
    for mask, strength in parts:
        sketch.paint(mask[max(0, -top) : height - top], INK, strength, at=(round(pen), max(0, top)))
        pen += mask.shape[1] + space
    return sketch.plate()
