"""A bounds-checked reader of flatbuffers and of flexbuffer maps: no byte outside the data is ever looked at.

Layout: https://flatbuffers.dev/internals. Only what TensorFlow Lite's two schemas need is read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

_FLEX_INT, _FLEX_UINT, _FLEX_FLOAT, _FLEX_STRING, _FLEX_MAP, _FLEX_BLOB, _FLEX_BOOL = 1, 2, 3, 5, 9, 25, 26
_FLEX_CODES = {
    _FLEX_INT: {1: "b", 2: "h", 4: "i", 8: "q"},
    _FLEX_UINT: {1: "B", 2: "H", 4: "I", 8: "Q"},
    _FLEX_FLOAT: {2: "e", 4: "f", 8: "d"},
    _FLEX_BOOL: {1: "B", 2: "H", 4: "I", 8: "Q"},
}
#: Neither a map has more entries nor a key more bytes, or damage could keep the reader busy for hours.
_FLEX_LIMIT = 256


class FlatbufferError(ValueError):
    """The data is not a flatbuffer of the wanted kind, or a part of it is missing; says what is wrong."""


class Flatbuffer:
    """One flatbuffer. `end` is the end of the last byte anything has been read from so far."""

    def __init__(self, data: bytes, identifier: bytes) -> None:
        if data[4:8] != identifier:
            raise FlatbufferError(f"no {identifier.decode()} mark")
        self.data = data
        self.end = 8

    def root(self) -> Table:
        """The root table."""
        return Table(self, self.integer("I", 0))

    def integer(self, code: str, at: int) -> int:
        """The integer of struct format `code` at byte `at`."""
        self.claim(at, struct.calcsize(code))
        return int(struct.unpack_from(f"<{code}", self.data, at)[0])

    def claim(self, at: int, size_bytes: int) -> None:
        """Check that `size_bytes` bytes at `at` are there. Raises FlatbufferError."""
        if at < 0 or at + size_bytes > len(self.data):
            raise FlatbufferError(f"it has {len(self.data)} bytes and uses byte {at + size_bytes}")
        self.end = max(self.end, at + size_bytes)


class Table:
    """One table of a flatbuffer, at byte `at`; fields are named by their index in the schema.

    Absent fields give the default.
    """

    def __init__(self, buffer: Flatbuffer, at: int) -> None:
        self._buffer = buffer
        self.at = at
        vtable = at - buffer.integer("i", at)
        vtable_size = buffer.integer("H", vtable)
        if vtable_size < 4 or vtable_size % 2:
            raise FlatbufferError(f"the table at byte {at} has a broken field list")
        buffer.claim(vtable, vtable_size)
        self._size, *self._fields = struct.unpack_from(f"<{vtable_size // 2 - 1}H", buffer.data, vtable + 2)
        buffer.claim(at, self._size)

    def integer(self, field: int, code: str, default: int = 0) -> int:
        """A scalar of struct format `code`."""
        at = self._find(field, struct.calcsize(code))
        return default if at is None else self._buffer.integer(code, at)

    def table(self, field: int) -> Table | None:
        """A sub-table, None where absent."""
        at = self._follow(field)
        return None if at is None else Table(self._buffer, at)

    def tables(self, field: int) -> list[Table]:
        """A vector of tables."""
        start, count = self._vector(field, 4)
        places = range(start, start + 4 * count, 4)
        return [Table(self._buffer, place + self._buffer.integer("I", place)) for place in places]

    def integers(self, field: int, code: str = "i") -> tuple[int, ...]:
        """A vector of integers of struct format `code`."""
        start, count = self._vector(field, struct.calcsize(code))
        return struct.unpack_from(f"<{count}{code}", self._buffer.data, start)

    def floats(self, field: int) -> tuple[float, ...]:
        """A vector of 32-bit floats."""
        start, count = self._vector(field, 4)
        return struct.unpack_from(f"<{count}f", self._buffer.data, start)

    def span(self, field: int) -> tuple[int, int]:
        """Where a vector of bytes begins and how many there are."""
        return self._vector(field, 1)

    def text(self, field: int) -> str:
        """A string, empty where absent."""
        start, count = self._vector(field, 1)
        return self._buffer.data[start : start + count].decode(errors="replace")

    def place(self, field: int) -> int | None:
        """The byte at which what a field refers to begins, None where the field is absent."""
        return self._follow(field)

    def _vector(self, field: int, item_bytes: int) -> tuple[int, int]:
        """First item and number of items; the number is checked against the data before anything is allocated."""
        at = self._follow(field)
        if at is None:
            return 0, 0
        count = self._buffer.integer("I", at)
        self._buffer.claim(at + 4, count * item_bytes)
        return at + 4, count

    def _follow(self, field: int) -> int | None:
        at = self._find(field, 4)
        return None if at is None else at + self._buffer.integer("I", at)

    def _find(self, field: int, size_bytes: int) -> int | None:
        offset = self._fields[field] if field < len(self._fields) else 0
        if offset == 0:
            return None
        if offset + size_bytes > self._size:
            raise FlatbufferError(f"a field of the table at byte {self.at} lies outside it")
        return self.at + int(offset)


def flexbuffer_numbers(data: bytes) -> dict[str, float]:
    """The plain numbers of a flexbuffer whose root is a map; other values are left out.

    Raises FlatbufferError where the data is no such map. Layout: https://flatbuffers.dev/flexbuffers.
    """
    with _options_faults():
        width, entries = _flex_map(data)
        codes = {key: _FLEX_CODES.get(kind, {}).get(width) for key, (kind, _, _) in entries.items()}
        return {
            key: float(struct.unpack_from(f"<{codes[key]}", data, at)[0])
            for key, (_, _, at) in entries.items()
            if codes[key] is not None
        }


def flexbuffer_bytes(data: bytes, key: str) -> bytes:
    """The string or blob of that name in a flexbuffer whose root is a map; empty where it has none.

    Raises FlatbufferError where the data is no such map.
    """
    with _options_faults():
        width, entries = _flex_map(data)
        kind, size_width, at = entries.get(key, (0, 1, 0))
        if kind not in {_FLEX_STRING, _FLEX_BLOB}:
            return b""
        start = at - _flex_unsigned(data, at, width)
        size = _flex_unsigned(data, start - size_width, size_width)
        if start + size > len(data):
            raise FlatbufferError("options are damaged: a text ends behind them")
        return data[start : start + size]


@contextmanager
def _options_faults() -> Iterator[None]:
    try:
        yield
    except (IndexError, ValueError, struct.error) as error:
        if isinstance(error, FlatbufferError):
            raise
        raise FlatbufferError(f"options are damaged: {error}") from error


def _flex_map(data: bytes) -> tuple[int, dict[str, tuple[int, int, int]]]:
    """The root map: the width of its values, and by key a value's kind, the width of what it points at, its place.

    Before a map are its keys' offset, their width and the count, after it the values and their types.
    """
    root_width, kind, width = data[-1], data[-2] >> 2, 1 << (data[-2] & 3)
    if kind != _FLEX_MAP or root_width not in {1, 2, 4, 8}:
        raise FlatbufferError("options are not a map")
    root = len(data) - 2 - root_width
    at = root - _flex_unsigned(data, root, root_width)
    count = _flex_unsigned(data, at - width, width)
    if count > _FLEX_LIMIT:
        raise FlatbufferError(f"options are damaged: {count} of them")
    key_width = _flex_unsigned(data, at - 2 * width, width)
    keys = at - 3 * width - _flex_unsigned(data, at - 3 * width, width)
    entries: dict[str, tuple[int, int, int]] = {}
    for index in range(count):
        packed = data[at + count * width + index]
        key_at = keys + index * key_width
        start = key_at - _flex_unsigned(data, key_at, key_width)
        entries[data[start : data.index(0, start, start + _FLEX_LIMIT)].decode()] = (
            packed >> 2,
            1 << (packed & 3),
            at + index * width,
        )
    return width, entries


def _flex_unsigned(data: bytes, at: int, width: int) -> int:
    if at < 0:
        raise FlatbufferError("options are damaged: an offset points before them")
    return int(struct.unpack_from("<" + _FLEX_CODES[_FLEX_UINT].get(width, "Q"), data, at)[0])
