"""A copy of a clip with its boxes drawn into the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from av.error import FFmpegError

from edgecam.errors import InputError
from edgecam.overlay import Overlay
from edgecam.recording.boxes import Boxes, boxes_path, read_boxes
from edgecam.recording.encoder import Encoder, EncoderOptions
from edgecam.recording.fragments import ClipInfo, FragmentWriter
from edgecam.recording.reading import image_of, opened, stream_of
from edgecam.yuv import even


def burn(
    clip: Path,
    target: Path,
    overlay: Overlay,
    *,
    started: datetime | None = None,
    options: EncoderOptions | None = None,
) -> ClipInfo:
    """Write `target`: the pictures of `clip`, at their times, each with the boxes that `clip`'s .vtt has for it.

    A clip without one is copied with the clock alone; what FFmpeg cannot decode is left out, which `check` would tell.
    `started` is the wall time of the first picture, for the clock; None leaves the clock out. Raises InputError where
    the clip cannot be read, SinkError where no encoder works, OSError where the target cannot be written or is there
    already; nothing is left behind then.
    """
    beside = boxes_path(clip)
    boxes = Boxes(read_boxes(beside) if beside.is_file() else ())
    with opened(clip) as container, Encoder(_size(clip, container), options) as encoder:
        start = 0.0 if started is None else started.timestamp()
        writer = FragmentWriter(target, encoder.stream, sync=False, started=start)
        try:
            for frame in _frames(container):
                at = float(frame.pts * frame.time_base)
                image = image_of(frame)
                overlay.draw(image, boxes.at(at), None if started is None else started + timedelta(seconds=at), "")
                writer.write(encoder.encode(image, at))
            writer.write(encoder.flush())
            info = writer.finish()
        finally:
            writer.abandon()
    if info is None:
        raise InputError(f"{clip}: nothing in it can be played")
    if info.cut:
        target.unlink()
        raise OSError(f"{target}: cannot write: {info.cut}")
    return info


def _size(clip: Path, container: Any) -> tuple[int, int]:
    stream = stream_of(clip, container)
    return even((stream.width, stream.height))


def _frames(container: Any) -> Iterator[Any]:
    for packet in container.demux(video=0):
        frames: list[Any] = []
        with suppress(FFmpegError):
            frames = packet.decode()
        yield from (frame for frame in frames if frame.pts is not None)
