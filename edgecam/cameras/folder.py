"""A folder of pictures, played like a video."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecam.cameras.source import Picture
from edgecam.cameras.still import ENDINGS, read_picture
from edgecam.errors import EndOfStream, InputError
from edgecam.yuv import even, planes, rgb_to_i420, shrink

log = logging.getLogger(__name__)


class PictureFolder:
    """The pictures of a folder in the order of their names, each `1 / fps` seconds after the one before.

    All have the size of the first: others are fitted into it, with black bars. Broken pictures are reported to
    `on_damage` and skipped.
    """

    def __init__(self, path: Path, fps: float, on_damage: Callable[[], None]) -> None:
        self.fps: float | None = fps
        self.frames: int | None = None
        self.duration: float | None = None
        self._path = path
        self._on_damage = on_damage
        self._pictures: Iterator[NDArray[np.uint8]] = iter(())
        self._size = (0, 0)

    def open(self) -> None:
        try:
            paths = sorted(path for path in self._path.iterdir() if path.suffix.lower() in ENDINGS)
        except OSError as error:
            raise InputError(f"{self._path}: cannot be read: {error.strerror}") from error
        if not paths:
            kinds = ", ".join(sorted(ending[1:] for ending in ENDINGS))
            raise InputError(f"{self._path}: no pictures in this folder: it needs some of {kinds}")
        self.frames, self.duration = len(paths), len(paths) / (self.fps or 1)
        self._size = (0, 0)
        self._pictures = self._readable(paths)

    def next(self) -> Picture | None:
        rgb = next(self._pictures, None)
        if rgb is None and self._size == (0, 0):
            raise InputError(f"{self._path}: none of the {self.frames} pictures in this folder can be read")
        if rgb is None:
            raise EndOfStream(f"{self._path}: no more pictures")
        self._size = self._size if any(self._size) else even((rgb.shape[1], rgb.shape[0]))
        return Picture(planes(rgb_to_i420(_fitted(rgb, self._size))))

    def close(self) -> None:
        self._pictures = iter(())

    def _readable(self, paths: list[Path]) -> Iterator[NDArray[np.uint8]]:
        for path in paths:
            try:
                picture = read_picture(path)
                if min(picture.shape[:2]) < 2:
                    raise InputError(f"{path}: less than 2x2 pixels")
            except InputError as error:
                log.warning("%s (skipped)", error)
                self._on_damage()
                continue
            yield picture


def _fitted(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture scaled to fit into `size` (width, height), centred on black."""
    height, width = picture.shape[:2]
    if even((width, height)) == size:
        return picture
    scale = min(size[0] / width, size[1] / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    x, y = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas[y : y + inner[1], x : x + inner[0]] = shrink(picture, inner)
    return canvas
