"""From a picture to a model's input tensor: size, normalisation and quantisation."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.errors import InputError
from edgecam.models.forms import INPUT_DTYPES

#: What SSD models expect of float inputs unless they say otherwise: values from -1 to 1.
_MEAN = _STD = (127.5,)
#: Rounding alone makes two ways to the same levels differ by up to this much.
_ROUNDING_LEVELS = 2


def level_table(
    dtype: str, scale: float, zero_point: int, mean: tuple[float, ...] = (), std: tuple[float, ...] = ()
) -> NDArray[np.generic]:
    """What each of the values 0 to 255 becomes in the input tensor: [256, 3] of `dtype`, one column per channel.

    Float inputs get (value - mean) / std. Integer inputs get the value itself, moved to the start of the type's range
    (uint8: value, int8: value - 128): a model's scale and zero point were made so that its range is a picture's range.
    Only where the model states a `mean` and `std` that lead elsewhere through its quantisation,
    q = round((value - mean) / std / scale) + zero_point, are those taken at their word.
    Raises ValueError for a dtype that is none of `INPUT_DTYPES`.
    """
    values = np.repeat(np.arange(256.0)[:, None], 3, axis=1)
    real: NDArray[np.float64] = (values - np.asarray(mean or _MEAN)) / np.asarray(std or _STD)
    if dtype == "float32":
        return real.astype(np.float32)
    if dtype not in INPUT_DTYPES:
        raise ValueError(f"input of type {dtype}: one of {INPUT_DTYPES} is wanted")
    limits = np.iinfo(dtype)
    levels = values + limits.min
    if mean and std and scale > 0:
        stated = np.clip(np.rint(real / scale) + zero_point, limits.min, limits.max)
        if np.abs(stated - levels).max() > _ROUNDING_LEVELS:
            levels = stated
    return levels.astype(dtype)


class Placement(NamedTuple):
    """Where in a model's input a picture is, in fractions of the input."""

    left: float
    top: float
    width: float
    height: float

    def in_picture(self, boxes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Boxes [n, 4] in fractions of the input as fractions of the picture, cut at its edges, and which they are.

        Those that are outside the picture as a whole are left out.
        """
        if self == WHOLE:
            return boxes, np.arange(len(boxes))
        moved = (boxes - (self.left, self.top) * 2) / ((self.width, self.height) * 2)
        inside = np.clip(moved, 0.0, 1.0)
        there = np.flatnonzero((inside[:, 2:] > inside[:, :2]).all(axis=1))
        return inside[there], there


#: The picture fills the input.
WHOLE = Placement(0.0, 0.0, 1.0, 1.0)


class PictureEncoder:
    """Makes input tensors [1, height, width, 3] of pictures: RGB, uint8 [h, w, 3], any size.

    `size` is the model's (width, height); `table` comes from `level_table`, its columns in the model's order of
    channels, which is B, G, R with `bgr`. A picture is stretched to fit; with `letterbox` it keeps its shape and is put
    in the middle, with black on two sides.
    """

    def __init__(
        self, size: tuple[int, int], table: NDArray[np.generic], *, letterbox: bool = False, bgr: bool = False
    ) -> None:
        self._size = size
        self._table = np.ascontiguousarray(table).reshape(1, 256, 3)
        self._as_it_is = table.dtype == np.uint8 and bool((table == np.arange(256)[:, None]).all())
        self._letterbox = letterbox
        self._bgr = bgr

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.generic]:
        """The input tensor. The picture is not changed. Raises InputError where it is no RGB picture."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise InputError(f"picture of {image.dtype} {list(image.shape)}: RGB, uint8 [height, width, 3] is wanted")
        if (image.shape[1], image.shape[0]) != self._size:
            image = self._fitted(image)
        if self._bgr:
            image = np.ascontiguousarray(image[:, :, ::-1])
        levels = image if self._as_it_is else cv2.LUT(np.ascontiguousarray(image), self._table)
        return np.ascontiguousarray(levels)[None]

    def placement(self, image: NDArray[np.uint8]) -> Placement:
        """Where in the input a picture is."""
        (left, top), (width, height) = self._place(image)
        across, down = self._size
        return Placement(left / across, top / down, width / across, height / down)

    def _place(self, image: NDArray[np.uint8]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Left and top, width and height of the picture in the input, in pixels."""
        if not self._letterbox:
            return (0, 0), self._size
        scale = min(self._size[0] / image.shape[1], self._size[1] / image.shape[0])
        width, height = (max(1, round(side * scale)) for side in (image.shape[1], image.shape[0]))
        return ((self._size[0] - width) // 2, (self._size[1] - height) // 2), (width, height)

    def _fitted(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        (left, top), size = self._place(image)
        # Linear also where it shrinks: the models were trained on such pictures (COCO AP 0.214, area 0.203).
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        if size == self._size:
            return image
        whole = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        whole[top : top + size[1], left : left + size[0]] = image
        return whole
