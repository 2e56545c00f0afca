"""A graphics card in memory, below `Card`: monitors that come and go, other masters, displays that cannot do all."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.sinks.drm_card import YUV420, Buffer, Card, Connector, Rect, SavedScreen
from edgecam.sinks.drm_library import PREFERRED, ModeInfo

CONSOLE = 7
"""The framebuffer that the console shows."""


def mode(width: int, height: int, *, preferred: bool = False) -> ModeInfo:
    return ModeInfo(hdisplay=width, vdisplay=height, type=PREFERRED if preferred else 0)


@dataclass
class Monitor:
    """One card's only connector: what hangs there, what is shown, and what goes wrong."""

    modes: tuple[ModeInfo, ...] = (mode(64, 48, preferred=True),)
    connected: bool = True
    name: str = "HDMI-A-1"
    overlays: tuple[int, ...] = ()
    trouble: dict[str, int] = field(default_factory=dict)
    flips_done: bool = True
    shown: int = CONSOLE
    plane: tuple[int, Rect] | None = None
    preferences: dict[str, str] = field(default_factory=dict)
    buffers: dict[int, Buffer] = field(default_factory=dict)
    dirty: int = 0
    flipped: int = 0
    open_files: int = 0

    def card_at(self, path: Path) -> Card:
        return FakeCard(self, path)

    def screen(self) -> NDArray[np.uint8]:
        """What the CRTC shows, B, G, R, X."""
        return self.buffers[self.shown].planes[0]


class FakeCard(Card):
    """What `Card` is to the screen, on a `Monitor`."""

    def __init__(self, monitor: Monitor, path: Path) -> None:
        super().__init__(path)
        self._monitor = monitor
        self._opened = False

    def open(self) -> None:
        self._maybe_fail("open", str(self.path))
        self._opened = True
        self._monitor.open_files += 1

    def close(self) -> None:
        self._monitor.open_files -= self._opened
        self._opened = False

    def take(self) -> None:
        self._maybe_fail("take")

    def connectors(self) -> list[Connector]:
        self._maybe_fail("connectors")
        monitor = self._monitor
        return [Connector(31, monitor.name, monitor.connected, monitor.modes if monitor.connected else ())]

    def is_connected(self, connector: int) -> bool:
        return self._monitor.connected

    def crtc_for(self, connector: int) -> tuple[int, int]:
        return 41, 0

    def overlays(self, crtc_place: int, form: int) -> list[int]:
        return list(self._monitor.overlays)

    def prefer(self, plane: int, name: str, value: str) -> None:
        self._monitor.preferences[name] = value

    def create(self, size: tuple[int, int], form: int) -> Buffer:
        self._maybe_fail("create")
        width, height = size
        shapes: tuple[tuple[int, ...], ...] = ((height, width, 4),)
        if form == YUV420:
            shapes = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
        number = 100 + max((key - 100 for key in self._monitor.buffers), default=0) + 1
        made = Buffer(number, number, size, tuple(np.zeros(shape, np.uint8) for shape in shapes))
        self._monitor.buffers[number] = made
        return made

    def destroy(self, buffer: Buffer) -> None:
        del self._monitor.buffers[buffer.framebuffer]

    def save(self, crtc: int, connector: int) -> SavedScreen:
        return SavedScreen(crtc, connector, self._monitor.shown, 0, 0, self._monitor.modes[0])

    def restore(self, saved: SavedScreen) -> None:
        self._monitor.shown = saved.framebuffer

    def set_mode(self, crtc: int, connector: int, mode: ModeInfo, framebuffer: int) -> None:
        self._maybe_fail("set_mode")
        self._monitor.shown = framebuffer

    def flip(self, crtc: int, framebuffer: int) -> None:
        self._maybe_fail("flip")
        self._monitor.flipped += 1
        self._monitor.shown = framebuffer

    def wait_for_flip(self, timeout: float) -> bool:
        return self._monitor.flips_done

    def dirty(self, buffer: Buffer) -> None:
        self._maybe_fail("dirty")
        self._monitor.dirty += 1

    def set_plane(self, plane: int, crtc: int, buffer: Buffer, rect: Rect) -> None:
        self._maybe_fail("set_plane")
        self._monitor.plane = (buffer.framebuffer, rect)

    def clear_plane(self, plane: int) -> None:
        self._monitor.plane = None

    def _maybe_fail(self, step: str, filename: str | None = None) -> None:
        if number := self._monitor.trouble.get(step):
            raise OSError(number, os.strerror(number), filename)


def as_shown(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An I420 picture as the screen's B, G, R."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_YUV2BGR_I420), np.uint8)
