"""The encoder: pictures in, H.264 packets out, with the hardware's encoder where there is one that works."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EINVAL, ENODEV, ENOENT
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import PictureType
from numpy.typing import NDArray

from edgecam.errors import InputError, SinkError
from edgecam.ports import Device
from edgecam.preroll import Packet
from edgecam.recording.h264 import StreamInfo, configuration, sample, units
from edgecam.yuv import blank

log = logging.getLogger(__name__)

TICKS = 90_000
"""Ticks a second, MPEG's own clock."""
CODECS = ("h264_v4l2m2m", "libx264")
"""In the order of trying: the hardware of a Pi 4 and older (a Pi 5 has none), then the processor."""
BITS_A_PIXEL = 0.1
"""What an encoder that knows no quality, only a rate, gets where no rate was asked for: 2.8 Mbit/s at 720p30."""
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
"""x264's, by rising processor time. It prints on standard error where it is given another."""
_QUICKER = {"superfast": ":subme=0:me=dia"}
"""What x264's `superfast` goes without here, as in rpicam-apps (encoder/libav_encoder.cpp): motion finer than a pixel,
for every block. On a film of eight people it takes a fifth less processor time and 5 MB less, for 6 % more bits at the
same quality; `ultrafast` does so anyway."""
TRIAL_FRAMES = 9
_MATRICES = {"bt601": 6, "bt709": 1}
"""Colour codes of ITU-T H.273; the same number stands for primaries, transfer and matrix."""
_LIMITED_RANGE = 1
_AT_ONCE = float("-inf")


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """How to encode. `codec` is `auto` or one of CODECS.

    `quality` is x264's CRF, 0 (best) to 51. `bitrate`, in bits a second, takes its place where it is not 0, and always
    does on hardware. `max_bitrate` bounds what quality may cost where much moves, measured over a second: it is what
    keeps the pre-roll and the disk within their bounds at night, when a sensor's noise is ten times the picture.

    `keyframe_interval` is in seconds of the frames' own time. `rate` is about how many frames a second will come, for
    the hardware's budget; true timestamps are kept whatever it is.

    `threads` is 1. The clips have a thread of their own already, so a picture has a whole frame's time on one core; a
    second thread saves no processor time (measured: none either way) and takes a core that detection wants. More are
    for pictures that one core cannot encode in time (1080p30 without hardware on a Pi 4); they share each picture, so
    that it comes out no later.
    """

    codec: str = "auto"
    quality: int = 23
    bitrate: int = 0
    max_bitrate: int = 8_000_000
    preset: str = "superfast"
    keyframe_interval: float = 1.0
    threads: int = 1
    rate: float = 30.0
    matrix: str = "bt601"


class _Pending(NamedTuple):
    """A frame that is in the encoder."""

    ticks: int
    timestamp: float
    duration: float


class Encoder(Device):
    """Encodes I420 pictures of one size, each under its own timestamp, with no B-frames and no look-ahead.

    On the processor packets come out one frame late: only then is it known how long a picture is shown, which is what a
    bound on the bits of a second needs where frames are not evenly spaced. Hardware may keep a few more.

    `open` takes the first codec of `CODECS` that proves itself on a trial: pictures come out, all of them, and a
    keyframe where one was asked for. `name` is its name, `rejected` says why the others were not taken, `stream` is
    what a file's header needs. A keyframe comes at the frame nearest to each `keyframe_interval`.
    """

    def __init__(self, size: tuple[int, int], options: EncoderOptions | None = None) -> None:
        self.name = ""
        self.rejected: dict[str, str] = {}
        self._size = size
        self._options = options or EncoderOptions()
        self._stream: StreamInfo | None = None
        self._context: Any = None
        self._origin: float | None = None
        self._last = _Pending(-1, 0.0, 0.0)
        self._keyframe_due = _AT_ONCE
        self._pending: list[_Pending] = []

    @property
    def stream(self) -> StreamInfo:
        """Codec, size and configuration; known once the encoder was opened."""
        if self._stream is None:
            raise SinkError("the encoder is not open")
        return self._stream

    def open(self) -> None:
        """Choose a codec. Raises InputError for settings no codec can meet, SinkError where none works now."""
        if self._context is not None:
            return
        _check(self._size, self._options)
        self.rejected = {}
        for codec in CODECS if self._options.codec == "auto" else (self._options.codec,):
            try:
                self._stream = _tried(codec, self._size, self._options)
                self._context = _context(codec, self._size, self._options)
            except (FFmpegError, OSError, ValueError) as error:
                self.rejected[codec] = _reason(error, codec)
                continue
            self.name = codec
            self._restart()
            log.info("recording with %s%s", codec, "".join(f"; {name}: {why}" for name, why in self.rejected.items()))
            return
        width, height = self._size
        why = ", ".join(f"{name}: {reason}" for name, reason in self.rejected.items())
        raise SinkError(f"no H.264 encoder works for {width}x{height} pixels ({why}): choose another codec or preset")

    def encode(self, image: NDArray[np.uint8], timestamp: float) -> list[Packet]:
        """Encode a picture: I420, uint8 [height * 3 // 2, width], read before this returns or until its packet is out.

        A timestamp that is not later than the last one counts as one tick later. Raises SinkError, after which the
        encoder is to be closed and opened again.
        """
        width, height = self._size
        if self._context is None:
            raise SinkError("the encoder is not open")
        if image.shape != (height * 3 // 2, width):
            shape = "x".join(str(length) for length in image.shape)
            raise SinkError(f"picture of shape {shape}: I420 of {width}x{height} pixels is what was announced")
        frame = _picture(image)
        pending = self._place(timestamp)
        frame.pts, frame.time_base = pending.ticks, Fraction(1, TICKS)
        if timestamp + pending.duration / 2 >= self._keyframe_due:
            frame.pict_type = PictureType.I
            self._keyframe_due = timestamp + self._options.keyframe_interval
        self._pending.append(pending)
        return self._packets(frame)

    def flush(self) -> list[Packet]:
        """The packets still under way, at the end: afterwards the encoder takes no more until it is opened again."""
        return [] if self._context is None else self._packets(None)

    def close(self) -> None:
        self._context = None
        self._restart()

    def _restart(self) -> None:
        self._origin = None
        self._last = _Pending(-1, 0.0, 1 / self._options.rate)
        self._keyframe_due = _AT_ONCE
        self._pending = []

    def _place(self, timestamp: float) -> _Pending:
        """Where on the encoder's clock the next frame goes, and about how long it will be shown."""
        last = self._last
        if self._origin is None:
            self._origin = timestamp
            self._last = _Pending(0, timestamp, last.duration)
        else:
            ticks = max(last.ticks + 1, round((timestamp - self._origin) * TICKS))
            timestamp = max(timestamp, last.timestamp + 1 / TICKS)
            duration = min(timestamp - last.timestamp, self._options.keyframe_interval)
            self._last = _Pending(ticks, timestamp, duration)
        return self._last

    def _packets(self, frame: Any) -> list[Packet]:
        with _translated(self.name):
            return [self._packet(encoded) for encoded in self._context.encode(frame)]

    def _packet(self, encoded: Any) -> Packet:
        """The packet of a picture that came out. What the encoder lost on the way, going by the ticks, is gone."""
        while self._pending and self._pending[0].ticks < encoded.pts:
            self._pending.pop(0)
        if not self._pending or self._pending[0].ticks != encoded.pts:
            raise ValueError("it answers for pictures it was not given")
        pending, *behind = self._pending
        self._pending = behind
        duration = behind[0].timestamp - pending.timestamp if behind else pending.duration
        return Packet(sample(bytes(encoded)), pending.timestamp, duration, bool(encoded.is_keyframe))


def _check(size: tuple[int, int], options: EncoderOptions) -> None:
    width, height = size
    if min(size) < 16 or max(size) > 8192 or width % 2 or height % 2:
        raise InputError(f"pictures of {width}x{height} pixels: H.264 takes even sizes from 16x16 to 8192x8192")
    if options.codec not in ("auto", *CODECS):
        raise InputError(f"codec {options.codec!r}: choose {', '.join(CODECS)} or auto")
    if options.preset not in PRESETS:
        raise InputError(f"preset {options.preset!r}: choose one of {', '.join(PRESETS)}")
    if options.matrix not in _MATRICES:
        raise InputError(f"matrix {options.matrix!r}: choose {' or '.join(_MATRICES)}")
    if not (options.keyframe_interval > 0 and options.rate > 0):
        raise InputError(f"keyframe_interval {options.keyframe_interval:g} s at {options.rate:g}/s: more than 0")


def _settings(codec: str, size: tuple[int, int], options: EncoderOptions) -> dict[str, str]:
    """FFmpeg's options. Keyframes are forced by time: what is left to count frames may only be late."""
    common = {"bf": "0", "g": "1000", "flags": "+global_header"}
    if codec != "libx264":
        usual = round(BITS_A_PIXEL * size[0] * size[1] * options.rate)
        bitrate = options.bitrate or min(options.max_bitrate or usual, usual)
        return {**common, "b": str(bitrate)}
    rate = {"b": str(options.bitrate)} if options.bitrate else {"crf": str(options.quality)}
    ceiling = str(max(options.bitrate, options.max_bitrate))
    bound = {"maxrate": ceiling, "bufsize": ceiling} if options.max_bitrate else {}
    return {
        **common,
        **rate,
        **bound,
        "preset": options.preset,
        "tune": "zerolatency",
        "forced-idr": "1",
        # zerolatency would budget as if the frames were evenly spaced
        "x264-params": f"force-cfr=0{_QUICKER.get(options.preset, '')}",
    }


def _context(codec: str, size: tuple[int, int], options: EncoderOptions) -> Any:
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, TICKS)
    context.framerate = Fraction(options.rate).limit_denominator(1001)
    context.thread_count = options.threads
    context.color_range = _LIMITED_RANGE
    context.color_primaries = context.color_trc = context.colorspace = _MATRICES[options.matrix]
    context.options = _settings(codec, size, options)
    context.open()
    return context


def _tried(codec: str, size: tuple[int, int], options: EncoderOptions) -> StreamInfo:
    """The stream a codec makes of a few grey pictures. Raises FFmpegError, OSError, ValueError where it fails."""
    context = _context(codec, size, options)
    grey = blank(size)
    grey.fill(128)
    packets: list[Any] = []
    asked = (0, TRIAL_FRAMES // 2)
    for number in range(TRIAL_FRAMES):
        frame = _picture(grey)
        frame.pts, frame.time_base = round(number * TICKS / options.rate), Fraction(1, TICKS)
        if number in asked:
            frame.pict_type = PictureType.I
        packets += context.encode(frame)
    packets += context.encode(None)
    if len(packets) != TRIAL_FRAMES or not all(packets[number].is_keyframe for number in asked):
        raise ValueError(f"gave {len(packets)} of {TRIAL_FRAMES} pictures on trial, or no keyframe where one was due")
    header = bytes(context.extradata or b"")
    extradata = configuration(units(header)) or configuration(units(bytes(packets[0])))
    if extradata is None:
        raise ValueError("gives no parameter sets")
    return StreamInfo("h264", size, extradata)


def _picture(image: NDArray[np.uint8]) -> Any:
    return av.VideoFrame.from_numpy_buffer(image, format="yuv420p")


def _reason(error: Exception, codec: str = "") -> str:
    if codec == "h264_v4l2m2m" and getattr(error, "errno", None) in (EINVAL, ENODEV, ENOENT):
        return "this machine has no such encoder"
    if isinstance(error, av.codec.codec.UnknownCodecError):
        return "not in this PyAV: install its wheel from PyPI"
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def _translated(codec: str) -> Iterator[None]:
    try:
        yield
    except (FFmpegError, OSError, ValueError) as error:
        raise SinkError(f"{codec}: cannot encode: {_reason(error)}") from error
