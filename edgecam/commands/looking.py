"""Pictures and videos through a detector, and their annotated copies; what `edgecam detect` does to each input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam import cameras, sinks
from edgecam.cameras.place import shown
from edgecam.cameras.still import read_picture
from edgecam.errors import CameraError, EndOfStream, InputError
from edgecam.overlay import Overlay
from edgecam.ports import Camera, Detector
from edgecam.tracker import Tracker
from edgecam.types import AnnotatedFrame, BBox, Detection, Frame, Track
from edgecam.yuv import i420_to_rgb, rgb_to_i420

JPEG_QUALITY = 92
STALL_LIMIT = 10.0
"""Seconds after which a video that delivers nothing has failed."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in one frame of an input, best first."""

    frame: int
    detections: tuple[Detection, ...]


class Looker:
    """Looks at pictures and videos, and writes annotated copies where it is given a path for them.

    The detector is open. Detections below `threshold` do not count.
    """

    def __init__(self, detector: Detector, threshold: float) -> None:
        self._detector = detector
        self._threshold = threshold

    def picture(self, source: str, copy: Path | None, tick: Callable[[int], None]) -> list[Look]:
        """Look at a picture; `tick` is told of it. Raises InputError, DetectorError, and OSError for the copy."""
        picture = read_picture(Path(source))
        found = self._found(picture)
        height, width = picture.shape[:2]
        if copy and min(height, width) < 2:
            raise InputError(f"{source}: a picture of {width}x{height} pixels cannot be drawn on: give a larger one")
        if copy:
            _write_picture(copy, picture, _numbered(found))
        tick(1)
        return [Look(0, found)]

    def video(self, source: str, copy: Path | None, tick: Callable[[int], None]) -> list[Look]:
        """Look at every frame of a video; `tick` is told of each. Raises InputError, CameraError, SinkError."""
        with ExitStack() as devices:
            camera = cameras.create("video_file", path=source, pace="fast", lores_size=self._detector.info.input_size)
            sink = sinks.create("video", path=copy) if copy else None
            for device in filter(None, (camera, sink)):
                devices.enter_context(device)
            looks, overlay, tracker = [], Overlay(show_clock=False, show_status=False), self._tracker()
            for frame in _frames(camera):
                found = self._found(self._detector.picture_of(frame))
                looks.append(Look(frame.sequence, found))
                if sink:
                    sink.write(_annotated(frame, overlay, tracker.update(frame.timestamp, found)))
                tick(1)
            if not looks:
                raise InputError(f"{shown(source)}: no frames in it: is it a video?")
        return looks

    def _found(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        return tuple(found for found in self._detector.detect(image) if found.score >= self._threshold)

    def _tracker(self) -> Tracker:
        """One that believes everything at once: in the copy of a video it only keeps the numbers steady."""
        return Tracker(confirm_hits=1, confirm_window=1, high_score=self._threshold)


def _frames(camera: Camera) -> Iterator[Frame]:
    while True:
        try:
            frame = camera.read(STALL_LIMIT)
        except EndOfStream:
            return
        if frame is None:
            raise CameraError(f"no frame for {STALL_LIMIT:g} s")
        yield frame


def _annotated(frame: Frame, overlay: Overlay, tracks: tuple[Track, ...]) -> AnnotatedFrame:
    """The frame with the objects that were found in it, not those that are only remembered."""
    image, seen = frame.copy_of_main(), tuple(track for track in tracks if not track.predicted)
    overlay.draw(image, seen, None, "")
    return AnnotatedFrame(frame, image, seen, None)


def _numbered(found: tuple[Detection, ...]) -> tuple[Track, ...]:
    still = BBox(0, 0, 0, 0)
    return tuple(
        Track(number, each.label, each.score, each.bbox, hits=1, misses=0, velocity=still, confirmed=True)
        for number, each in enumerate(found, 1)
    )


def _write_picture(path: Path, picture: NDArray[np.uint8], tracks: tuple[Track, ...]) -> None:
    image = rgb_to_i420(picture)
    Overlay(show_clock=False, show_status=False).draw(image, tracks, None, "")
    bgr = cv2.cvtColor(i420_to_rgb(image), cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    assert encoded, "OpenCV writes any picture as JPEG"
    path.write_bytes(data.tobytes())
