"""The capture thread: camera to ring."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgecam.backoff import Backoff
from edgecam.errors import CameraError
from edgecam.ports import Camera, Clock
from edgecam.ring import FrameRing
from edgecam.types import Frame
from edgecam.worker import Worker

log = logging.getLogger(__name__)

TURN = 0.5
"""Longest wait of one turn, seconds."""


class CaptureWorker(Worker):
    """Owns the camera; opens it again after a fault. Never waits for a reader, unless the camera is lossless.

    `captured` counts the frames put into the ring, `reopened` the recoveries. A camera that delivers nothing
    for `stall_limit` seconds has failed.
    """

    def __init__(
        self, camera: Camera, ring: FrameRing, clock: Clock, on_exit: Callable[[], None], *, stall_limit: float = 5.0
    ) -> None:
        super().__init__("capture", on_exit)
        self.captured = 0
        self.reopened = 0
        self._camera = camera
        self._ring = ring
        self._clock = clock
        self._stall_limit = stall_limit
        self._backoff = Backoff()
        self._last_frame = 0.0
        self._opened = False

    @property
    def lost_since(self) -> float | None:
        """The monotonic time since when the camera does not work; None while it does."""
        return self._backoff.since

    def setup(self) -> None:
        self._try(self._open)

    def step(self) -> None:
        if not self._opened and not self._reopen():
            return
        self._try(self._read)

    def teardown(self) -> None:
        self._ring.close()
        self._camera.close()

    def _open(self) -> None:
        self._camera.open()
        self._opened = True
        self._last_frame = self._clock.monotonic()

    def _reopen(self) -> bool:
        wait = self._backoff.remaining(self._clock.monotonic())
        if wait > 0:
            self.stopping.wait(min(wait, TURN))
            return False
        with self.allowing(self.open_limit):
            if not self._try(self._open):
                return False
        self.reopened += 1
        return True

    def _read(self) -> None:
        frame = self._camera.read(timeout=TURN)
        now = self._clock.monotonic()
        if frame is None:
            if now - self._last_frame > self._stall_limit:
                raise CameraError(f"no frame for {now - self._last_frame:.1f} s")
            return
        self._last_frame = now
        if self._backoff.since is not None:
            log.warning("camera back after %.1f s", self._backoff.succeeded(now))
        self._put(frame)

    def _put(self, frame: Frame) -> None:
        while not self._ring.put(frame, timeout=TURN):
            self.beat = self._clock.monotonic()
            if self.stopping.is_set():
                return
        self.captured += 1

    def _try(self, action: Callable[[], None]) -> bool:
        """Do it; a camera fault closes the camera and starts the back-off. Logged once when lost."""
        try:
            action()
        except CameraError as error:
            if self._backoff.since is None:
                log.error("camera lost: %s", error)
            self._opened = False
            self._camera.close()
            self._backoff.failed(self._clock.monotonic())
            return False
        return True
