"""The module `libcamera`: cameras by their id, and the values that a configuration is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picamera2_fake.board import Board

AwbMode = Enum("AwbMode", "Auto Incandescent Tungsten Fluorescent Indoor Daylight Cloudy Custom")
AfMode = Enum("AfMode", "Manual Auto Continuous")


class Encoding(Enum):
    """Of colours as Y, Cb and Cr."""

    Rec601 = 1
    Rec709 = 2


@dataclass(frozen=True)
class Transform:
    hflip: bool = False
    vflip: bool = False


@dataclass(frozen=True)
class ColorSpace:
    ycbcrEncoding: Encoding = Encoding.Rec601  # noqa: N815 -- libcamera's own name

    YcbcrEncoding = Encoding

    @classmethod
    def Smpte170m(cls) -> ColorSpace:  # noqa: N802 -- libcamera's own name
        return cls(Encoding.Rec601)


def module(board: Board) -> Any:
    """What `import libcamera` gives."""
    manager = SimpleNamespace(get=lambda wanted: next(s for s in board.sensors if s.camera_id == wanted))
    return SimpleNamespace(
        CameraManager=SimpleNamespace(singleton=lambda: manager),
        ColorSpace=ColorSpace,
        Transform=Transform,
        controls=SimpleNamespace(AwbModeEnum=AwbMode, AfModeEnum=AfMode),
    )
