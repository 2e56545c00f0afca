"""Small pictures of events: the object and some of what is around it, cut from the event's picture."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.integer[Any] | np.floating[Any]]
"""BGR, uint8 [h, w, 3], as OpenCV says of its own."""
SIZE_PX = 175
"""Width and height of a thumbnail: Frigate's are as high."""
AROUND = 1.5
"""A thumbnail shows so many times the longer side of the box."""
LEAST_PX = 120
"""It shows at least so much of the picture."""
QUALITY = 75
KEPT_BYTES = 4 << 20
"""Thumbnails that are kept, all together."""


class Thumbnails:
    """Makes thumbnails, one at a time so that they take no more than one core, and keeps the latest. Thread-safe."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._lock = Lock()
        self._most = kept_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def of(self, path: Path, box: Sequence[float]) -> bytes | None:
        """The JPEG of what is in a box, in fractions of the picture at `path`; None where that cannot be read."""
        with self._lock:
            try:
                key = str(path), path.stat().st_mtime_ns
            except OSError:
                return None
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            picture = cv2.imread(str(path))
            made = None if picture is None else as_jpeg(_cut(picture, box), QUALITY)
            if made:
                self._keep(key, made)
            return made

    def scaled(self, path: Path, height: int | None, quality: int) -> bytes | None:
        """The picture at `path` with another height in pixels, not more than it has, and another JPEG quality."""
        with self._lock:
            picture = cv2.imread(str(path))
            if picture is None:
                return None
            rows, columns = picture.shape[:2]
            if height is not None and height < rows:
                size = max(1, round(columns * height / rows)), height
                picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            return as_jpeg(picture, quality)

    def _keep(self, key: tuple[str, int], jpeg: bytes) -> None:
        self._kept[key] = jpeg
        self._bytes += len(jpeg)
        while self._bytes > self._most:
            self._bytes -= len(self._kept.popitem(last=False)[1])


def as_jpeg(picture: Picture, quality: int) -> bytes | None:
    """A BGR picture as a JPEG file."""
    encoded, data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return data.tobytes() if encoded else None


def _cut(picture: Picture, box: Sequence[float]) -> Picture:
    """A square around a box, moved into the picture, at the size of a thumbnail."""
    height, width = picture.shape[:2]
    xmin, ymin, xmax, ymax = box
    longer = max((xmax - xmin) * width, (ymax - ymin) * height)
    side = round(min(max(longer * AROUND, LEAST_PX), width, height))
    left = _first((xmin + xmax) / 2 * width, side, width)
    top = _first((ymin + ymax) / 2 * height, side, height)
    square = picture[top : top + side, left : left + side]
    return cv2.resize(square, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)


def _first(middle: float, side: int, length: int) -> int:
    """Where a piece of `side` begins that is about a middle, and within `length`."""
    return min(max(0, round(middle - side / 2)), length - side)
