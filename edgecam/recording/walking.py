"""Reading a clip's boxes: what its header says, and how far its fragments are whole. Trusts no length it reads."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple
from zlib import crc32

from edgecam.errors import InputError
from edgecam.recording.mp4 import CHECK, FTYP, INDEX_BYTES, OUR_BOX, TICKS, Index, checksum

MOST_HEADER_BYTES = 1 << 16
MOST_FRAGMENT_BYTES = 1 << 28
"""Larger ones are not ours."""
_UUID_BYTES = 8 + 16 + 12


class Header(NamedTuple):
    """`start` is the first frame's monotonic time. The others are places in the file: duration, index, fragments."""

    start: float
    duration_at: int
    index_at: int

    @property
    def fragments_at(self) -> int:
        return self.index_at + INDEX_BYTES


@dataclass(slots=True)
class Contents:
    """How far a clip is whole: fragments up to byte `end`, `frames` in them, and their index, which knows the ticks."""

    header: Header
    end: int
    frames: int = 0
    fragments: int = 0
    index: Index = field(default_factory=Index)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.index.ticks / TICKS


class _Box(NamedTuple):
    kind: bytes
    body: memoryview
    at: int


class _Fragment(NamedTuple):
    bytes: int
    at_ticks: int
    ticks: int
    frames: int
    keyframe: bool


class Foreign(InputError):
    """The file does not begin as a clip of ours does."""


class Unfinished(InputError):
    """The file ends, or is empty, before anything could be played."""


def contents(file: BinaryIO) -> Contents:
    """Walk a clip of ours up to the first fragment that is torn or damaged.

    Raises Unfinished where the file ends within its header, Foreign where it is not ours, InputError where its header
    is damaged; their messages say what, not where: the caller knows the file's name.
    """
    header = _header(file)
    size = file.seek(0, os.SEEK_END)
    found = Contents(header, header.fragments_at)
    while (fragment := _fragment(file, found.end, size)) is not None:
        if fragment.at_ticks != found.index.ticks:  # whole, but of another place or clip
            break
        found.index.add(fragment.bytes, fragment.ticks, keyframe=fragment.keyframe)
        found.end += fragment.bytes
        found.frames += fragment.frames
        found.fragments += 1
    return found


def _header(file: BinaryIO) -> Header:
    file.seek(0)
    data = memoryview(file.read(MOST_HEADER_BYTES))
    if not any(data[: len(FTYP)]):  # nothing, or what a power cut leaves of blocks that were never written
        raise Unfinished("there is nothing in it")
    if data[: len(FTYP)] != FTYP[: len(data)]:
        raise Foreign("it is not a clip of edgecam's")
    moov_bytes = int.from_bytes(data[len(FTYP) : len(FTYP) + 4], "big")
    uuid_at = len(FTYP) + moov_bytes
    index_at = uuid_at + _UUID_BYTES
    if index_at > MOST_HEADER_BYTES:
        raise InputError("its header is damaged")
    if index_at + INDEX_BYTES > file.seek(0, os.SEEK_END):
        raise Unfinished("it ends within its header")
    moov, ours = data[len(FTYP) : uuid_at], data[uuid_at:index_at]
    duration_at = bytes(moov).rfind(b"mehd") + 8
    plain = bytearray(moov)
    plain[duration_at : duration_at + 8] = bytes(8)
    start, check = struct.unpack(">dI", ours[-12:])
    if duration_at < 8 or ours[8:24] != OUR_BOX or crc32(plain) != check:
        raise InputError("its header is damaged")
    return Header(start, len(FTYP) + duration_at, index_at)


def _fragment(file: BinaryIO, at: int, size: int) -> _Fragment | None:
    """The whole fragment at byte `at`; None where there is none."""
    moof = _read(file, at, size, b"moof")
    mdat = None if moof is None else _read(file, at + len(moof), size, b"mdat")
    if moof is None or mdat is None or moof[-8:-4] != CHECK or checksum(moof[:-4], mdat) != moof[-4:]:
        return None
    found = {each.kind: each.body for each in _inside(moof[8:])}
    parts = {each.kind: each.body for each in _inside(found.get(b"traf", moof[:0]))}
    try:
        (at_ticks,) = struct.unpack(">4xQ", parts[b"tfdt"])
        frames, _, flags = struct.unpack(">4xIII", parts[b"trun"][:16])
        rows = struct.unpack(f">{2 * frames}I", parts[b"trun"][16:])
    except (KeyError, struct.error):
        return None
    return _Fragment(len(moof) + len(mdat), at_ticks, sum(rows[::2]), frames, not flags & 1 << 16)


def _read(file: BinaryIO, at: int, size: int, kind: bytes) -> memoryview | None:
    """The whole box of this kind at byte `at`; None where it is another, is torn or is not of ours."""
    file.seek(at)
    start = file.read(8)
    length = int.from_bytes(start[:4], "big")
    if start[4:] != kind or not 16 <= length <= min(size - at, MOST_FRAGMENT_BYTES):
        return None
    data = start + file.read(length - 8)
    return memoryview(data) if len(data) == length else None


def _inside(body: memoryview) -> Iterator[_Box]:
    """The boxes in the body of another, as far as their lengths make sense."""
    at = 0
    while at + 8 <= len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        if not 8 <= length <= len(body) - at:
            return
        yield _Box(bytes(body[at + 4 : at + 8]), body[at + 8 : at + length], at)
        at += length
