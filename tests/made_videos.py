"""Small videos and pictures for tests, made on the spot."""

from __future__ import annotations

import functools
import struct
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.yuv import planes

FRAMES, FPS, SIZE = 12, 10, (64, 48)


def luma_of(number: int) -> int:
    """The brightness by which a test knows frame `number`."""
    return 40 + 12 * number


def numbered_picture(number: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """An I420 picture as bright as its number, with a bright reddish upper left quarter."""
    width, height = size
    image = np.full((height * 3 // 2, width), 128, np.uint8)
    y, _, v = planes(image)
    y[...] = luma_of(number)
    y[: height // 2, : width // 2] = 220
    v[: height // 4, : width // 4] = 160
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """Which numbered picture an I420 picture is, from its lower right quarter."""
    y = planes(image)[0]
    return round((float(y[y.shape[0] * 5 // 8 :, y.shape[1] * 5 // 8 :].mean()) - 40) / 12)


def make_video(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]] | None = None,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    container: str | None = None,
    stamps: Iterable[int] | None = None,
    colorspace: int | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode I420 pictures (numbered ones unless told); `stamps` are their timestamps in steps of 1 / FPS."""
    shown = list(pictures) if pictures is not None else [numbered_picture(number) for number in range(FRAMES)]
    with av.open(str(path), "w", format=container) as video:
        stream: Any = video.add_stream(codec, rate=FPS, options=options or {})
        stream.width, stream.height, stream.pix_fmt = shown[0].shape[1], shown[0].shape[0] * 2 // 3, pix_fmt
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        for number, picture in zip(stamps or range(len(shown)), shown, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "yuv420p").reformat(format=pix_fmt)
            frame.pts = number
            video.mux(stream.encode(frame))
        video.mux(stream.encode())
    return path


@functools.cache
def video_bytes(ending: str, codec: str) -> bytes:
    """The content of a numbered video, made once."""
    with tempfile.TemporaryDirectory() as folder:
        pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        return make_video(Path(folder) / f"made.{ending}", codec=codec, pix_fmt=pix_fmt).read_bytes()


def make_pictures(folder: Path, count: int = FRAMES, ending: str = "png") -> Path:
    """A folder of numbered pictures; their names sort in order."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        bgr = cv2.cvtColor(numbered_picture(number), cv2.COLOR_YUV2BGR_I420)
        assert cv2.imwrite(str(folder / f"{number:03d}.{ending}"), bgr)
    return folder


def turned(mp4: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """An MP4 whose first track is to be shown turned: the a, b, c, d of its display matrix (16.16 as integers)."""
    at = mp4.index(b"tkhd") + 4 + 4 + 20 + 16
    a, b, c, d = (value << 16 for value in matrix)
    return mp4[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + mp4[at + 36 :]


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels and holds none."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
