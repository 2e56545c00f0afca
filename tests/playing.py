"""Video cameras as tests play them: as fast as possible, on a clock that stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from made_videos import FPS

from edgecam.cameras.video_file import VideoFileCamera
from edgecam.errors import EndOfStream
from edgecam.testing import ManualClock
from edgecam.types import Frame

LORES = (40, 30)
START = 1000.0


def camera_on(path: Path | str, **keywords: Any) -> VideoFileCamera:
    """A camera as fast as possible, on a clock that stands at START."""
    defaults: dict[str, Any] = {"lores_size": LORES, "pace": "fast", "clock": ManualClock(START)}
    return VideoFileCamera(path=str(path), **(defaults | keywords))


def play(camera: VideoFileCamera, most: int = 10_000) -> list[Frame]:
    """Frames until the end, or `most` reads; the camera stays open."""
    camera.open()
    frames: list[Frame] = []
    for _ in range(most):
        try:
            frame = camera.read(1.0)
        except EndOfStream:
            break
        if frame is not None:
            frames.append(frame)
    return frames


def played(path: Path | str, **keywords: Any) -> list[Frame]:
    camera = camera_on(path, **keywords)
    try:
        return play(camera)
    finally:
        camera.close()


def times(frames: list[Frame]) -> list[float]:
    return [round(frame.timestamp - START, 3) for frame in frames]


def steps(count: int, step: float = 1 / FPS) -> list[float]:
    return [round(number * step, 3) for number in range(count)]
