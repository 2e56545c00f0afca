"""The limits beside which the stages stand: the same work with nothing but a library, as a plain program does it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import cycle
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
Work = Callable[[], object]

_GREEN, _TICKS = (0, 255, 0), 90_000


def clip(path: Path, pictures: Sequence[NDArray[np.uint8]], fps: int) -> None:
    """Write I420 pictures as H.264 in MP4, as clips are written."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=fps, options={"preset": "superfast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0] * 2 // 3, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))


def decoding(path: Path) -> Work:
    """Each call decodes the next picture of the file, over and over."""

    def pictures() -> Iterator[object]:
        while True:
            with av.open(str(path)) as container:
                yield from container.decode(video=0)

    coming = pictures()
    return lambda: next(coming)


def encoding(pictures: Sequence[NDArray[np.uint8]], fps: float) -> Work:
    """Each call encodes the next picture with x264, as little as the clips' settings allow."""
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = pictures[0].shape[1], pictures[0].shape[0] * 2 // 3, "yuv420p"
    context.time_base, context.framerate = Fraction(1, _TICKS), Fraction(fps).limit_denominator(1001)
    context.thread_count = 1
    context.options = {"preset": "superfast", "tune": "zerolatency", "crf": "23", "bf": "0", "g": str(round(fps))}
    context.open()
    coming = enumerate(cycle(pictures))

    def encode() -> object:
        number, picture = next(coming)
        frame = av.VideoFrame.from_numpy_buffer(picture, format="yuv420p")
        frame.pts, frame.time_base = round(number * _TICKS / fps), Fraction(1, _TICKS)
        return context.encode(frame)

    return encode


def drawing(picture: NDArray[np.uint8], boxes: Boxes) -> Work:
    """A copy of a colour picture, and on it a frame and a name for each box, xmin, ymin, xmax, ymax in pixels."""
    draw = _drawn_on(boxes)
    return lambda: draw(picture.copy())


def frame(main: NDArray[np.uint8], colour: NDArray[np.uint8], size: tuple[int, int], boxes: Boxes) -> Work:
    """What no program of this kind does without: a picture's copy, a small one, and boxes with names drawn."""
    draw = _drawn_on(boxes)

    def handle() -> object:
        return main.copy(), cv2.resize(colour, size), draw(colour)

    return handle


def _drawn_on(boxes: Boxes) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    places = [tuple(int(edge) for edge in box) for box in boxes]

    def draw(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        for left, top, right, bottom in places:
            cv2.rectangle(image, (left, top), (right, bottom), _GREEN, 2)
            cv2.putText(image, "person 87%", (left, top), cv2.FONT_HERSHEY_SIMPLEX, 0.6, _GREEN, 2)
        return image

    return draw


def overlaps(boxes: Boxes) -> Boxes:
    """The intersection over union of each box with each, the least that a tracker computes."""
    least = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    most = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(most - least, 0, None).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(shared / (areas[:, None] + areas[None, :] - shared))


def committing(path: Path, text: str) -> tuple[Work, Callable[[], None]]:
    """Each call stores a text for good, in a database of its own; and what closes that."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE texts (text TEXT NOT NULL)")
    return lambda: connection.execute("INSERT INTO texts VALUES (?)", (text,)), connection.close
