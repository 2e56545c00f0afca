"""Clips opened for their pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from edgecam.errors import InputError
from edgecam.yuv import even, i420_from_planes


@contextmanager
def opened(clip: Path) -> Iterator[Any]:
    """A clip as PyAV has it. Raises InputError, also for FFmpeg's errors inside."""
    if not clip.is_file():
        raise InputError(f"{clip}: no such clip: give the path of an MP4 file")
    try:
        with av.open(f"file:{clip}", format="mov", metadata_errors="replace") as container:
            yield container
    except FFmpegError as error:
        raise InputError(f"{clip}: cannot be read: {error.strerror or error}") from error


def stream_of(clip: Path, container: Any) -> Any:
    """The video in a clip. Raises InputError where there is none."""
    stream = next(iter(container.streams.video), None)
    if stream is None or stream.codec_context is None:
        raise InputError(f"{clip}: no video in it that FFmpeg knows")
    return stream


def image_of(frame: Any, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """A copy of a decoded picture, I420, uint8 [height * 3 // 2, width]; of another size where one is given, even."""
    width, height = size or even((frame.width, frame.height))
    resized = size is not None and size != (frame.width, frame.height)
    plain = frame.format.name == "yuv420p" and not resized
    planar = frame if plain else frame.reformat(*((width, height) if resized else ()), format="yuv420p")
    planes = [
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in planar.planes
    ]
    return i420_from_planes((planes[0], planes[1], planes[2]), (width, height))
