"""Pictures as JPEG files, and what is said of one that was saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.errors import SinkError
from edgecam.picture_pool import PICTURES
from edgecam.sinks.faults import as_sink_error, write_whole


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A picture that was saved: of an event, or, with `event_id` and `label` empty, one that somebody asked for.

    `taken` is the wall time of its frame in Unix seconds, `sequence` that frame's.
    """

    camera: str
    path: Path
    jpeg: bytes
    sequence: int
    taken: float
    event_id: str = ""
    label: str = ""


def jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """An I420 picture as JPEG. Raises SinkError."""
    colours = PICTURES.empty((image.shape[0] * 2 // 3, image.shape[1], 3))
    cv2.cvtColor(image, cv2.COLOR_YUV2BGR_I420, colours)
    encoded, data = cv2.imencode(".jpg", colours, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not encoded:
        raise SinkError("OpenCV does not write this picture as JPEG")
    return data.tobytes()


def save_jpeg(path: Path, image: NDArray[np.uint8], quality: int) -> bytes:
    """Write an I420 picture, whole or not at all, and return the file's content. Raises SinkError."""
    try:
        content = jpeg(image, quality)
    except SinkError as error:
        raise SinkError(f"{path}: {error}") from error
    with as_sink_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    return content
