"""A V4L2 camera in software, below `VideoDevice`: it can be unplugged, held by another, forbidden, or stall."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field

import numpy as np
from made_videos import FPS, FRAMES, SIZE, numbered_picture
from numpy.typing import NDArray

from edgecam.cameras.v4l2_device import Filled, Identity, Layout, VideoDevice
from edgecam.cameras.v4l2_modes import Mode, Offer, Size, Sizes
from edgecam.testing import ManualClock
from edgecam.yuv import planes


def as_yuyv(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An I420 picture as YUYV, each line of chroma twice; flat, as a buffer is."""
    y, u, v = planes(image)
    packed = np.empty((*y.shape, 2), np.uint8)
    packed[:, :, 0] = y
    packed[:, 0::2, 1] = np.repeat(u, 2, axis=0)
    packed[:, 1::2, 1] = np.repeat(v, 2, axis=0)
    return packed.reshape(-1)


def offer(fourcc: str, *sizes: Size) -> Offer:
    return Offer(fourcc, tuple(Sizes(size, size) for size in sizes))


@dataclass
class Socket:
    """A USB socket, and the camera in it: what it offers, what it delivers, and what is wrong with it."""

    clock: ManualClock
    offers: tuple[Offer, ...] = (offer("YUYV", SIZE),)
    pictures: list[NDArray[np.uint8]] = field(
        default_factory=lambda: [as_yuyv(numbered_picture(number % FRAMES)) for number in range(10 * FRAMES)]
    )
    trouble: dict[str, int] = field(default_factory=dict)
    captures: bool = True
    silent: bool = False
    stamp_offset: float | None = 0.0
    damaged: set[int] = field(default_factory=set)
    taken: int = 0
    lent: int = 0
    open_files: int = 0

    def device_at(self, path: str) -> VideoDevice:
        return FakeVideoDevice(self, path)

    def unplug(self) -> None:
        self.trouble = {"open": errno.ENOENT, "next": errno.ENODEV}

    def plug(self) -> None:
        self.trouble = {}


class FakeVideoDevice(VideoDevice):
    """What `VideoDevice` is to the camera, on a `Socket`."""

    def __init__(self, socket: Socket, path: str) -> None:
        super().__init__(path)
        self._socket = socket
        self._opened = False
        self._due = 0.0
        self._number = 0

    def open(self) -> None:
        self._maybe_fail("open")
        self._opened = True
        self._socket.open_files += 1

    def close(self) -> None:
        self._socket.open_files -= self._opened
        self._opened = False

    def identity(self) -> Identity:
        self._maybe_fail("identity")
        return Identity("fake", "Fake camera", "usb-1", self._socket.captures)

    def offers(self) -> tuple[Offer, ...]:
        return self._socket.offers

    def rates(self, fourcc: str, size: Size) -> tuple[float, ...]:
        return (float(FPS),)

    def configure(self, mode: Mode) -> Layout:
        self._maybe_fail("configure")
        return Layout(mode.fourcc, mode.size, mode.size[0] * 2, full_range=False, bt709=False, fps=float(FPS))

    def start(self) -> None:
        self._maybe_fail("start")
        self._due = self._socket.clock.monotonic()

    def next(self, timeout: float) -> Filled | None:
        self._maybe_fail("next")
        socket = self._socket
        wait = max(0.0, self._due - socket.clock.monotonic())
        socket.clock.sleep(min(wait, timeout))
        if wait > timeout or socket.silent or socket.taken >= len(socket.pictures):
            return None
        self._due += 1 / FPS
        number, self._number = self._number, self._number + 1
        picture = socket.pictures[socket.taken]
        picture.flags.writeable = False
        socket.taken += 1
        socket.lent += 1
        stamp = None if socket.stamp_offset is None else socket.clock.monotonic() + socket.stamp_offset
        return Filled(0, picture, number, stamp, number in socket.damaged)

    def release(self, index: int) -> None:
        self._socket.lent -= 1

    def _maybe_fail(self, step: str) -> None:
        if number := self._socket.trouble.get(step):
            raise OSError(number, os.strerror(number))
