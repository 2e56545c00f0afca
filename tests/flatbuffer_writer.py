"""Writes flatbuffers and flexbuffer maps, a few lines each: the counterpart of the reader under test."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scalar:
    """A scalar field of a flatbuffer table, in struct's format."""

    code: str
    value: float


@dataclass(frozen=True)
class Items:
    """A vector of numbers, in struct's format; `align` bytes for its first item."""

    code: str
    values: Sequence[float] | bytes
    align: int = 4


#: A table is its fields by number; a value is a scalar, a vector, a text, a table or a list of tables.
Fields = Mapping[int, Any]


class Writer:
    """Writes flatbuffers front to back: every object after the one that refers to it."""

    def __init__(self) -> None:
        self.data = bytearray()

    def finish(self, root: Fields, identifier: bytes) -> bytes:
        self.data += struct.pack("<I", 0) + identifier
        self._refer(0, root)
        self._pad(16)
        return bytes(self.data)

    def _pad(self, align: int, ahead: int = 0) -> None:
        self.data += bytes(-(len(self.data) + ahead) % align)

    def _refer(self, at: int, value: Any) -> None:
        """Write an object at the end and its offset at `at`."""
        if isinstance(value, Mapping):
            place = self._table(value)
        elif isinstance(value, str):
            text = value.encode()
            place = self._vector(Items("B", text), after=b"\0")
        elif isinstance(value, Items):
            place = self._vector(value)
        else:
            place = self._tables(value)
        struct.pack_into("<I", self.data, at, place - at)

    def _table(self, fields: Fields) -> int:
        """A table with its vtable before it; every field is aligned to eight bytes."""
        count = max(fields, default=-1) + 1
        self._pad(8, ahead=4 + 2 * count)
        vtable = len(self.data)
        self.data += struct.pack(f"<{2 + count}H", 4 + 2 * count, 8 + 8 * count, *([0] * count))
        place = len(self.data)
        self.data += struct.pack("<iI", place - vtable, 0) + bytes(8 * count)
        for number in fields:
            struct.pack_into("<H", self.data, vtable + 4 + 2 * number, 8 + 8 * number)
        for number, value in fields.items():
            at = place + 8 + 8 * number
            if isinstance(value, Scalar):
                struct.pack_into(f"<{value.code}", self.data, at, value.value)
            else:
                self._refer(at, value)
        return place

    def _vector(self, items: Items, after: bytes = b"") -> int:
        self._pad(max(4, items.align), ahead=4)
        place = len(self.data)
        self.data += struct.pack("<I", len(items.values))
        self.data += struct.pack(f"<{len(items.values)}{items.code}", *items.values) + after
        return place

    def _tables(self, tables: Sequence[Fields]) -> int:
        self._pad(4)
        place = len(self.data)
        self.data += struct.pack("<I", len(tables)) + bytes(4 * len(tables))
        for number, table in enumerate(tables):
            self._refer(place + 4 + 4 * number, table)
        return place


def flexbuffer_map(numbers: Mapping[str, float]) -> bytes:
    """A flexbuffer with a map of 32-bit numbers, as custom operators take their options."""
    data = bytearray()
    keys = sorted(numbers)
    key_places = []
    for key in keys:
        key_places.append(len(data))
        data += key.encode() + b"\0"
    data += bytes(-len(data) % 4)
    data += struct.pack("<I", len(keys))
    keys_at = len(data)
    for place in key_places:
        data += struct.pack("<I", len(data) - place)
    data += struct.pack("<II", len(data) - keys_at, 4)
    data += struct.pack("<I", len(keys))
    values_at = len(data)
    for key in keys:
        data += struct.pack("<f" if isinstance(numbers[key], float) else "<i", numbers[key])
    data += bytes((3 if isinstance(numbers[key], float) else 1) << 2 | 2 for key in keys)
    root_at = len(data)
    return bytes(data) + bytes([root_at - values_at, 9 << 2 | 2, 1])
