"""From a picture to a model's input tensor: size, normalisation and quantisation."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.errors import InputError

#: The types of input tensors that pictures are made into.
DTYPES = ("uint8", "int8", "float32")

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
    Raises ValueError for a dtype that is none of `DTYPES`.
    """
    values = np.repeat(np.arange(256.0)[:, None], 3, axis=1)
    real: NDArray[np.float64] = (values - np.asarray(mean or _MEAN)) / np.asarray(std or _STD)
    if dtype == "float32":
        return real.astype(np.float32)
    if dtype not in DTYPES:
        raise ValueError(f"input of type {dtype}: one of {DTYPES} is wanted")
    limits = np.iinfo(dtype)
    levels = values + limits.min
    if mean and std and scale > 0:
        stated = np.clip(np.rint(real / scale) + zero_point, limits.min, limits.max)
        if np.abs(stated - levels).max() > _ROUNDING_LEVELS:
            levels = stated
    return levels.astype(dtype)


class PictureEncoder:
    """Makes input tensors [1, height, width, 3] of pictures: RGB, uint8 [h, w, 3], any size (stretched to fit).

    `size` is the model's (width, height); `table` comes from `level_table`.
    """

    def __init__(self, size: tuple[int, int], table: NDArray[np.generic]) -> None:
        self._size = size
        self._table = np.ascontiguousarray(table).reshape(1, 256, 3)
        self._as_it_is = table.dtype == np.uint8 and bool((table == np.arange(256)[:, None]).all())

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.generic]:
        """The input tensor. The picture is not changed. Raises InputError where it is no RGB picture."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise InputError(f"picture of {image.dtype} {list(image.shape)}: RGB, uint8 [height, width, 3] is wanted")
        if (image.shape[1], image.shape[0]) != self._size:
            # Linear also where it shrinks: the models were trained on such pictures (COCO AP 0.214, area 0.203).
            image = np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_LINEAR), np.uint8)
        levels = image if self._as_it_is else cv2.LUT(np.ascontiguousarray(image), self._table)
        return np.ascontiguousarray(levels)[None]
