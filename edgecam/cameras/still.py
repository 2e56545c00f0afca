"""Still pictures: one file to RGB, upright, or one clear error."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.errors import InputError

#: Largest picture that is read, pixels, and the largest file, bytes.
LARGEST_PICTURE_PX = 200_000_000
LARGEST_FILE_BYTES = 500_000_000

#: File name endings that make a file of a folder a picture.
ENDINGS = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})

_PNG = b"\x89PNG\r\n\x1a\n"
_SIGNATURES = (b"\xff\xd8\xff", _PNG, b"BM", b"RIFF", b"II*\0", b"MM\0*", b"GIF8", b"P6")


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The picture in a file, uint8 RGB [h, w, 3], turned upright as its EXIF orientation says.

    Anything OpenCV reads; 16-bit and grey pictures become 8-bit RGB, transparency is dropped. Raises InputError for a
    file that is missing, unreadable, not a picture, truncated, or has more than LARGEST_PICTURE_PX pixels.
    """
    data = _read(path)
    declared = _declared_px(data)
    if declared > LARGEST_PICTURE_PX:
        raise InputError(
            f"{path}: picture of {declared / 1e6:.0f} megapixels: at most {LARGEST_PICTURE_PX / 1e6:.0f}, scale it"
        )
    picture = _decoded(data)
    if picture is None:
        known = data.startswith(_SIGNATURES)
        raise InputError(f"{path}: {'truncated or damaged picture: copy it again' if known else 'not a picture'}")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _decoded(data: bytes) -> NDArray[np.uint8] | None:
    """The picture as BGR, None where it cannot be decoded."""
    if data.startswith(_PNG) and not _is_whole_png(data):
        return None
    with _opencv_silent():
        try:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            return None
    return None if picture is None else np.asarray(picture, np.uint8)


@contextmanager
def _opencv_silent() -> Iterator[None]:
    """Keep OpenCV's own lines off stderr, where this version of it can be told."""
    logging = getattr(cv2.utils, "logging", None)
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT) if logging else None
    try:
        yield
    finally:
        if logging:
            logging.setLogLevel(level)


def _is_whole_png(data: bytes) -> bool:
    """Whether all chunks are there and have their checksums (PNG, 5.3): libpng would complain on stderr itself."""
    at = len(_PNG)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise InputError(f"{path}: {'not a file' if path.exists() else 'no such file: check the path'}")
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise InputError(f"{path}: {path.stat().st_size} bytes: a picture has at most {LARGEST_FILE_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if not data:
        raise InputError(f"{path}: empty file, not a picture")
    return data


def _declared_px(data: bytes) -> int:
    """Pixels that the header of a PNG, BMP or JPEG announces, 0 for others: what is too large is never unpacked."""
    if data.startswith(_PNG):
        return int.from_bytes(data[16:20]) * int.from_bytes(data[20:24])
    if data.startswith(b"BM"):
        sides = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
        return abs(next(sides) * next(sides))
    return _jpeg_px(data) if data.startswith(b"\xff\xd8") else 0


def _jpeg_px(data: bytes) -> int:
    """Height times width from the frame header (SOFn) of a JPEG; ITU-T T.81, B.2.2."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return int.from_bytes(data[at + 5 : at + 7]) * int.from_bytes(data[at + 7 : at + 9])
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    return 0
