"""Clips as bytes: a header, then fragments, each with what it takes to see that it is whole (ISO/IEC 14496-12).

    ftyp · moov · uuid (first frame's monotonic time, moov's checksum) · sidx (the index, once it is finished) · free
    then any number of: moof (ends with a checksum) · mdat

The header has one size for good: what is known only at the end, the duration and the index, is written in its place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from edgecam.recording.h264 import StreamInfo

TICKS = 90_000
"""Ticks a second, MPEG's own clock."""
FTYP = struct.pack(">I4s4sI12s", 28, b"ftyp", b"iso6", 1, b"iso6iso5mp41")
OUR_BOX = UUID("5e8c0ab7-6d0a-4c61-9a3f-3a1b0f6c7d10").bytes
INDEX_BYTES = 4096
INDEX_ENTRIES = (INDEX_BYTES - 40 - 8) // 12
"""So many fit beside the index's own fields and the free box that fills the rest."""
CHECK = b"crc1"
"""Marks the checksum: CRC-32 of the fragment's moof, up to the sum itself, and its mdat."""
TRACK = 1
_MATRIX = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_UNIX_TO_1904 = 2_082_844_800
_LANGUAGE_UNKNOWN = 0x55C4
_KEY, _NOT_KEY = 0x02000000, 0x01010000
"""Sample flags (8.8.3.1): needs no other; needs others and is no place to begin."""
_PARTS_OF_TRUN = 0x000001 | 0x000004 | 0x000100 | 0x000200
"""Data offset, first sample's flags, each sample's duration and size (8.8.8)."""
_PARTS_OF_TFHD = 0x020000 | 0x000020
"""Offsets count from the moof; default flags are given (8.8.7)."""


class Sample(NamedTuple):
    """A picture in a fragment: its H.264 units after their lengths, and how many ticks it is shown."""

    data: bytes
    ticks: int


class Entry(NamedTuple):
    """A stretch of the file that begins with a keyframe."""

    bytes: int
    ticks: int


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of this four-letter kind (4.2)."""
    size = 8 + sum(map(len, parts))
    return b"".join((struct.pack(">I4s", size, kind), *parts))


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box with version and flags (4.2)."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def header(stream: StreamInfo, start: float, started: float = 0.0) -> bytes:
    """All that comes before the first fragment. `start` is monotonic, `started` the wall time, Unix seconds or 0."""
    created = round(started) + _UNIX_TO_1904 if started > 0 else 0
    moov = _moov(stream, created, full_box(b"mehd", 1, 0, bytes(8)))
    ours = box(b"uuid", OUR_BOX, struct.pack(">dI", start, crc32(moov)))
    return FTYP + moov + ours + box(b"free", bytes(INDEX_BYTES - 8))


def live_header(stream: StreamInfo) -> bytes:
    """All that comes before the fragments of a stream whose end nobody knows."""
    return FTYP + _moov(stream, 0)


def _moov(stream: StreamInfo, created: int, *extent: bytes) -> bytes:
    """The movie without pictures (8.2.1); `extent` is the box that says how long its fragments are, if there is one."""
    mvhd = full_box(
        b"mvhd", 1, 0, struct.pack(">QQIQIH10x", created, created, TICKS, 0, 1 << 16, 1 << 8), _MATRIX, bytes(24),
        struct.pack(">I", TRACK + 1),
    )  # fmt: skip
    trex = full_box(b"trex", 0, 0, struct.pack(">5I", TRACK, 1, 0, 0, 0))
    return box(b"moov", mvhd, _trak(stream, created), box(b"mvex", *extent, trex))


def _trak(stream: StreamInfo, created: int) -> bytes:
    width, height = stream.size
    tkhd = full_box(
        b"tkhd", 1, 3, struct.pack(">QQI4xQ16x", created, created, TRACK, 0), _MATRIX,
        struct.pack(">II", width << 16, height << 16),
    )  # fmt: skip
    mdhd = full_box(b"mdhd", 1, 0, struct.pack(">QQIQHH", created, created, TICKS, 0, _LANGUAGE_UNKNOWN, 0))
    hdlr = full_box(b"hdlr", 0, 0, struct.pack(">4x4s12x", b"vide"), b"edgecam\0")
    dinf = box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1)))
    empty = [full_box(kind, 0, 0, bytes(4)) for kind in (b"stts", b"stsc", b"stco")]
    stsz = full_box(b"stsz", 0, 0, bytes(8))
    stsd = full_box(b"stsd", 0, 0, struct.pack(">I", 1), _avc1(stream))
    stbl = box(b"stbl", stsd, *empty, stsz)
    minf = box(b"minf", full_box(b"vmhd", 0, 1, bytes(8)), dinf, stbl)
    return box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, minf))


def _avc1(stream: StreamInfo) -> bytes:
    """The sample entry (12.1.3): 72 dots an inch, one picture a sample, 24 bits deep."""
    fields = struct.pack(">6xH16xHHII4xH32xHh", 1, *stream.size, 72 << 16, 72 << 16, 1, 24, -1)
    return box(b"avc1", fields, box(b"avcC", stream.extradata))


def fragment(number: int, at: int, samples: Sequence[Sample], *, keyframe: bool) -> bytes:
    """A fragment: its number, from 1, the ticks since the clip's start, its pictures, whether a keyframe begins it."""
    data = box(b"mdat", *(sample.data for sample in samples))
    tfhd = full_box(b"tfhd", 0, _PARTS_OF_TFHD, struct.pack(">II", TRACK, _NOT_KEY))
    tfdt = full_box(b"tfdt", 1, 0, struct.pack(">Q", at))
    rows = b"".join(struct.pack(">II", sample.ticks, len(sample.data)) for sample in samples)
    first = _KEY if keyframe else _NOT_KEY
    moof_bytes = 8 + 16 + 8 + len(tfhd) + len(tfdt) + 24 + len(rows) + 16
    trun = full_box(b"trun", 0, _PARTS_OF_TRUN, struct.pack(">III", len(samples), moof_bytes + 8, first), rows)
    mfhd = full_box(b"mfhd", 0, 0, struct.pack(">I", number))
    moof = box(b"moof", mfhd, box(b"traf", tfhd, tfdt, trun), box(b"free", CHECK, bytes(4)))
    assert len(moof) == moof_bytes
    return moof[:-4] + checksum(moof[:-4], data) + data


def live_fragment(number: int, at: int, sample: Sample, *, keyframe: bool) -> bytes:
    """A fragment of one picture for a live stream: as `fragment`, without the checksum that a file has."""
    tfhd = full_box(b"tfhd", 0, _PARTS_OF_TFHD, struct.pack(">II", TRACK, _NOT_KEY))
    tfdt = full_box(b"tfdt", 1, 0, struct.pack(">Q", at))
    flags = _KEY if keyframe else _NOT_KEY
    moof_bytes = 8 + 16 + 8 + len(tfhd) + len(tfdt) + 32
    row = struct.pack(">IIIII", 1, moof_bytes + 8, flags, sample.ticks, len(sample.data))
    trun = full_box(b"trun", 0, _PARTS_OF_TRUN, row)
    mfhd = full_box(b"mfhd", 0, 0, struct.pack(">I", number))
    return box(b"moof", mfhd, box(b"traf", tfhd, tfdt, trun)) + box(b"mdat", sample.data)


def checksum(moof: bytes | memoryview, mdat: bytes | memoryview) -> bytes:
    """The last four bytes of a moof, by those before them and the mdat behind."""
    return crc32(mdat, crc32(moof)).to_bytes(4, "big")


def index(entries: Iterable[Entry]) -> bytes:
    """The index (sidx, 8.16.3) and the free box that fills the rest of its INDEX_BYTES; at most INDEX_ENTRIES."""
    rows = b"".join(struct.pack(">III", entry.bytes, entry.ticks, 1 << 31 | 1 << 28) for entry in entries)
    rest = INDEX_BYTES - 40 - len(rows)
    fields = struct.pack(">IIQQHH", TRACK, TICKS, 0, rest, 0, len(rows) // 12)
    return full_box(b"sidx", 1, 0, fields, rows) + box(b"free", bytes(rest - 8))


class Index:
    """Where keyframes are, coarser as a clip grows, so that it never needs more than its room."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.ticks = 0
        self._least = 0

    def add(self, size: int, ticks: int, *, keyframe: bool) -> None:
        """A fragment of `size` bytes and so many ticks follows."""
        self.ticks += ticks
        if keyframe and (not self.entries or self.entries[-1].ticks >= self._least):
            self.entries.append(Entry(size, ticks))
        else:
            last = self.entries.pop() if self.entries else Entry(0, 0)
            self.entries.append(Entry(last.bytes + size, last.ticks + ticks))
        if len(self.entries) > INDEX_ENTRIES:
            self._least = 2 * self.ticks // len(self.entries)
            self.entries = _in_pairs(self.entries)


def _in_pairs(entries: list[Entry]) -> list[Entry]:
    pairs = [Entry(a.bytes + b.bytes, a.ticks + b.ticks) for a, b in list(pairwise(entries))[::2]]
    return pairs + entries[-1:] if len(entries) % 2 else pairs


def duration(ticks: int) -> bytes:
    """The content of mehd after version and flags: how long the whole clip is (8.8.2)."""
    return struct.pack(">Q", ticks)
