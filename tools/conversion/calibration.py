"""The pictures that a quantisation is measured on: whole ones and pieces of them, the same at every run."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.errors import InputError

_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
#: A piece of a picture has at least this part of its sides.
_LEAST_SIDE = 0.4
FEWEST = 10
"""Fewer pictures than this say too little of the values within a network."""


def picture_files(folder: Path) -> list[Path]:
    """The pictures in a folder and those below it, sorted. Raises InputError where there are too few."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: give one with pictures as the camera will take them")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS and path.is_file())
    if len(files) < FEWEST:
        raise InputError(f"{folder}: {len(files)} pictures, {FEWEST} at least are wanted to measure a quantisation")
    return files


def pictures(
    files: Sequence[Path], size: tuple[int, int], count: int, resize: str = "stretch"
) -> Iterator[NDArray[np.uint8]]:
    """`count` RGB pictures [height, width, 3] of `size` (width, height): first whole ones, then pieces, also mirrored.

    Raises InputError where a file is no picture.
    """
    chance = random.Random(0)
    for number in range(count):
        image = _read(files[number % len(files)])
        if number >= len(files):
            image = _piece(image, chance)
        yield fitted(image, size, resize)


def fitted(image: NDArray[np.uint8], size: tuple[int, int], resize: str) -> NDArray[np.uint8]:
    """A picture at another size: stretched, or with its shape kept and black around it (`letterbox`)."""
    if resize == "stretch":
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    height, width = image.shape[:2]
    factor = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * factor)), max(1, round(height * factor))
    whole = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    whole[top : top + inner[1], left : left + inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    return whole


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): check the file's permissions") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise InputError(f"{path}: not a picture that can be read: take it out of the folder")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _piece(image: NDArray[np.uint8], chance: random.Random) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    part = chance.uniform(_LEAST_SIDE, 1)
    top, left = int(chance.random() * (1 - part) * height), int(chance.random() * (1 - part) * width)
    piece = image[top : top + max(1, int(part * height)), left : left + max(1, int(part * width))]
    return np.ascontiguousarray(piece[:, ::-1] if chance.random() < 0.5 else piece)
