"""The annotated video: MP4 with H.264, playable also when its writer was killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from fractions import Fraction
from io import FileIO
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import PictureType
from numpy.typing import NDArray

from edgecam.errors import SinkError
from edgecam.ports import Sink
from edgecam.sinks.faults import sink_error
from edgecam.types import AnnotatedFrame
from edgecam.yuv import planes, shrink

TICKS = 90_000
"""Ticks a second, MPEG's own clock."""
_MATRICES = {"bt601": 6, "bt709": 1}
"""Colour codes of ITU-T H.273; the same number stands for primaries, transfer and matrix."""
_LIMITED_RANGE = 1
_BLACK = (16, 128, 128)


class VideoSink(Sink):
    """Writes every frame at its own timestamp, so that the video runs as fast as the world did.

    The file grows as `NAME.part` in fragments, one to a key frame: killed at any moment, it plays up to the last whole
    one. `close` turns it into a plain MP4 (FFmpeg's hybrid fragmentation: nothing is copied) and gives it its name.
    Where the disk will not even take that, the whole fragments are kept under the name, and SinkError is raised.

    The first frame sets the size; later ones of another size are fitted into it, with black bars. Opened again, the
    sink writes the next file: `annotated.mp4`, `annotated-2.mp4` … `files` are those that are finished, `written`
    counts frames. `matrix` says what the camera's colours are, `bt601` or `bt709`; they are tagged, not converted.
    B-frames are off: they would delay the last whole fragment, for a tenth of the size.
    """

    name = "video"
    waits_for_disk = True

    def __init__(
        self,
        path: Path,
        *,
        crf: int = 23,
        preset: str = "superfast",
        keyframe_interval: float = 1.0,
        threads: int = 2,
        matrix: str = "bt601",
    ) -> None:
        self.written = 0
        self.files: list[Path] = []
        self._path = Path(path)
        self._options = {"crf": str(crf), "preset": preset, "bf": "0", "forced-idr": "1", "g": "100000"}
        self._keyframe_interval = keyframe_interval
        self._threads = threads
        self._colour = _MATRICES[matrix]
        self._target: Path | None = None
        self._recording: _Recording | None = None

    def open(self) -> None:
        if self._target is not None:
            return
        number = len(self.files) + 1
        target = self._path if number == 1 else self._path.with_stem(f"{self._path.stem}-{number}")
        with _translated(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
            _part(target).write_bytes(b"")
        self._target = target

    def write(self, annotated: AnnotatedFrame) -> None:
        if self._target is None:
            raise SinkError(f"{self._path}: the video is not open")
        with _translated(self._target):
            if self._recording is None:
                self._recording = self._begin(self._target, annotated)
            self._recording.add(annotated.image, annotated.frame.timestamp)
        self.written += 1

    def close(self) -> None:
        target, self._target = self._target, None
        recording, self._recording = self._recording, None
        if target is None:
            return
        if recording is None:
            _part(target).unlink(missing_ok=True)
            return
        with _translated(target):
            try:
                recording.finish()
            finally:
                if recording.save(target):
                    self.files.append(target)

    def _begin(self, target: Path, annotated: AnnotatedFrame) -> _Recording:
        size = annotated.frame.width, annotated.frame.height
        return _Recording(
            _part(target), size, self._options, self._keyframe_interval, threads=self._threads, colour=self._colour
        )


class _Recording:
    """One file in the making."""

    def __init__(
        self,
        part: Path,
        size: tuple[int, int],
        options: dict[str, str],
        keyframe_interval: float,
        *,
        threads: int,
        colour: int,
    ) -> None:
        self._part = part
        self._size = size
        self._keyframe_ticks = round(keyframe_interval * TICKS)
        self._start: float | None = None
        self._ticks = -1
        self._next_keyframe = 0
        self._keyframes = 0
        self._whole_bytes = 0
        self._failed = self._finished = False
        self._file = _WholeWrites(part, "w")
        self._container = av.open(self._file, "w", format="mp4", options={"movflags": "hybrid_fragmented"})
        self._stream = self._container.add_stream("libx264", options=options)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = Fraction(1, TICKS)
        context.thread_count = threads
        context.color_range = _LIMITED_RANGE
        context.color_primaries = context.color_trc = context.colorspace = colour

    def add(self, image: NDArray[np.uint8], timestamp: float) -> None:
        """Encode a picture. Raises OSError, FFmpegError, after which only `finish` and `save` are of use."""
        if self._start is None:
            self._start = timestamp
        self._ticks = max(self._ticks + 1, round((timestamp - self._start) * TICKS))
        frame = av.VideoFrame.from_numpy_buffer(fitted(image, self._size), format="yuv420p")
        frame.pts, frame.time_base = self._ticks, self._stream.codec_context.time_base
        if self._ticks >= self._next_keyframe:
            frame.pict_type = PictureType.I
            self._next_keyframe = self._ticks + self._keyframe_ticks
        self._mux(frame)

    def finish(self) -> None:
        """Flush the encoder and complete the file; after a failed `add` only close it. Raises OSError, FFmpegError."""
        try:
            if not self._failed:
                self._mux(None)
                self._container.close()
                os.fsync(self._file.fileno())
                self._finished = True
        finally:
            self._abandon()

    def _abandon(self) -> None:
        with suppress(OSError, FFmpegError):
            self._container.close()
        self._file.close()

    def save(self, target: Path) -> bool:
        """Name the file, cut to what is whole where `finish` failed; False where nothing is whole. Raises OSError."""
        if not self._finished and self._keyframes < 2:
            self._part.unlink()
            return False
        if not self._finished:
            os.truncate(self._part, self._whole_bytes)
        self._part.replace(target)
        return True

    def _mux(self, frame: Any) -> None:
        # FFmpeg's muxers crash when they are used again after an error, and the hybrid one (8.1) when it is completed
        # without a packet: the first packet begins the file, the first error ends it.
        self._failed = True
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
            if packet.is_keyframe:  # it has just closed the fragment before it
                self._keyframes += 1
                self._whole_bytes = self._part.stat().st_size
        self._failed = False


class _WholeWrites(FileIO):
    """A file whose every write is complete or raises. Ours and not FFmpeg's, which leaks it where a header fails."""

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) :]
        return len(data)


def fitted(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The I420 picture at (width, height) pixels: itself where it fits, else shrunk or grown, with black bars."""
    source = planes(image)
    if source[0].shape == size[::-1]:
        return image
    scale = min(size[0] / source[0].shape[1], size[1] / source[0].shape[0])
    width, height = (2 * max(1, round(length * scale / 2)) for length in source[0].shape[::-1])
    left, top = (size[0] - width) // 4 * 2, (size[1] - height) // 4 * 2
    result = np.empty((size[1] * 3 // 2, size[0]), np.uint8)
    for plane, target, black, half in zip(source, planes(result), _BLACK, (1, 2, 2), strict=True):
        target[...] = black
        x, y = left // half, top // half
        target[y : y + height // half, x : x + width // half] = shrink(plane, (width // half, height // half))
    return result


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


@contextmanager
def _translated(target: Path) -> Iterator[None]:
    try:
        yield
    except av.codec.codec.UnknownCodecError as error:
        raise SinkError("this PyAV was built without libx264: install its wheel from PyPI") from error
    except (OSError, FFmpegError, ValueError) as error:
        raise sink_error(target, error) from error
