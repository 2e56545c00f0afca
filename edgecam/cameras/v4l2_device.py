"""One V4L2 device node: what it is, what it offers, and the stream of its mapped buffers. Raises plain OSErrors."""

from __future__ import annotations

import fcntl
import mmap
import os
import select
from collections.abc import Callable, Iterator
from ctypes import Structure, c_int32
from errno import EAGAIN, EINVAL, ENODEV, ENOTTY
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgecam.cameras import v4l2_kernel as kernel
from edgecam.cameras.v4l2_modes import Mode, Offer, Size, Sizes

BUFFERS = 4
"""Buffers asked of the driver: one being filled, one being read, two for a reader that is late."""

_MOST_ENTRIES = 256

T = TypeVar("T", bound=Structure)


class Identity(NamedTuple):
    """What a device says it is; `captures` whether it streams pictures to programs, one plane each."""

    driver: str
    card: str
    bus: str
    captures: bool


class Layout(NamedTuple):
    """How the pictures lie in the buffers, as the driver set it."""

    fourcc: str
    size: Size
    stride_bytes: int
    full_range: bool
    bt709: bool
    fps: float


class Filled(NamedTuple):
    """A filled buffer: its bytes are the driver's, valid until `release`. `timestamp` is None where not monotonic."""

    buffer: int
    data: NDArray[np.uint8]
    sequence: int
    timestamp: float | None
    damaged: bool


class VideoDevice:
    """A device node, opened, asked, streamed and closed by one thread."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._file = -1
        self._maps: list[NDArray[np.uint8]] = []

    def open(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def close(self) -> None:
        """Stop the stream and give the device back; safe to call twice."""
        file, self._file = self._file, -1
        self._maps.clear()
        if file >= 0:
            os.close(file)

    def identity(self) -> Identity:
        answer = self._ask(kernel.QUERYCAP, kernel.Capability())
        flags = answer.device_caps if answer.capabilities & kernel.HAS_DEVICE_CAPS else answer.capabilities
        needed = kernel.CAN_CAPTURE | kernel.CAN_STREAM
        driver, card, bus = map(kernel.text, (answer.driver, answer.card, answer.bus_info))
        return Identity(driver, card, bus, flags & needed == needed)

    def offers(self) -> tuple[Offer, ...]:
        """The formats and their sizes, in the camera's own order."""
        found = self._entries(kernel.ENUM_FMT, lambda index: kernel.FormatDescription(index, kernel.CAPTURE))
        codes = dict.fromkeys(entry.pixelformat for entry in found)
        return tuple(Offer(kernel.fourcc(code), tuple(self._sizes(code))) for code in codes)

    def rates(self, fourcc: str, size: Size) -> tuple[float, ...]:
        """Frames per second of a mode, fastest first; of a range its ends; nothing where the driver does not tell."""
        code, rates = _code(fourcc), set()
        for entry in self._entries(kernel.ENUM_FRAMEINTERVALS, lambda index: kernel.IntervalStep(index, code, *size)):
            ends = entry.values[:1] if entry.type == kernel.DISCRETE else entry.values[:2]
            rates |= {round(end.denominator / end.numerator, 3) for end in ends if end.numerator and end.denominator}
        return tuple(sorted(rates, reverse=True))

    def configure(self, mode: Mode) -> Layout:
        """Ask for a mode; returns what the driver made of it."""
        asked = kernel.Format(kernel.CAPTURE)
        asked.pix.width, asked.pix.height = mode.size
        asked.pix.pixelformat = _code(mode.fourcc)
        pix = self._ask(kernel.S_FMT, asked).pix
        return Layout(
            kernel.fourcc(pix.pixelformat),
            (pix.width, pix.height),
            pix.bytesperline,
            _is_full_range(pix),
            _is_bt709(pix),
            self._set_rate(mode.fps),
        )

    def start(self) -> None:
        """Map the buffers and begin to stream."""
        request = self._ask(kernel.REQBUFS, kernel.Request(BUFFERS, kernel.CAPTURE, kernel.MAPPED))
        for index in range(request.count):
            buffer = self._ask(kernel.QUERYBUF, self._buffer(index))
            mapped = mmap.mmap(self._file, buffer.length, mmap.MAP_SHARED, mmap.PROT_READ, offset=buffer.offset)
            self._maps.append(np.frombuffer(mapped, np.uint8))
            self.release(index)
        fcntl.ioctl(self._file, kernel.STREAMON, bytes(c_int32(kernel.CAPTURE)))

    def next(self, timeout: float) -> Filled | None:
        """The next filled buffer, None where none came in `timeout` seconds. ENODEV: the camera was unplugged."""
        poll = select.poll()
        poll.register(self._file, select.POLLIN)
        if not poll.poll(max(0.0, timeout) * 1000):
            return None
        try:
            buffer = self._ask(kernel.DQBUF, self._buffer(0))
        except OSError as error:
            if error.errno == EAGAIN:
                return None
            raise
        monotonic = buffer.flags & kernel.STAMP_MASK == kernel.STAMP_MONOTONIC
        return Filled(
            buffer.index,
            self._maps[buffer.index][: buffer.bytesused],
            buffer.sequence,
            buffer.seconds + buffer.microseconds / 1e6 if monotonic else None,
            bool(buffer.flags & kernel.IS_DAMAGED),
        )

    def release(self, index: int) -> None:
        """Give a buffer back to the driver."""
        self._ask(kernel.QBUF, self._buffer(index))

    def _buffer(self, index: int) -> kernel.Buffer:
        return kernel.Buffer(index=index, type=kernel.CAPTURE, memory=kernel.MAPPED)

    def _sizes(self, code: int) -> Iterator[Sizes]:
        for entry in self._entries(kernel.ENUM_FRAMESIZES, lambda index: kernel.SizeStep(index, code)):
            a, b, c, d, e, f = entry.values
            yield Sizes((a, b), (a, b)) if entry.type == kernel.DISCRETE else Sizes((a, d), (b, e), (c or 1, f or 1))
            if entry.type != kernel.DISCRETE:
                return

    def _set_rate(self, fps: float) -> float:
        asked = kernel.Parameters(kernel.CAPTURE)
        asked.capture.interval.numerator, asked.capture.interval.denominator = 1000, round(fps * 1000)
        try:
            interval = self._ask(kernel.S_PARM, asked).capture.interval
        except OSError as error:
            if error.errno not in {EINVAL, ENOTTY}:
                raise
            return fps
        return interval.denominator / interval.numerator if interval.numerator else fps

    def _entries(self, request: int, entry: Callable[[int], T]) -> Iterator[T]:
        """The entries of a list of the driver's, which ends with EINVAL; ENOTTY: it has no such list."""
        for index in range(_MOST_ENTRIES):
            try:
                yield self._ask(request, entry(index))
            except OSError as error:
                if error.errno in {EINVAL, ENOTTY}:
                    return
                raise

    def _ask(self, request: int, argument: T) -> T:
        if self._file < 0:
            raise OSError(ENODEV, os.strerror(ENODEV))
        fcntl.ioctl(self._file, request, argument, True)
        return argument


def _code(fourcc: str) -> int:
    return int.from_bytes(fourcc.encode("latin-1"), "little")


def _is_full_range(pix: kernel.Pix) -> bool:
    """Quantization of a YUV format; V4L2_MAP_QUANTIZATION_DEFAULT is full range for JPEG's colour space only."""
    if pix.quantization == kernel.QUANTIZATION_DEFAULT:
        return bool(pix.colorspace == kernel.COLORSPACE_JPEG)
    return bool(pix.quantization == kernel.FULL_RANGE)


def _is_bt709(pix: kernel.Pix) -> bool:
    if pix.ycbcr_enc == kernel.ENCODING_DEFAULT:
        return bool(pix.colorspace == kernel.COLORSPACE_REC709)
    return bool(pix.ycbcr_enc == kernel.ENCODING_709)
