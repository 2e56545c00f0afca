"""Small translucent pictures that are laid on planar YUV 4:2:0, and the shapes they are made of."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Words = NDArray[np.uint16]
Bytes = NDArray[np.uint8]
Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

# ITU-R BT.601, limited range: luma 16 to 235, chroma 16 to 240 around 128.
_LUMA = np.array([65.481, 128.553, 24.966], np.float32) / 255
_BLUE = np.array([-37.797, -74.203, 112.0], np.float32) / 255
_RED = np.array([112.0, -93.786, -18.214], np.float32) / 255
_HIGH_BYTE = 1 if sys.byteorder == "little" else 0


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """A translucent picture of even width and height, premultiplied and in fixed point (256 is one).

    `keep` and `chroma_keep` say how much of what lies below shows through, uint16 [h, w] and [h/2, w/2]; `luma` and
    `chroma` are what is added, uint16 [h, w] and [2, h/2, w/2].
    """

    keep: Words
    luma: Words
    chroma_keep: Words
    chroma: Words

    @property
    def width(self) -> int:
        return int(self.keep.shape[-1])

    @property
    def height(self) -> int:
        return int(self.keep.shape[-2])

    def tiles(self, rows: int, columns: int) -> Tiles:
        """The plate cut into tiles of one, even, size."""
        height, width = self.height // rows, self.width // columns
        full, half = (rows, height, columns, width), (rows, height // 2, columns, width // 2)
        return Tiles(
            self.keep.reshape(full).swapaxes(-3, -2),
            self.luma.reshape(full).swapaxes(-3, -2),
            self.chroma_keep.reshape(half).swapaxes(-3, -2),
            self.chroma.reshape(2, *half).swapaxes(-3, -2),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """A plate cut up, [row, column] before the dimensions of `Plate`: laid apart, in one go."""

    keep: Words
    luma: Words
    chroma_keep: Words
    chroma: Words


class Canvas:
    """An I420 picture to draw on, in place: uint8 [height * 3 // 2, width], contiguous, width and height even.

    Every place is even: chroma has half the resolution.
    """

    def __init__(self, image: Bytes) -> None:
        if not (image.flags.c_contiguous and image.flags.writeable):
            raise ValueError("the picture to draw on must be contiguous and writable")
        self.width = int(image.shape[1])
        self.height = int(image.shape[0]) * 2 // 3
        self._image = image
        self._luma = image[: self.height]
        self._chroma = image.reshape(-1)[self._luma.size :].reshape(2, self.height // 2, self.width // 2)

    def lay(self, plate: Plate, left: int, top: int) -> None:
        """Lay the plate with its corner at (left, top); what reaches outside the picture is left out."""
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(self.width, left + plate.width), min(self.height, top + plate.height)
        if x0 >= x1 or y0 >= y1:
            return
        part = np.s_[..., y0 - top : y1 - top, x0 - left : x1 - left]
        _mix(self._luma[y0:y1, x0:x1], plate.keep[part], plate.luma[part])
        x0, y0, x1, y1, left, top = x0 // 2, y0 // 2, x1 // 2, y1 // 2, left // 2, top // 2
        part = np.s_[..., y0 - top : y1 - top, x0 - left : x1 - left]
        _mix(self._chroma[:, y0:y1, x0:x1], plate.chroma_keep[part], plate.chroma[part])

    def spread(self, tiles: Tiles, corner: tuple[int, int], step: tuple[int, int], size: tuple[int, int]) -> None:
        """Lay the first `size` (width, height) of each tile, `step` (x, y) apart, from `corner` (left, top).

        All of it must lie in the picture. One operation for all tiles: for small ones the call is what costs.
        """
        part = np.s_[..., : size[1], : size[0]]
        keep, row = tiles.keep[part], self.width
        apart = (step[1] * row, step[0], row, 1)
        luma: Bytes = np.ndarray(keep.shape, np.uint8, self._image, corner[1] * row + corner[0], apart)
        _mix(luma, keep, tiles.luma[part])
        part = np.s_[..., : size[1] // 2, : size[0] // 2]
        keep, row = tiles.chroma_keep[part], row // 2
        offset = self._luma.size + corner[1] // 2 * row + corner[0] // 2
        planes_apart = (self._luma.size // 4, step[1] // 2 * row, step[0] // 2, row, 1)
        chroma: Bytes = np.ndarray((2, *keep.shape), np.uint8, self._image, offset, planes_apart)
        _mix(chroma, keep, tiles.chroma[part])


class Sketch:
    """A picture in the making: layers of colour, one over the other, in premultiplied floats."""

    def __init__(self, width: int, height: int) -> None:
        self._colour = np.zeros((even(height), even(width), 3), np.float32)
        self._cover = np.zeros(self._colour.shape[:2], np.float32)

    def paint(
        self, coverage: Floats | Bytes, colour: Colour, opacity: float = 1.0, at: tuple[int, int] = (0, 0)
    ) -> None:
        """Paint where `coverage` (floats 0 to 1, or bytes) says, with its corner at (x, y); it must lie inside."""
        scale = opacity / 255 if coverage.dtype == np.uint8 else opacity
        rows, columns = slice(at[1], at[1] + coverage.shape[0]), slice(at[0], at[0] + coverage.shape[1])
        alpha = coverage * np.float32(scale)
        below = 1 - alpha
        self._cover[rows, columns] = alpha + self._cover[rows, columns] * below
        layer = alpha[..., None] * np.array(colour, np.float32)
        self._colour[rows, columns] = layer + self._colour[rows, columns] * below[..., None]

    def plate(self) -> Plate:
        """The finished picture, for a canvas."""
        half_colour, half_cover = _halved(self._colour), _halved(self._cover)
        chroma = np.stack([half_colour @ _BLUE + 128 * half_cover, half_colour @ _RED + 128 * half_cover])
        return Plate(
            _fixed(1 - self._cover),
            _fixed(self._colour @ _LUMA + 16 * self._cover) + np.uint16(128),
            _fixed(1 - half_cover),
            _fixed(chroma) + np.uint16(128),
        )


def rounded_box(width: int, height: int, radius: float, inset: float = 0.0) -> Floats:
    """How far each pixel lies outside (positive) or inside the edge of a box with round corners, in pixels.

    The signed distance of I. Quilez, "2D distance functions": exact outside and along the edge.
    """
    x = np.abs(np.arange(width, dtype=np.float32) + 0.5 - width / 2) - (width / 2 - inset - radius)
    y = np.abs(np.arange(height, dtype=np.float32) + 0.5 - height / 2) - (height / 2 - inset - radius)
    across, down = np.meshgrid(x, y)
    outside = np.hypot(np.maximum(across, 0), np.maximum(down, 0))
    distance: Floats = outside + np.minimum(np.maximum(across, down), 0) - radius
    return distance


def inside(distance: Floats) -> Floats:
    """Coverage, 0 to 1 over one pixel, of the area whose edge lies at the given distances."""
    coverage: Floats = np.clip(0.5 - distance, 0, 1)
    return coverage


def even(length: float) -> int:
    """The next even number of pixels, at least 2: chroma has half the picture's resolution."""
    return max(2, 2 * math.ceil(length / 2))


def _mix(target: Bytes, keep: Words, add: Words) -> None:
    mixed = target * keep
    mixed += add
    target[...] = mixed.view(np.uint8)[..., _HIGH_BYTE::2]


def _fixed(values: Floats) -> Words:
    return np.rint(values * 256).astype(np.uint16)


def _halved(values: Floats) -> Floats:
    """The means of 2 x 2 pixels."""
    halved: Floats = (values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]) / 4
    return halved
