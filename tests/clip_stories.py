"""Pictures, packets and clips to tell the recording's modules of, made on the spot."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from edgecam.cameras.synthetic import SyntheticCamera
from edgecam.preroll import Packet
from edgecam.recording.encoder import Encoder, EncoderOptions
from edgecam.recording.fragments import ClipInfo, FragmentWriter
from edgecam.recording.h264 import StreamInfo

SMALL = (160, 96)


@functools.cache
def street(count: int, size: tuple[int, int] = SMALL, light: str = "day") -> tuple[NDArray[np.uint8], ...]:
    """So many pictures of the rendered street, at 30 a second."""
    camera = SyntheticCamera(lores_size=(32, 32), size=size, fps=30, pace="fast", place="street", light=light)
    with camera:
        frames = [camera.read(1.0) for _ in range(count)]
    return tuple(frame.main for frame in frames if frame is not None)


def evenly(count: int, fps: float, start: float = 1000.0) -> list[float]:
    return [start + number / fps for number in range(count)]


def encoded(
    timestamps: Sequence[float], options: EncoderOptions | None = None, size: tuple[int, int] = SMALL
) -> tuple[StreamInfo, list[Packet]]:
    """The packets of a street seen at these times, there and back again."""
    pictures = street(60, size)
    with Encoder(size, options) as encoder:
        packets = []
        for number, timestamp in enumerate(timestamps):
            turn, place = divmod(number, len(pictures))
            packets += encoder.encode(pictures[place if turn % 2 == 0 else -1 - place], timestamp)
        return encoder.stream, packets + encoder.flush()


@functools.cache
def known_packets(count: int = 90, fps: float = 30.0) -> tuple[StreamInfo, tuple[Packet, ...]]:
    stream, packets = encoded(evenly(count, fps))
    return stream, tuple(packets)


def write_clip(path: Path, packets: Iterable[Packet], stream: StreamInfo) -> ClipInfo:
    writer = FragmentWriter(path, stream, sync=False)
    writer.write(packets)
    info = writer.finish()
    assert info is not None
    return info


def growing_clip(path: Path, packets: Iterable[Packet], stream: StreamInfo) -> Path:
    """A clip whose writer has just vanished; the path of what it left."""
    writer = FragmentWriter(path, stream, sync=False)
    writer.write(packets)
    part = path.with_name(path.name + ".part")
    left = part.read_bytes()
    writer.abandon()
    part.write_bytes(left)
    return part


def shown(path: Path) -> list[Any]:
    """The pictures of a clip as FFmpeg decodes them; a decoder that complains fails the test."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.options = {"err_detect": "explode"}
        return list(container.decode(video=0))


def times(frames: Iterable[Any]) -> list[float]:
    return [float(frame.pts * frame.time_base) for frame in frames]
