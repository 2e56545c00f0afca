"""Walks a whole TensorFlow Lite model: every table, vector, buffer and index, so that nothing missing goes unnoticed.

Field numbers are those of TensorFlow Lite's schema.fbs (version 3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgecam.modelfile.flatbuffer import Flatbuffer, FlatbufferError, Table
from edgecam.modelfile.metadata import Metadata, parse_metadata

IDENTIFIER = b"TFL3"

_CUSTOM = 32
#: TensorType -> dtype name and bytes per item; types whose items have no fixed size in bytes are not listed.
_DTYPES = {
    0: ("float32", 4),
    1: ("float16", 2),
    2: ("int32", 4),
    3: ("uint8", 1),
    4: ("int64", 8),
    6: ("bool", 1),
    7: ("int16", 2),
    9: ("int8", 1),
    10: ("float64", 8),
    15: ("uint32", 4),
    16: ("uint16", 2),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as the file describes it; `scale` is 0 where it is not quantised (as a whole)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: its custom name ("" for a built-in), its tensors (-1: left out) and its custom options."""

    custom: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: bytes


@dataclass(frozen=True, slots=True)
class Graph:
    """One subgraph; `inputs` and `outputs` are indices of `tensors`."""

    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]


@dataclass(frozen=True, slots=True)
class Structure:
    """All of a model but its weights.

    `signature` maps the names of the first signature's outputs to tensor indices; `end` is the end of the last byte
    in use.
    """

    graphs: tuple[Graph, ...]
    signature: dict[str, int]
    metadata: Metadata
    end: int


def walk(content: bytes) -> Structure:
    """Read and check a model file's content. Raises FlatbufferError, which says what is wrong."""
    buffer = Flatbuffer(content, IDENTIFIER)
    model = buffer.root()
    if (version := model.integer(0, "I")) != 3:
        raise FlatbufferError(f"schema version {version}, 3 wanted")
    spans = [_buffer_span(table, buffer) for table in model.tables(4)]
    codes = [_custom_name(code) for code in model.tables(1)]
    graphs = tuple(_graph(table, spans, codes, content) for table in model.tables(2))
    if not graphs:
        raise FlatbufferError("no graph")
    metadata = _metadata(model, spans, content)
    return Structure(graphs, _signature(model, graphs), metadata, buffer.end)


def _buffer_span(table: Table, buffer: Flatbuffer) -> tuple[int, int]:
    """Where a buffer's bytes are: inside it, or (models beyond 2 GiB) further on in the file."""
    offset, size = table.integer(1, "Q"), table.integer(2, "Q")
    if offset <= 1:
        return table.span(0)
    buffer.claim(offset, size)
    return offset, size


def _custom_name(code: Table) -> str:
    builtin = max(code.integer(0, "b"), code.integer(3, "i"))
    return code.text(1) or "unnamed" if builtin == _CUSTOM else ""


def _graph(table: Table, spans: list[tuple[int, int]], codes: list[str], content: bytes) -> Graph:
    tensors = tuple(_tensor(tensor, spans) for tensor in table.tables(0))
    operators = tuple(_operator(operator, codes, content) for operator in table.tables(3))
    inputs, outputs = table.integers(1), table.integers(2)
    for index in (*inputs, *outputs):
        _check_index("tensor", index, tensors)
    for operator in operators:
        for index in (*operator.inputs, *operator.outputs):
            _check_index("tensor", max(index, 0), tensors)
    return Graph(tensors, inputs, outputs, operators)


def _tensor(table: Table, spans: list[tuple[int, int]]) -> Tensor:
    name, shape = table.text(3), table.integers(0)
    kind = table.integer(1, "b")
    dtype, item_bytes = _DTYPES.get(kind, (f"type {kind}", 0))
    index = table.integer(2, "I")
    _check_index("buffer", index, spans)
    stored, wanted = spans[index][1], math.prod(shape) * item_bytes
    sparse = table.table(6) is not None
    if stored and item_bytes and not sparse and stored != wanted:
        raise FlatbufferError(f"tensor {name!r} has {stored} bytes, its shape wants {wanted}")
    table.integers(7)
    scale, zero_point = _quantisation(table.table(4))
    return Tensor(name, shape, dtype, scale, zero_point)


def _quantisation(table: Table | None) -> tuple[float, int]:
    """Scale and zero point, (0.0, 0) where there is none or one per channel."""
    if table is None:
        return 0.0, 0
    table.floats(0)
    table.floats(1)
    scales, zero_points = table.floats(2), table.integers(3, "q")
    if len(scales) != 1:
        return 0.0, 0
    return scales[0], zero_points[0] if zero_points else 0


def _operator(table: Table, codes: list[str], content: bytes) -> Operator:
    index = table.integer(0, "I")
    _check_index("operator code", index, codes)
    for options in (4, 12):
        table.table(options)
    start, size = table.span(5)
    table.span(7)
    table.integers(8)
    return Operator(codes[index], table.integers(1), table.integers(2), content[start : start + size])


def _signature(model: Table, graphs: tuple[Graph, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for signature in model.tables(7):
        index = signature.integer(4, "I")
        _check_index("graph", index, graphs)
        ends = {name: signature.tables(field) for field, name in enumerate(("inputs", "outputs"))}
        for end in (*ends["inputs"], *ends["outputs"]):
            _check_index("tensor", end.integer(1, "I"), graphs[index].tensors)
        signature.text(2)
        if index == 0 and not found:
            found = {end.text(0): end.integer(1, "I") for end in ends["outputs"]}
    return found


def _metadata(model: Table, spans: list[tuple[int, int]], content: bytes) -> Metadata:
    found = Metadata()
    for entry in model.tables(6):
        index = entry.integer(1, "I")
        _check_index("buffer", index, spans)
        if entry.text(0) == "TFLITE_METADATA":
            start, size = spans[index]
            found = parse_metadata(content[start : start + size])
    return found


def _check_index(kind: str, index: int, items: Sequence[object]) -> None:
    if not 0 <= index < len(items):
        raise FlatbufferError(f"{kind} {index} is used, there are {len(items)}")
