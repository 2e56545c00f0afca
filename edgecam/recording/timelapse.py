"""The time-lapse of a day: its videos' key frames, one each so many seconds, 25 shown a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecam.errors import InputError
from edgecam.recording.encoder import Encoder, EncoderOptions
from edgecam.recording.fragments import ClipInfo, FragmentWriter
from edgecam.recording.reading import image_of, opened, stream_of
from edgecam.yuv import even

FPS = 25
"""Pictures a second in the result."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A video and when it begins, in Unix seconds."""

    path: Path
    start: float


@dataclass(frozen=True, slots=True)
class Lapse:
    """What was made: the clip, of how many videos, and what is wrong with those that could not be read."""

    info: ClipInfo
    pieces: int
    unread: tuple[str, ...]


def make_timelapse(
    pieces: Sequence[Piece],
    target: Path,
    *,
    speed: float,
    span: tuple[float, float],
    advance: Callable[[int], None] = lambda _pieces: None,
    options: EncoderOptions | None = None,
) -> Lapse:
    """Write `target`: what `pieces`, in order, show within `span` (from, until; Unix seconds), `speed` times as fast.

    Only key frames are decoded; times of which there is no video take none. All pictures have the size of the first.
    `advance` is called with each piece that is done. Raises InputError where there is not one picture, SinkError where
    no encoder works, OSError where the target cannot be written or is there already; nothing is left behind then.
    """
    unread: list[str] = []
    used: set[Path] = set()
    with ExitStack() as cleanup:
        encoder: Encoder | None = None
        writer: FragmentWriter | None = None
        for number, (piece, image) in enumerate(_pictures(pieces, speed / FPS, span, unread, advance)):
            if encoder is None or writer is None:
                size = (image.shape[1], image.shape[0] * 2 // 3)
                encoder = cleanup.enter_context(Encoder(size, options or EncoderOptions(rate=FPS)))
                writer = FragmentWriter(target, encoder.stream, sync=False, started=span[0])
                cleanup.callback(writer.abandon)
            used.add(piece.path)
            writer.write(encoder.encode(image, number / FPS))
        if encoder is None or writer is None:
            raise InputError("; ".join(unread) or "nothing was recorded then")
        writer.write(encoder.flush())
        info = writer.finish()
    if info is None or info.cut:
        target.unlink(missing_ok=True)
        raise OSError(f"{target}: cannot write: {info.cut if info else 'no picture came out'}")
    return Lapse(info, len(used), tuple(unread))


def _pictures(
    pieces: Sequence[Piece],
    step: float,
    span: tuple[float, float],
    unread: list[str],
    advance: Callable[[int], None],
) -> Iterator[tuple[Piece, NDArray[np.uint8]]]:
    """A picture each `step` seconds of what there is, in one size."""
    since, until = span
    due, size = since, None
    for piece in pieces:
        due = max(due, piece.start)
        try:
            for at, image in _key_frames(piece, due, until, step, size):
                size = size or (image.shape[1], image.shape[0] * 2 // 3)
                due = at + step
                yield piece, image
        except InputError as error:
            unread.append(str(error))
        advance(1)


def _key_frames(
    piece: Piece, due: float, until: float, step: float, size: tuple[int, int] | None
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The key frame at or before `due`, and each `step` seconds later, with their Unix times."""
    with opened(piece.path) as container:
        stream = stream_of(piece.path, container)
        stream.codec_context.skip_frame = "NONKEY"
        length = float((container.duration or 0) / 1_000_000)
        while due < min(until, piece.start + length):
            container.seek(round((due - piece.start) / stream.time_base), stream=stream, backward=True)
            frame: Any = next(container.decode(stream), None)
            if frame is None:
                return
            size = size or even((frame.width, frame.height))
            yield due, image_of(frame, size)
            due += step
