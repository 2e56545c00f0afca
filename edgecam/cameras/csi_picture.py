"""From the camera's buffers to a frame's pictures: strides taken off, turned upright, in one copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.picture_pool import PICTURES
from edgecam.yuv import Planes, blank, planes, rgb_from_planes, shrink

Image = NDArray[np.uint8]
Size = tuple[int, int]

#: What libcamera calls the formats; their bytes are those of DRM's fourccs, so that "BGR888" is R, G, B in memory.
YUV_FORMATS = frozenset({"YUV420", "YVU420", "NV12", "NV21"})
RGB_FORMATS = frozenset({"BGR888", "RGB888"})

_ROTATIONS = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}


class Layout(NamedTuple):
    """How a stream's pictures lie in its buffers, as the camera granted it; size is (width, height) in pixels."""

    format: str
    size: Size
    stride_bytes: int
    bt709: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """Flips, and then quarter turns clockwise."""

    hflip: bool = False
    vflip: bool = False
    quarters: int = 0

    def size(self, size: Size) -> Size:
        """The (width, height) in pixels that a picture of `size` has when it is turned, or had before it was."""
        return (size[1], size[0]) if self.quarters % 2 else size

    def copy(self, source: Image, target: Image) -> None:
        """Write `source`, turned, into `target`."""
        flipped = source[:: -1 if self.vflip else 1, :: -1 if self.hflip else 1]
        if self.quarters:
            cv2.rotate(flipped, _ROTATIONS[self.quarters], target)
        else:
            np.copyto(target, flipped)


def main_picture(buffer: Image, layout: Layout, turn: Turn) -> Image:
    """A buffer's picture as a new I420 picture; this is the one copy of it."""
    image = blank(turn.size(layout.size))
    for source, target in zip(_planes_in(buffer, layout), planes(image), strict=True):
        turn.copy(source, target)
    return image


def lores_picture(buffer: Image, layout: Layout, size: Size, turn: Turn) -> Image:
    """A buffer's picture as a new RGB picture, uint8 [h, w, 3], of (width, height) pixels once it is turned."""
    before = turn.size(size)
    if layout.format in YUV_FORMATS:
        rgb = rgb_from_planes(_planes_in(buffer, layout), before, bt709=layout.bt709)
        if turn == Turn():
            return rgb
    else:
        rgb = shrink(_rgb_in(buffer, layout), before)
    turned = PICTURES.empty((size[1], size[0], 3))
    turn.copy(rgb, turned)
    return turned


def _planes_in(buffer: Image, layout: Layout) -> Planes:
    """The Y, U and V planes as views of the buffer, which holds `size[1]` lines of `stride_bytes` and then chroma."""
    (width, height), stride = layout.size, layout.stride_bytes
    half = (height // 2, width // 2)
    y = np.ndarray((height, width), np.uint8, buffer, 0, (stride, 1))
    start = stride * height
    if layout.format in {"NV12", "NV21"}:
        first, second = (np.ndarray(half, np.uint8, buffer, start + at, (stride, 2)) for at in (0, 1))
    else:
        starts = (start, start + stride // 2 * half[0])
        first, second = (np.ndarray(half, np.uint8, buffer, at, (stride // 2, 1)) for at in starts)
    return (y, second, first) if layout.format in {"YVU420", "NV21"} else (y, first, second)


def _rgb_in(buffer: Image, layout: Layout) -> Image:
    """The red, green and blue of the buffer, as a view of it."""
    (width, height), stride = layout.size, layout.stride_bytes
    rgb = np.ndarray((height, width, 3), np.uint8, buffer, 0, (stride, 3, 1))
    return rgb[:, :, ::-1] if layout.format == "RGB888" else rgb
