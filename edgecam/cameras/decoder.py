"""Videos through PyAV: files, V4L2 devices and network streams, demuxed and decoded in the thread that asks."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from edgecam.cameras.place import Place, lacks_index, local_path, missing_part, shown
from edgecam.cameras.source import Picture
from edgecam.errors import CameraError, EndOfStream, InputError

log = logging.getLogger(__name__)

#: Longest wait for a live stream to open, and for its next packet, seconds. A file gets the first for both.
OPEN_TIMEOUT = 5.0
READ_TIMEOUT = 0.5

#: Decoder threads: enough for 1080p on a Pi, few enough to leave it cores for everything else.
THREADS = 2

#: Larger pictures are not decoded, pixels; 8192x4320 fits.
LARGEST_PICTURE_PX = 36_000_000

#: So many read errors in a row end a file.
_READ_ERRORS = 50

#: "Decoders" that make pictures of any text.
# Titles in a broken encoding are no reason to refuse a video. PyAV 19 never minds them and has no such option.
_FORGIVING: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
_TEXT_CODECS = frozenset({"ansi", "bintext", "idf", "xbin"})

#: AVCOL_RANGE_JPEG and AVCOL_SPC_BT709.
_FULL_RANGE, _BT709 = 2, 1

#: Factor and summand from full to limited range of Y, U and V: 0..255 to 16..235, and about 128 to 16..240.
FULL_TO_LIMITED = ((219 / 255, 16.0), (224 / 255, 128 - 128 * 224 / 255), (224 / 255, 128 - 128 * 224 / 255))

_TURNS = {-90: cv2.ROTATE_90_CLOCKWISE, 90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, -180: cv2.ROTATE_180}


class VideoDecoder:
    """The first video stream of whatever ffmpeg opens.

    Damaged packets and pictures, and a file that is cut short, are reported to `on_damage` and survived. `size`
    and `fps` are asked of a V4L2 device; others deliver what they have.
    """

    def __init__(
        self,
        path: str,
        place: Place,
        on_damage: Callable[[], None],
        *,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
    ) -> None:
        self._path = path
        self._place = place
        self._on_damage = on_damage
        self._device_options = {"video_size": f"{size[0]}x{size[1]}"} if size else {}
        self._device_options |= {"framerate": f"{fps:g}"} if fps else {}
        self._container: InputContainer | None = None
        self._stream: VideoStream | None = None
        self._packets: Iterator[av.Packet[Any]] = iter(())
        self._decoded: deque[av.VideoFrame] = deque()

    @property
    def duration(self) -> float | None:
        length = self._container.duration if self._container else None
        return length / 1e6 if length and length > 0 else None

    @property
    def frames(self) -> int | None:
        return (self._stream.frames or None) if self._stream else None

    @property
    def fps(self) -> float | None:
        rate = self._stream.average_rate if self._stream else None
        return float(rate) if rate else None

    @property
    def _live(self) -> bool:
        return self._place is not Place.FILE

    def open(self) -> None:
        try:
            self._container = self._opened()
            self._stream = self._video_stream(self._container)
        except av.FFmpegError as error:
            raise self._open_error(error) from error
        self._packets = self._container.demux(self._stream)
        if not self._live:
            self._check_length()

    def close(self) -> None:
        self._decoded.clear()
        self._packets = iter(())
        container, self._container, self._stream = self._container, None, None
        if container:
            container.close()

    def next(self) -> Picture | None:
        while not self._decoded:
            packet = self._next_packet()
            if packet is None:
                return None
            self._decode(packet)
        # A device's pictures lie in memory that its driver takes back.
        return _picture(self._decoded.popleft(), lasting=self._place is not Place.DEVICE)

    def _opened(self) -> InputContainer:
        options: dict[str, str] = {}
        if self._path.lower().startswith(("rtsp://", "rtsps://")):
            options["rtsp_transport"] = "tcp"
        container: InputContainer = av.open(
            self._path if self._live else f"file:{local_path(self._path)}",
            format="v4l2" if self._place is Place.DEVICE else None,
            options=self._device_options if self._place is Place.DEVICE else options,
            timeout=(OPEN_TIMEOUT, READ_TIMEOUT if self._live else OPEN_TIMEOUT),
            **_FORGIVING,
        )
        return container

    def _video_stream(self, container: InputContainer) -> VideoStream:
        if not container.streams.video:
            raise InputError(f"{shown(self._path)}: holds no video stream")
        stream = container.streams.video[0]
        context: Any = stream.codec_context
        if context is None:
            raise InputError(f"{shown(self._path)}: no decoder for its codec: convert it to H.264")
        if context.name in _TEXT_CODECS:
            raise InputError(f"{shown(self._path)}: a text, not a video")
        context.options = {"max_pixels": str(LARGEST_PICTURE_PX)}
        context.thread_count = THREADS
        # Frame threads hold back as many frames as there are threads: not for a live picture.
        context.thread_type = "SLICE" if self._live else "AUTO"
        return stream

    def _open_error(self, error: av.FFmpegError) -> Exception:
        name, reason = shown(self._path), error.strerror or type(error).__name__
        if isinstance(error, av.error.ProtocolNotFoundError):
            return InputError(f"{name}: ffmpeg does not know this kind of URL")
        if self._live or isinstance(error, av.error.ExitError):
            return CameraError(f"{name}: cannot be opened: {reason}")
        if isinstance(error, OSError):
            return InputError(f"{name}: cannot be read: {reason}")
        return InputError(f"{name}: {_why_not_a_video(Path(local_path(self._path)), reason)}")

    def _check_length(self) -> None:
        if missing := missing_part(Path(local_path(self._path))):
            log.warning("%s: cut short: %.0f %% of it is missing; playing what is there", self._path, missing * 100)
            self._on_damage()

    def _next_packet(self) -> av.Packet[Any] | None:
        """The next packet, None where a live stream has none in time. Raises EndOfStream, CameraError."""
        assert self._container is not None
        for _ in range(_READ_ERRORS):
            try:
                return next(self._packets)
            except StopIteration:
                break
            except av.FFmpegError as error:
                self._judge_read_error(error)
            self._packets = self._container.demux(self._stream)
            if self._live:
                return None
        self._packets = iter(())
        endless = self._live and self.duration is None
        raise (CameraError if endless else EndOfStream)(f"{shown(self._path)}: the stream has ended")

    def _judge_read_error(self, error: av.FFmpegError) -> None:
        """Return where reading can go on: a live stream was silent, or a file is damaged here."""
        silent = isinstance(error, av.error.ExitError)
        if self._live is not silent:
            raise CameraError(f"{shown(self._path)}: {error.strerror or type(error).__name__}") from error
        if not self._live:
            self._on_damage()

    def _decode(self, packet: av.Packet[Any]) -> None:
        try:
            frames = [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
        except av.FFmpegError:
            self._on_damage()
            return
        self._decoded.extend(frames)
        if packet.is_corrupt or any(frame.is_corrupt for frame in frames):
            self._on_damage()


def _why_not_a_video(path: Path, reason: str) -> str:
    if lacks_index(path):
        return "truncated: its index (moov) is missing, it was never finished: copy it again"
    if missing := missing_part(path):
        return f"truncated: {missing * 100:.0f} % of it is missing: copy it again"
    reason = reason if path.stat().st_size else "the file is empty"
    return f"not a video ({reason}): give a video, a folder of pictures or a URL"


def _picture(frame: av.VideoFrame, *, lasting: bool) -> Picture:
    pts, dts, base, turn = frame.pts, frame.dts, frame.time_base, _TURNS.get(frame.rotation)
    y, u, v = (plane if turn is None else _uint8(cv2.rotate(plane, turn)) for plane in _limited_planes(frame))
    pts_time = float(pts * base) if pts is not None and base else None
    dts_time = float(dts * base) if dts is not None and base else None
    return Picture((y, u, v), pts_time, dts_time, bt709=frame.colorspace == _BT709, lasting=lasting)


def _limited_planes(frame: av.VideoFrame) -> Iterator[NDArray[np.uint8]]:
    """Y, U and V at 4:2:0 and in limited range, without the padding of their lines: views where nothing is to do."""
    planar = frame.format.name in {"yuv420p", "yuvj420p"}
    full_range = planar and (frame.format.name == "yuvj420p" or frame.color_range == _FULL_RANGE)
    if not planar:
        frame = frame.reformat(format="yuv420p", dst_color_range="MPEG")
    plane: Any  # PyAV's planes are buffers without saying so
    for plane, (scale, offset) in zip(frame.planes, FULL_TO_LIMITED, strict=True):
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        # Not by swscale: before PyAV 16 it copies where only the range differs.
        yield _uint8(cv2.convertScaleAbs(lines, alpha=scale, beta=offset)) if full_range else lines


def _uint8(picture: object) -> NDArray[np.uint8]:
    return np.asarray(picture, np.uint8)
