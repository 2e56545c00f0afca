"""An I420 picture to draw on: plates are gathered, and blended all in one go."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.plates import Bytes, Plate

Area = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, all even: chroma has half the resolution."""
_BYTE = np.dtype(np.uint8)


class _Waiting(NamedTuple):
    """A plate to be laid; `apart` is how far the second of a pair is from the first, 0 where there is but one."""

    plate: Plate
    left: int
    top: int
    apart: int = 0
    upright: bool = False


_Laid = tuple[NDArray[np.generic], NDArray[np.generic]]
"""A part of the picture that a plate covers: in the picture itself, and where it is copied to."""


class Canvas:
    """An I420 picture to draw on, in place: uint8 [height * 3 // 2, width], contiguous, width and height even.

    What is added is gathered until `finish` blends it all in one go: on small plates it is the calls that cost.
    """

    def __init__(self, image: Bytes) -> None:
        if not (image.flags.c_contiguous and image.flags.writeable):
            raise ValueError("the picture to draw on must be contiguous and writable")
        self.height, self.width = image.shape[0] * 2 // 3, image.shape[1]
        self._image = image
        self._luma_bytes = self.height * self.width
        self._areas: list[Area] = []
        self._waiting: list[_Waiting] = []

    def lay(self, plate: Plate, left: int, top: int) -> None:
        """Lay a plate with its corner at (left, top), now; what reaches outside the picture is left out."""
        if left == 0 and plate.width == self.width and 0 <= top <= self.height - plate.height:
            self.finish()
            self._lay_rows(plate, top)
        else:
            self.add(plate, left, top)
            self.finish()

    def add(self, plate: Plate, left: int, top: int) -> None:
        """Lay a plate at the next `finish`."""
        right, bottom = left + plate.width, top + plate.height
        if left < 0 or top < 0 or right > self.width or bottom > self.height:
            if right <= 0 or bottom <= 0 or left >= self.width or top >= self.height:
                return
            plate = plate.part(
                slice(max(0, -top), self.height - top if bottom > self.height else None),
                slice(max(0, -left), self.width - left if right > self.width else None),
            )
            left, top = max(0, left), max(0, top)
            right, bottom = left + plate.width, top + plate.height
        self._claim((left, top, right, bottom))
        self._waiting.append(_Waiting(plate, left, top))

    def surround(self, area: Area, across: Plate, down: Plate) -> None:
        """Lay two pairs of bands around an area of the picture at the next `finish`.

        `across` is along its upper and its lower edge; `down`, of the height that is left between those, along its
        left and its right edge. The area must lie in the picture.
        """
        self._claim(area)
        left, top, right, bottom = area
        self._waiting.append(_Waiting(across, left, top, bottom - top - across.height))
        self._waiting.append(_Waiting(down, left, top + across.height, right - left - down.width, True))

    def finish(self) -> None:
        """Blend what was added, in the order in which it was."""
        if not self._waiting:
            return
        waiting, self._waiting, self._areas = self._waiting, [], []
        plates = [item.plate.samples for item in waiting]
        keep, add = np.concatenate(plates, axis=1) if len(plates) > 1 else plates[0]
        samples: Bytes = np.empty(keep.size, np.uint8)
        laid: list[_Laid] = []
        begin = 0
        for item in waiting:
            laid += self._laid(item, samples, begin)
            begin += item.plate.samples.shape[1]
        for picture, copy in laid:
            copy[...] = picture
        cv2.multiply(samples, keep, samples, 1 / 255)
        np.add(samples, add, samples)
        for picture, copy in laid:
            picture[...] = copy

    def _lay_rows(self, plate: Plate, top: int) -> None:
        """Lay a plate as wide as the picture: in each plane it is all in one piece."""
        picture, (keep, add) = self._image.reshape(-1), plate.samples
        pixels, first = plate.height * plate.width, top * self.width
        begin = 0
        for size, offset in (
            (pixels, first),
            (pixels // 4, self._luma_bytes + first // 4),
            (pixels // 4, (self._luma_bytes * 5 + first) // 4),
        ):
            end, samples = begin + size, picture[offset : offset + size]
            cv2.multiply(samples, keep[begin:end], samples, 1 / 255)
            np.add(samples, add[begin:end], samples)
            begin = end

    def _claim(self, area: Area) -> None:
        """Have what waits laid first where the new overlaps it."""
        if overlap(area, self._areas):
            self.finish()
        self._areas.append(area)

    def _laid(self, item: _Waiting, samples: Bytes, begin: int) -> tuple[_Laid, _Laid]:
        """Where a plate lies, in luma and in chroma; its samples begin at `begin` among the others'."""
        (height, width, both), left, top, apart, upright = item
        row, plane = self.width, self._luma_bytes // 4
        shape: tuple[int, ...]
        steps: tuple[int, ...]
        half_shape: tuple[int, ...]
        half_steps: tuple[int, ...]
        half_row, half_height, half_width = row // 2, height // 2, width // 2
        luma, chroma = top * row + left, 4 * plane + top // 2 * half_row + left // 2
        kind: np.dtype[Any] = _BYTE
        half_kind: np.dtype[Any] = _BYTE
        if not apart:
            shape, steps = (height, width), (row, 1)
            half_shape, half_steps = (2, half_height, half_width), (plane, half_row, 1)
        elif upright:
            kind, half_kind = _run(width), _run(half_width)
            shape, steps = (2, height), (apart, row)
            half_shape, half_steps = (2, 2, half_height), (plane, apart // 2, half_row)
        else:
            shape, steps = (2, height, width), (apart * row, row, 1)
            half_shape = (2, 2, half_height, half_width)
            half_steps = (plane, apart // 2 * half_row, half_row, 1)
        array, picture, middle = np.ndarray, self._image, begin + both.shape[1] * 2 // 3
        return (
            (array(shape, kind, picture, luma, steps), array(shape, kind, samples, begin)),
            (array(half_shape, half_kind, picture, chroma, half_steps), array(half_shape, half_kind, samples, middle)),
        )


def overlap(area: Area, others: Iterable[Area]) -> bool:
    """Whether the area has a pixel in common with any of the others."""
    left, top, right, bottom = area
    for x0, y0, x1, y1 in others:  # noqa: SIM110 (any() takes three times as long)
        if left < x1 and x0 < right and top < y1 and y0 < bottom:
            return True
    return False


@cache
def _run(length: int) -> np.dtype[np.void]:
    """So many bytes as one thing to copy."""
    return np.dtype((np.void, length))
