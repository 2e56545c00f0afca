"""H.264 as encoders give it and as MP4 stores it; pure.

Encoders put a start code before each unit (ITU-T H.264, Annex B); MP4 puts its length there, and keeps the parameter
sets apart, in the decoder configuration record (ISO/IEC 14496-15, 5.3.3.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_START = b"\x00\x00\x01"
_SPS, _PPS, _DELIMITER, _FILLER = 7, 8, 9, 12
_APART = {_SPS, _PPS, _DELIMITER, _FILLER}


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a file's header says of its pictures: codec, (width, height) in pixels, the decoder configuration record."""

    codec: str
    size: tuple[int, int]
    extradata: bytes


def units(stream: bytes) -> Iterator[bytes]:
    """The units of an Annex B stream, without their start codes."""
    at = stream.find(_START)
    while at >= 0:
        begin = at + len(_START)
        at = stream.find(_START, begin)
        unit = stream[begin:] if at < 0 else stream[begin:at]
        unit = unit.rstrip(b"\x00")  # trailing zeros belong to the next start code: a unit never ends with one
        if unit:
            yield unit


def kind(unit: bytes) -> int:
    """nal_unit_type (ITU-T H.264, 7.3.1)."""
    return unit[0] & 0x1F


def configuration(found: Iterable[bytes]) -> bytes | None:
    """The decoder configuration record of a stream's parameter sets; None where there are none among these units."""
    known = list(found)
    sequence = [unit for unit in known if kind(unit) == _SPS and len(unit) >= 4][:1]
    picture = [unit for unit in known if kind(unit) == _PPS][:1]
    if not sequence or not picture:
        return None
    sets = [
        bytes([mark]) + len(unit).to_bytes(2, "big") + unit
        for mark, unit in ((0xE1, sequence[0]), (0x01, picture[0]))
    ]  # fmt: skip
    return b"\x01" + sequence[0][1:4] + b"\xff" + b"".join(sets) + _range_extension(sequence[0][1])


def _range_extension(profile: int) -> bytes:
    """What the high profiles add to the record: 4:2:0, 8 bits, no extensions."""
    return b"\xfd\xf8\xf8\x00" if profile in {100, 110, 122, 144} else b""


def sample(stream: bytes) -> bytes:
    """A picture for MP4: its units after their lengths, without parameter sets, delimiters and filling."""
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units(stream) if kind(unit) not in _APART)


def is_whole(data: bytes | memoryview) -> bool:
    """Whether the lengths in a sample lead exactly to its end."""
    at = 0
    while at + 4 < len(data):
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    return at == len(data) > 0
