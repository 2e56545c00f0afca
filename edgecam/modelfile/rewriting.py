"""Adds a metadata entry to a .tflite file without touching anything else in it.

References in a flatbuffer only point forward and are relative. So a new root table, with new lists of buffers and of
metadata, is put before everything else: what it refers to is moved as a whole and stays as it is.
Field numbers are those of TensorFlow Lite's schema.fbs (version 3).
"""

from __future__ import annotations

import struct

from edgecam.modelfile.flatbuffer import Flatbuffer, FlatbufferError, Table
from edgecam.modelfile.schema import IDENTIFIER, walk

_VERSION, _CODES, _GRAPHS, _DESCRIPTION, _BUFFERS, _METADATA_BUFFER, _METADATA, _SIGNATURES = range(8)
#: Of newer schemas: weights in files of their own.
_LATER_FIELDS = (8, 9)
#: Tensors are aligned to 16 bytes, some runtimes want more; whole blocks of this size keep every alignment.
_BLOCK_BYTES = 64


def with_metadata(content: bytes, name: str, data: bytes) -> bytes:
    """The content of a model file with a metadata entry of that name, in place of one that was there.

    Raises FlatbufferError where it is no sound model, or has parts beyond its flatbuffer, at places in the file.
    """
    walk(content)
    model = Flatbuffer(content, IDENTIFIER).root()
    _check_movable(model)
    entries, buffers = _places(model, _METADATA), _places(model, _BUFFERS)
    index = len(buffers)
    for entry, place in zip(model.tables(_METADATA), list(entries), strict=True):
        if entry.text(0) == name:
            index = entry.integer(1, "I")
            entries.remove(place)
    front = _Front(content, model)
    return front.write(entries, buffers, index, name.encode(), data)


def _check_movable(model: Table) -> None:
    """Refuse what is found by its place in the file: it would be another one after the move."""
    far = any(buffer.integer(1, "Q") > 1 for buffer in model.tables(_BUFFERS))
    operators = [operator for graph in model.tables(_GRAPHS) for operator in graph.tables(3)]
    unknown = any(model.place(field) is not None for field in _LATER_FIELDS)
    if far or unknown or any(operator.integer(9, "Q") > 1 for operator in operators):
        raise FlatbufferError("it has weights outside its flatbuffer")


def _places(model: Table, field: int) -> list[int]:
    """Where the tables of a list begin."""
    return [table.at for table in model.tables(field)]


class _Front:
    """What is put before a model: every table and list in it refers only to what comes later."""

    def __init__(self, content: bytes, model: Table) -> None:
        self._content = content
        self._model = model
        self._data = bytearray()
        #: Places in the front, and in the content, that a reference at a place in the front is to point at.
        self._inside: dict[int, int] = {}
        self._outside: dict[int, int] = {}

    def write(self, entries: list[int], buffers: list[int], index: int, name: bytes, data: bytes) -> bytes:
        """The whole file; `entries` and `buffers` are places of tables in the content, the new buffer gets `index`."""
        self._data += struct.pack("<I", 0) + IDENTIFIER
        root = self._table(_SIGNATURES + 1)
        version = self._model.integer(_VERSION, "I")
        struct.pack_into("<I", self._data, self._field(root, _VERSION), version)
        for field in (_CODES, _GRAPHS, _DESCRIPTION, _METADATA_BUFFER, _SIGNATURES):
            place = self._model.place(field)
            if place is None:
                self._clear(root, field)
            else:
                self._outside[self._field(root, field)] = place
        self._inside[0] = root
        buffer_list = self._list(self._field(root, _BUFFERS), max(len(buffers), index + 1))
        entry_list = self._list(self._field(root, _METADATA), len(entries) + 1)
        self._outside |= {buffer_list + 4 * number: place for number, place in enumerate(buffers) if number != index}
        self._outside |= {entry_list + 4 * number: place for number, place in enumerate(entries)}
        entry = self._inside[entry_list + 4 * len(entries)] = self._table(2)
        struct.pack_into("<I", self._data, self._field(entry, 1), index)
        self._inside[self._field(entry, 0)] = self._bytes(name)
        buffer = self._inside[buffer_list + 4 * index] = self._table(1)
        self._inside[self._field(buffer, 0)] = self._bytes(data)
        return self._finished()

    def _finished(self) -> bytes:
        self._pad(_BLOCK_BYTES)
        moved = len(self._data)
        for at, place in self._inside.items():
            struct.pack_into("<I", self._data, at, place - at)
        for at, place in self._outside.items():
            struct.pack_into("<I", self._data, at, place + moved - at)
        return bytes(self._data) + self._content

    def _table(self, fields: int) -> int:
        """A table of four bytes per field, all present, with its list of fields before it; returns its place."""
        self._pad(4, ahead=4 + 2 * fields)
        vtable = len(self._data)
        self._data += struct.pack(f"<{2 + fields}H", 4 + 2 * fields, 4 + 4 * fields, *range(4, 4 + 4 * fields, 4))
        place = len(self._data)
        self._data += struct.pack("<i", place - vtable) + bytes(4 * fields)
        return place

    def _field(self, table: int, field: int) -> int:
        return table + 4 + 4 * field

    def _clear(self, table: int, field: int) -> None:
        """Have a table go without a field."""
        vtable = table - int(struct.unpack_from("<i", self._data, table)[0])
        struct.pack_into("<H", self._data, vtable + 4 + 2 * field, 0)

    def _list(self, at: int, count: int) -> int:
        """A list of references, for the one at `at`; returns the place of its first item."""
        self._pad(4)
        self._inside[at] = len(self._data)
        self._data += struct.pack("<I", count) + bytes(4 * count)
        return len(self._data) - 4 * count

    def _bytes(self, data: bytes) -> int:
        """A list of bytes aligned as a buffer wants to be, with a zero behind it, as texts have."""
        self._pad(16, ahead=4)
        place = len(self._data)
        self._data += struct.pack("<I", len(data)) + data + b"\0"
        return place

    def _pad(self, align: int, ahead: int = 0) -> None:
        self._data += bytes(-(len(self._data) + ahead) % align)
