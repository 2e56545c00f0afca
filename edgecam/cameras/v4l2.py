"""USB cameras, and all others that speak V4L2 with one plane per picture."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EACCES, EBUSY, ENODEV, ENOENT, ENOTTY, ENXIO, EPERM
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgecam.cameras.pacing import LEAST_STEP
from edgecam.cameras.v4l2_device import Filled, Layout, VideoDevice
from edgecam.cameras.v4l2_found import attached
from edgecam.cameras.v4l2_modes import Mode, choose
from edgecam.cameras.v4l2_pixels import Converter, PictureDamaged
from edgecam.clock import SystemClock
from edgecam.errors import CameraError, EdgecamError, InputError
from edgecam.ports import Camera, Clock
from edgecam.types import Frame
from edgecam.yuv import lores_from_i420

log = logging.getLogger(__name__)

OLDEST_STAMP = 5.0
"""A kernel timestamp that is older than this, seconds, is not believed."""

_REMEDIES = {
    EBUSY: "in use by another program: stop that one (`fuser -v {path}` names it)",
    EACCES: "no permission: add this user to the group video (sudo usermod -aG video USER) and log in again",
    EPERM: "no permission: add this user to the group video (sudo usermod -aG video USER) and log in again",
    ENOENT: "no such device: is the camera plugged in?{others}",
    ENXIO: "no such device: is the camera plugged in?{others}",
    ENODEV: "the camera is gone: is it plugged in?",
}


class V4l2Camera(Camera):
    """Reads a V4L2 device with the kernel's own calls.

    Not through ffmpeg, whose V4L2 input waits for ever for a camera that stalls, takes another size than the one asked
    for without a word, and copies each buffer. The main picture is made in one pass straight from the driver's buffer.
    A frame's timestamp is the kernel's, taken when the picture began to arrive (or when it was complete, as the driver
    has it). `damaged` counts the pictures that could not be used, `lost` those for which the driver had no free buffer.
    After the first good `open` every trouble is a CameraError: another may plug the right camera in again.
    """

    #: What gives it the device at a path.
    device_at: Callable[[str], VideoDevice] = VideoDevice

    def __init__(
        self,
        *,
        path: str,
        lores_size: tuple[int, int],
        format: Literal["auto", "yu12", "nv12", "yuyv", "mjpeg"] = "auto",  # noqa: A002  (the key of its configuration)
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Remember which camera.

        Args:
            path: /dev/v4l/by-id/…, which stays the same wherever it is plugged in, or /dev/videoN.
            lores_size: width and height of the small picture, pixels.
            format: of the camera's pictures; "auto": the cheapest that reaches the frame rate.
            size: width and height of the main picture, pixels; None: the largest up to 1280x720.
            fps: frames per second, or what the camera has next to it; None: 30.
            clock: the system's unless told.
        """
        self.damaged = 0
        self.lost = 0
        self._path, self._lores_size = path, lores_size
        self._format, self._size, self._fps = format, size, fps
        self._clock = clock or SystemClock()
        self._device: VideoDevice | None = None
        self._layout: Layout | None = None
        self._converter: Converter | None = None
        self._worked = False
        self._sequence = 0
        self._kernel_sequence: int | None = None
        self._last = float("-inf")

    def open(self) -> None:
        """Choose the mode and begin to stream. Raises InputError, or CameraError where trying again may help."""
        self.close()
        try:
            self._open()
        except EdgecamError as error:
            self.close()
            if self._worked and isinstance(error, InputError):
                raise CameraError(str(error)) from error
            raise
        self._worked = True

    def close(self) -> None:
        device, self._device = self._device, None
        self._converter = self._kernel_sequence = None
        if device:
            device.close()

    def read(self, timeout: float) -> Frame | None:
        if self._device is None:
            raise CameraError(f"{self._path}: not open")
        with self._translated():
            filled = self._device.next(timeout)
            if filled is None:
                return None
            try:
                main = self._picture(filled)
            finally:
                self._device.release(filled.buffer)
        return None if main is None else self._frame(main, filled.timestamp)

    def _open(self) -> None:
        with self._translated():
            self._device = device = self.device_at(self._path)
            device.open()
            if not device.identity().captures:
                raise InputError(f"{self._path}: not a capture device that edgecam can read{_others()}")
            try:
                mode = choose(device.offers(), device.rates, self._format, self._size, self._fps)
            except InputError as error:
                raise InputError(f"{self._path}: {error}") from error
            self._layout = self._checked(device.configure(mode), mode)
            self._converter = Converter(self._layout)
            device.start()

    def _checked(self, layout: Layout, mode: Mode) -> Layout:
        if (layout.fourcc, layout.size) != (mode.fourcc, mode.size):
            width, height = layout.size
            raise InputError(
                f"{self._path}: asked for {mode.fourcc} at {mode.size[0]}x{mode.size[1]}, the driver made it"
                f" {layout.fourcc} at {width}x{height}: set format and size so"
            )
        if self._fps and abs(layout.fps - self._fps) > 0.05 * self._fps and not self._worked:
            log.warning("%s: asked for %g frames a second, it delivers %g", self._path, self._fps, layout.fps)
        if not self._worked:
            log.info("%s: %s %dx%d, %g frames a second", self._path, layout.fourcc, *layout.size, layout.fps)
        return layout

    def _picture(self, filled: Filled) -> NDArray[np.uint8] | None:
        """The main picture; None, and counted, where the buffer holds no whole one."""
        assert self._converter is not None
        if self._kernel_sequence is not None:
            self.lost += max(0, filled.sequence - self._kernel_sequence - 1)
        self._kernel_sequence = filled.sequence
        try:
            if filled.damaged:
                raise PictureDamaged
            return self._converter.i420(filled.data)
        except PictureDamaged:
            self.damaged += 1
            return None

    def _frame(self, main: NDArray[np.uint8], stamp: float | None) -> Frame:
        assert self._layout is not None
        now = self._clock.monotonic()
        believed = stamp if stamp is not None and now - OLDEST_STAMP <= stamp <= now else now
        self._last = max(believed, self._last + LEAST_STEP)
        lores = lores_from_i420(main, self._lores_size, bt709=self._layout.bt709)
        self._sequence += 1
        return Frame(self._sequence - 1, self._last, main, lores)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The operating system's errors, in words that help."""
        try:
            yield
        except EdgecamError:
            raise
        except OSError as error:
            if error.errno == ENOTTY:
                raise InputError(f"{self._path}: not a camera{_others()}") from error
            remedy = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
            others = _others() if "{others}" in remedy else ""
            raise CameraError(f"{self._path}: {remedy.format(path=self._path, others=others)}") from error


def _others() -> str:
    """The cameras that are there, for a message."""
    there = [camera.path for camera in attached()]
    return f" (there is {', '.join(there)})" if there else ""
