"""Where a video comes from: a file, a folder, a device or a URL; and whether a file is all there."""

from __future__ import annotations

import re
import stat
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO

from edgecam.errors import CameraError, InputError

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_DEVICES = "/dev/video"

#: EBML ids of a Matroska file's header and of the segment that holds all the rest.
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


class Place(Enum):
    """What a path leads to."""

    FILE = auto()
    FOLDER = auto()
    DEVICE = auto()
    URL = auto()


def is_live(path: str) -> bool:
    """Whether the path names a device or a URL, which set their own pace. No I/O."""
    return path.startswith(_DEVICES) or (_URL.match(path) is not None and local_path(path) == path)


def local_path(path: str) -> str:
    """The path without a leading `file://`."""
    return path[7:] if path.lower().startswith("file://") else path


def shown(path: str) -> str:
    """The path as it may stand in a message: without the password of a URL."""
    return re.sub(r"(://[^/@:]*):[^/]*@", r"\1:***@", path)


def find(path: str) -> Place:
    """What the path leads to. Raises InputError where that is nothing that can be played, CameraError for a device."""
    if path.startswith(_DEVICES):
        if not Path(path).exists():
            raise CameraError(f"{path}: no such device: is the camera plugged in?")
        return Place.DEVICE
    if is_live(path):
        return Place.URL
    try:
        mode = Path(local_path(path)).stat().st_mode
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        why = getattr(error, "strerror", None) or error
        reason = "no such file or folder: check the path" if missing else f"cannot be read: {why}"
        raise InputError(f"{path}: {reason}") from error
    if stat.S_ISDIR(mode):
        return Place.FOLDER
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: neither a file nor a folder: give a video, a folder of pictures or a URL")
    return Place.FILE


def missing_part(path: Path) -> float:
    """The fraction of the file that is not there, judged by the sizes its container declares; 0 where it is whole.

    Knows MP4, AVI and Matroska; others count as whole. Raises OSError.
    """
    actual = path.stat().st_size
    with path.open("rb") as file:
        declared = _declared_bytes(file, actual)
    return max(0.0, 1 - actual / declared) if declared else 0.0


def lacks_index(path: Path) -> bool:
    """Whether the file is an MP4 without its index (`moov`), which is written last: it was never finished."""
    with path.open("rb") as file:
        boxes = dict(_boxes(file, path.stat().st_size))
    return b"ftyp" in boxes and b"moov" not in boxes


def _declared_bytes(file: BinaryIO, actual: int) -> int:
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"AVI ":
        return 8 + int.from_bytes(head[4:8], "little")
    if head[:4] == _EBML:
        return _matroska_bytes(file)
    if head[4:8] == b"ftyp":
        return max((end for _, end in _boxes(file, actual)), default=0)
    return 0


def _boxes(file: BinaryIO, actual: int) -> list[tuple[bytes, int]]:
    """Type and end of each box at the top of an MP4 (ISO/IEC 14496-12, 4.2), as far as the file goes."""
    boxes: list[tuple[bytes, int]] = []
    start = 0
    while start + 8 <= actual and len(boxes) < 10_000:
        file.seek(start)
        head = file.read(16)
        size = int.from_bytes(head[:4])
        size = int.from_bytes(head[8:16]) if size == 1 else size or actual - start
        if size < 8:
            break
        start += size
        boxes.append((head[4:8], start))
    return boxes


def _matroska_bytes(file: BinaryIO) -> int:
    """End of the segment of a Matroska file (RFC 8794, section 6), 0 where it is not declared."""
    file.seek(0)
    head = file.read(4096)
    at = head.find(_SEGMENT)
    if at < 0 or at + 12 > len(head) or head[at + 4] == 0:
        return 0
    length = 9 - head[at + 4].bit_length()
    size = int.from_bytes(head[at + 4 : at + 4 + length]) & (1 << 7 * length) - 1
    return 0 if size == (1 << 7 * length) - 1 else at + 4 + length + size
