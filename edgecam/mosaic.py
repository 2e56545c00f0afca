"""Several cameras in one picture: a grid of cells, each with its camera's newest picture, its name, what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.canvas import Canvas
from edgecam.glyphs import text_mask
from edgecam.plates import Colour, Plate, Sketch, even, inside, rounded_box
from edgecam.yuv import Planes, blank, planes

Image = NDArray[np.uint8]

BLACK = (16, 128, 128)
"""Y, U and V where no picture is."""
DIMMED = 0.35
"""What is left of the light and the colour of a picture that is out of date."""
SEAM_PX = 2
"""Width of the dark line between two cells."""
SHADE: Colour = (12, 16, 22)
WHITE: Colour = (255, 255, 255)
_SHAPE = 16 / 9
"""Of most cameras' pictures."""


class Place(NamedTuple):
    """A part of a picture, in pixels, all even."""

    left: int
    top: int
    width: int
    height: int


def grid(count: int, size: tuple[int, int]) -> tuple[int, int]:
    """Columns and rows of the grid that shows `count` pictures largest in `size` (width, height), with fewest rows.

    On a screen of 16:9 these are 2x1, 2x2, 3x2, 3x3, 4x3, 4x4.
    """

    def merit(columns: int) -> tuple[int, int, int]:
        rows = -(-count // columns)
        return round(min(size[0] / columns, size[1] / rows * _SHAPE)), -rows, -columns

    columns = max(range(1, count + 1), key=merit)
    return columns, -(-count // columns)


def letterbox(size: tuple[int, int], room: tuple[int, int]) -> Place:
    """Where a picture of `size` lies in `room` (both width, height): as large as it fits, centred, on even pixels."""
    scale = min(room[0] / size[0], room[1] / size[1])
    width, height = (
        min(most // 2 * 2, max(2, round(side * scale / 2) * 2)) for side, most in zip(size, room, strict=True)
    )
    return Place((room[0] - width) // 4 * 2, (room[1] - height) // 4 * 2, width, height)


class Mosaic:
    """One I420 picture, `image`, made once and drawn on again and again: nothing is allocated for a frame.

    It has a cell for each of `names`, in order, on a grid; a cell that never got a picture is black.
    """

    def __init__(self, size: tuple[int, int], names: Sequence[str]) -> None:
        """`size` is (width, height) in pixels, both even. Raises ValueError for one that is not, or too small."""
        self.image = blank(size)
        fill(planes(self.image))
        columns, rows = grid(len(names), size)
        if size[0] < 2 * columns or size[1] < 2 * rows:
            raise ValueError(f"{size[0]}x{size[1]} pixels: no room for {len(names)} pictures")
        across, down = _cuts(size[0], columns), _cuts(size[1], rows)
        self._cells = []
        for index, name in enumerate(names):
            row, column = divmod(index, columns)
            left, top = across[column], down[row]
            area = Place(left, top, across[column + 1] - left, down[row + 1] - top)
            self._cells.append(_Cell(self.image, area, name))

    def put(self, index: int, picture: Image | None, note: str = "") -> None:
        """Draw a cell anew: an I420 picture of any size, as large as it fits, or none.

        With a note the picture is dimmed, and the note stands across it.
        """
        self._cells[index].put(picture, note)


class _Cell:
    """One camera's part of the mosaic. Each plane is scaled straight into it."""

    def __init__(self, image: Image, area: Place, name: str) -> None:
        self._canvas = Canvas(image)
        self._image = image
        self._area = area
        self._name = name
        self._em = min(28.0, max(13.0, area.height / 26))
        self._shape: tuple[int, ...] = ()
        self._place = area
        self._inner = window(image, area)
        self._ways: list[list[Image]] = []

    def put(self, picture: Image | None, note: str) -> None:
        if picture is None:
            self._clear(self._area)
        else:
            if picture.shape != self._shape:
                self._fit(picture)
            for plane, way in zip(planes(picture), self._ways, strict=True):
                for step in way:
                    cv2.resize(plane, (step.shape[1], step.shape[0]), dst=step, interpolation=cv2.INTER_LINEAR)
                    plane = step  # noqa: PLW2901 (on its way)
        if note and picture is not None:
            dim(self._inner)
        self._write(note)
        self._seam()

    def _clear(self, place: Place) -> None:
        """Nothing but black, and `place` for the picture that comes."""
        fill(window(self._image, self._area))
        self._shape, self._place, self._inner = (), place, window(self._image, place)

    def _fit(self, picture: Image) -> None:
        """Find the way for pictures of this size: what it passes through is made once."""
        size = (picture.shape[1], picture.shape[0] // 3 * 2)
        place = letterbox(size, (self._area.width, self._area.height))
        self._clear(place._replace(left=self._area.left + place.left, top=self._area.top + place.top))
        self._shape = picture.shape
        self._ways = [steps(plane.shape, view) for plane, view in zip(planes(picture), self._inner, strict=True)]

    def _write(self, note: str) -> None:
        place, pad = self._place, even(0.4 * self._em)
        room = (place.width - 2 * pad, place.height - 2 * pad)
        if self._name and (plate := caption(self._name, self._em, room)):
            self._canvas.lay(plate, place.left + pad, place.top + pad)
        if note and (plate := caption(note, self._em, room)):
            middle = (place.width - plate.width) // 4 * 2, (place.height - plate.height) // 4 * 2
            self._canvas.lay(plate, place.left + middle[0], place.top + middle[1])

    def _seam(self) -> None:
        """A dark line to the neighbours on the right and below; none where the picture ends."""
        area = self._area
        for plane, scale, value in zip(planes(self._image), (1, 2, 2), BLACK, strict=True):
            right, lower, wide = (area.left + area.width) // scale, (area.top + area.height) // scale, SEAM_PX // scale
            if right < plane.shape[1]:
                plane[area.top // scale : lower, right - wide : right] = value
            if lower < plane.shape[0]:
                plane[lower - wide : lower, area.left // scale : right] = value


def window(image: Image, place: Place) -> Planes:
    """The part of the planes of an I420 picture that lies at `place`, as views."""
    y, u, v = planes(image)
    rows, columns = slice(place.top, place.top + place.height), slice(place.left, place.left + place.width)
    half = np.s_[rows.start // 2 : rows.stop // 2, columns.start // 2 : columns.stop // 2]
    return y[rows, columns], u[half], v[half]


def steps(shape: tuple[int, ...], target: Image) -> list[Image]:
    """What a plane of `shape` [h, w] is scaled into, one after the other, `target` last.

    As `edgecam.yuv.shrink` does: each side is halved, which averages, while it is more than twice too large.
    """
    way: list[Image] = []
    height, width = shape
    while height > 2 * target.shape[0] or width > 2 * target.shape[1]:
        height = (height + 1) // 2 if height > 2 * target.shape[0] else height
        width = (width + 1) // 2 if width > 2 * target.shape[1] else width
        way.append(np.empty((height, width), np.uint8))
    return [*way, target]


def fill(parts: Planes) -> None:
    """Make planes black, in place."""
    for plane, value in zip(parts, BLACK, strict=True):
        plane[...] = value


def dim(parts: Planes) -> None:
    """Take light and colour from planes, in place."""
    for plane, value in zip(parts, BLACK, strict=True):
        cv2.convertScaleAbs(plane, dst=plane, alpha=DIMMED, beta=value * (1 - DIMMED))


@lru_cache(maxsize=128)
def caption(text: str, em: float, room: tuple[int, int]) -> Plate | None:
    """White text on a dark plate, cut where it is longer than `room` (width, height); None where none fits."""
    mask = text_mask(text, em)
    pad, height = round(0.5 * em), even(1.45 * em)
    width = min(even(mask.shape[1] + 2 * pad), room[0] // 2 * 2)
    if height > room[1] or width < 4 * pad:
        return None
    sketch = Sketch(width, height)
    sketch.paint(inside(rounded_box(width, height, 0.3 * em)), SHADE, 0.65)
    top = (height - mask.shape[0]) // 2
    mask = mask[max(0, -top) : height - max(0, top), : width - 2 * pad]
    sketch.paint(mask, WHITE, at=(pad, max(0, top)))
    return sketch.plate()


def _cuts(length: int, parts: int) -> list[int]:
    """Where a length is cut into parts, on even pixels."""
    return [length * part // parts // 2 * 2 for part in range(parts + 1)]
