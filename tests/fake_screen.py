"""A screen that keeps the contract of `edgecam.sinks.screen.Screen`, for the tests of the display."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edgecam.errors import SinkError


class FakeScreen:
    """Remembers the pictures it showed. Scripts: `open` raises the errors of `refuse`, `show` those of `fail`, each
    once; a screen that is told to hang stays in `show` until `freed` is set."""

    size = (640, 480)

    def __init__(self, *, refuse: Iterable[str] = (), fail: Iterable[str] = (), hangs: bool = False) -> None:
        self.pictures: list[NDArray[np.uint8]] = []
        self.pressed: list[str] = []
        self.opened = self.closed = 0
        self.is_open = False
        self.threads: set[str] = set()
        self.hanging = threading.Event()
        self.freed = threading.Event()
        self.freed_by = 60.0
        self._refuse = list(refuse)
        self._fail = list(fail)
        self._hangs = hangs

    def open(self) -> str:
        self.threads.add(threading.current_thread().name)
        if self._refuse:
            raise SinkError(self._refuse.pop(0))
        self.opened += 1
        self.is_open = True
        return "640x480 on a fake"

    def show(self, image: NDArray[np.uint8], width: int, height: int) -> None:
        assert self.is_open
        assert image.shape == (height * 3 // 2, width)
        if self._hangs:
            self.hanging.set()
            self.freed.wait(self.freed_by)
        if self._fail:
            raise SinkError(self._fail.pop(0))
        self.pictures.append(image.copy())

    def keys(self) -> list[str]:
        pressed, self.pressed = self.pressed, []
        return pressed

    def close(self) -> None:
        self.closed += 1
        self.is_open = False
