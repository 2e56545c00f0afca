"""The hardware: a board, the sensors on it, and what is wrong with them."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecam.testing import ManualClock
from edgecam.yuv import i420_to_rgb, planes, shrink
from picamera2_fake import libcamera_side, picamera2_side

ALL_CONTROLS = {
    "FrameDurationLimits": (33333, 66666, 33333),
    "ExposureTime": (100, 66666, 20000),
    "AnalogueGain": (1.0, 16.0, 1.0),
    "ExposureValue": (-8.0, 8.0, 0.0),
    "AwbMode": (0, 7, 0),
    "ColourGains": (0.0, 32.0, 1.0),
    "AfMode": (0, 2, 0),
    "LensPosition": (0.0, 15.0, 1.0),
}


def quadrants(width: int, height: int, *, hflip: bool = False, vflip: bool = False) -> NDArray[np.uint8]:
    """An I420 picture whose quarters are 50, 100, 150 and 200 bright; the left is red, the right blue. Or flipped."""
    image = np.empty((height * 3 // 2, width), np.uint8)
    y, u, v = planes(image)
    y[: height // 2, : width // 2], y[: height // 2, width // 2 :] = 50, 100
    y[height // 2 :, : width // 2], y[height // 2 :, width // 2 :] = 150, 200
    u[:, : width // 4], u[:, width // 4 :] = 90, 180
    v[:, : width // 4], v[:, width // 4 :] = 180, 90
    for plane in (y, u, v):
        plane[...] = plane[:: -1 if vflip else 1, :: -1 if hflip else 1].copy()
    return image


@dataclass
class Sensor:
    """One camera: what it can, what it delivers, and what is wrong with it.

    `stalled`: it fills no more buffers. `fails` names the call that fails. `stop_hangs` holds `stop` until it is set.
    """

    camera_id: str = "/base/soc/i2c0mux/i2c@1/imx708@1a"
    model: str = "imx708"
    largest: tuple[int, int] = (4608, 2592)
    modes: tuple[tuple[int, int], ...] = ((1536, 864), (2304, 1296), (4608, 2592))
    format: str = "YUV420"
    controls: dict[str, tuple[Any, Any, Any]] = field(default_factory=lambda: dict(ALL_CONTROLS))
    flips: bool = True
    stalled: bool = False
    no_memory: bool = False
    fails: str = ""
    startup_frames: int = 0
    stamped: bool = True
    stop_hangs: threading.Event | None = None
    user: object | None = None

    def acquire(self) -> None:
        if self.user is not None:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        self.user = "somebody"

    def release(self) -> None:
        self.user = None


class Board:
    """A board with sensors; `install` makes `import picamera2` find it. `held` counts the requests not given back."""

    def __init__(self, clock: ManualClock, *sensors: Sensor, platform: str = "VC4") -> None:
        self.clock = clock
        self.sensors = list(sensors)
        self.platform = SimpleNamespace(name=platform)
        self.configured: list[dict[str, Any]] = []
        self.pipes: list[BinaryIO] = []
        self.held = 0

    @property
    def open_pipes(self) -> int:
        return sum(not pipe.closed for pipe in self.pipes)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Board:
        monkeypatch.setitem(sys.modules, "libcamera", libcamera_side.module(self))
        monkeypatch.setitem(sys.modules, "picamera2", picamera2_side.module(self))
        return self

    def picture(self, layout: dict[str, Any], transform: Any) -> NDArray[np.uint8]:
        """The bytes of a buffer of this layout, padding included."""
        (width, height), stride, form = layout["size"], layout["stride"], layout["format"]
        image = quadrants(width, height, hflip=transform.hflip, vflip=transform.vflip)
        buffer = np.full(layout["framesize"], 0xEE, np.uint8)
        if form in {"BGR888", "RGB888"}:
            rgb = shrink(i420_to_rgb(image), (width, height))
            ordered = rgb if form == "BGR888" else rgb[:, :, ::-1]
            buffer.reshape(height, stride)[:, : width * 3] = ordered.reshape(height, width * 3)
            return buffer
        y, u, v = planes(image)
        buffer[: stride * height].reshape(height, stride)[:, :width] = y
        chroma = buffer[stride * height :]
        if form == "NV12":
            both = chroma.reshape(height // 2, stride)
            both[:, 0:width:2], both[:, 1:width:2] = u, v
        else:
            first, second = chroma.reshape(2, height // 2, stride // 2)
            first[:, : width // 2], second[:, : width // 2] = (u, v) if form == "YUV420" else (v, u)
        return buffer
