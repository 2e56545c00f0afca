"""Small translucent pictures that are laid on planar YUV 4:2:0, and the shapes they are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Bytes = NDArray[np.uint8]
Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""
INK: Colour = (12, 16, 22)
WHITE: Colour = (255, 255, 255)

_YUV = np.array(
    [
        [0, 0, 0, 1],
        [65.481 / 255, 128.553 / 255, 24.966 / 255, 16],
        [-37.797 / 255, -74.203 / 255, 112.0 / 255, 128],
        [112.0 / 255, -93.786 / 255, -18.214 / 255, 128],
    ],
    np.float32,
)
"""Cover, Y, U and V of premultiplied red, green, blue and cover: ITU-R BT.601, limited range, Y 16 to 235."""
_MIDDLE = 128


class Planes(NamedTuple):
    """One value for every sample of a picture, uint8: luma [..., h, w] and both chroma planes [2, ..., h/2, w/2]."""

    luma: Bytes
    chroma: Bytes

    def part(self, rows: slice, columns: slice) -> Planes:
        """What lies in these rows and columns, counted in luma; their bounds are even."""
        return Planes(self.luma[..., rows, columns], self.chroma[..., _half(rows), _half(columns)])

    def flat(self) -> Bytes:
        return np.concatenate((self.luma, self.chroma), axis=None)


class Paint(NamedTuple):
    """A translucent picture of even width and height, premultiplied.

    `keep` says how much of what lies below shows through, 255 is all of it; `add` is what is added to that.
    """

    keep: Planes
    add: Planes

    def part(self, rows: slice, columns: slice) -> Paint:
        return Paint(self.keep.part(rows, columns), self.add.part(rows, columns))

    def plate(self) -> Plate:
        """For a canvas."""
        height, width = self.keep.luma.shape[-2:]
        return Plate(height, width, np.stack((self.keep.flat(), self.add.flat())))


def joined(paints: Sequence[Paint], axis: int) -> Paint:
    """Paints side by side (axis -1) or one below the other (axis -2)."""

    def join(parts: Sequence[Planes]) -> Planes:
        luma, chroma = zip(*parts, strict=True)
        return Planes(np.concatenate(luma, axis), np.concatenate(chroma, axis))

    return Paint(join([paint.keep for paint in paints]), join([paint.add for paint in paints]))


def paired(first: Paint, second: Paint) -> Paint:
    """Two paints of one size, in a new dimension before rows and columns: for `Canvas.surround`."""

    def pair(one: Planes, other: Planes) -> Planes:
        return Planes(np.stack((one.luma, other.luma), -3), np.stack((one.chroma, other.chroma), -3))

    return Paint(pair(first.keep, second.keep), pair(first.add, second.add))


class Plate(NamedTuple):
    """A paint ready to be laid: the rows of `samples` [2, n] are `keep` and `add`, luma and then both chroma planes."""

    height: int
    width: int
    samples: Bytes

    def part(self, rows: slice, columns: slice) -> Plate:
        size, half = (self.height, self.width), (2, self.height // 2, self.width // 2)
        pixels = self.height * self.width
        keep, add = (Planes(flat[:pixels].reshape(size), flat[pixels:].reshape(half)) for flat in self.samples)
        return Paint(keep, add).part(rows, columns).plate()


class Sketch:
    """A picture in the making: layers of colour, one over the other, in premultiplied floats."""

    def __init__(self, width: int, height: int) -> None:
        self._layers = np.zeros((4, even(height), even(width)), np.float32)

    def paint(
        self, coverage: Floats | Bytes, colour: Colour, opacity: float = 1.0, at: tuple[int, int] = (0, 0)
    ) -> None:
        """Paint where `coverage` (floats 0 to 1, or bytes) says, with its corner at (x, y); it must lie inside."""
        scale = opacity / 255 if coverage.dtype == np.uint8 else opacity
        alpha = coverage * np.float32(scale)
        below = self._layers[:, at[1] : at[1] + coverage.shape[0], at[0] : at[0] + coverage.shape[1]]
        below *= 1 - alpha
        below += alpha * np.array((*colour, 1), np.float32)[:, None, None]

    def finished(self) -> Paint:
        return _paint(self._layers, _YUV)

    def plate(self) -> Plate:
        """The finished picture, for a canvas."""
        return self.finished().plate()


def mixture(shares: Floats, colours: Sequence[Colour]) -> Paint:
    """So much of each colour, [colours, h, w] of even height and width, at each pixel; the rest shows through."""
    weights = np.array([(*colour, 1) for colour in colours], np.float32).T
    return _paint(shares, _YUV @ weights)


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


def _paint(layers: Floats, yuv: Floats) -> Paint:
    """Of layers [n, h, w], and how much each of them counts in cover, Y, U and V [4, n]."""
    cover, luma = np.einsum("pn,nyx->pyx", yuv[:2], layers)
    half_cover, *chroma = np.einsum("pn,nyx->pyx", yuv[[0, 2, 3]], _halved(layers))
    keep, add = zip(_in_bytes(1 - cover, luma), _in_bytes(1 - half_cover, np.stack(chroma)), strict=True)
    return Paint(Planes(*keep), Planes(*add))


def _in_bytes(keep: Floats, add: Floats) -> tuple[Bytes, Bytes]:
    """Both for arithmetic in bytes; what rounding `keep` takes or gives is made up for at the middle of the range."""
    kept = np.rint(keep * 255)
    added = np.rint(add + (keep - kept / 255) * _MIDDLE)
    kept, added = np.broadcast_arrays(kept, np.clip(added, 0, 255 - kept))
    return kept.astype(np.uint8), added.astype(np.uint8)


def _halved(values: Floats) -> Floats:
    """The means of 2 x 2 pixels."""
    columns = values[..., ::2] + values[..., 1::2]
    halved: Floats = (columns[..., ::2, :] + columns[..., 1::2, :]) / 4
    return halved


def _half(bounds: slice) -> slice:
    start, stop = (None if bound is None else bound // 2 for bound in (bounds.start, bounds.stop))
    return slice(start, stop)
