"""Walks a whole TensorFlow Lite model: every table, vector, buffer and index, so that nothing missing goes unnoticed.

Field numbers are those of TensorFlow Lite's schema.fbs (version 3).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

from edgecam.modelfile.codes import CUSTOM, DTYPES, builtin_name
from edgecam.modelfile.flatbuffer import Flatbuffer, FlatbufferError, Table
from edgecam.modelfile.metadata import Metadata, parse_metadata

IDENTIFIER = b"TFL3"

#: The name of the metadata entry that holds a model's form, see `form.ModelForm`.
FORM_ENTRY = "EDGECAM_MODEL"
_MIN_RUNTIME_VERSION = "min_runtime_version"
_BLOCKWISE = 2


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as the file describes it; `scale` is 0 where it is not quantised as a whole.

    `scales` and `zero_points` are all there are, one for each channel where it is quantised so.
    `blockwise`: its scales are a tensor of their own. `any_shape` is the shape with -1 for what may vary, empty where
    nothing may. `stored_bytes` of it are in buffer number `buffer`, 0 where it is computed.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    blockwise: bool = False
    any_shape: tuple[int, ...] = ()
    buffer: int = 0
    stored_bytes: int = 0


class _Quantisation(TypedDict):
    scale: float
    zero_point: int
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    blockwise: bool


class Code(NamedTuple):
    """A kind of operator: its name, the version of it the model was made for, and whether it is no built-in."""

    name: str
    version: int
    custom: bool


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: its custom name ("" for a built-in), its tensors (-1: left out), its custom options (a view of the
    file's content: an Edge TPU's hold all the weights), its kind."""

    custom: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: memoryview
    code: Code


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
    in use. `codes` are the kinds of operators announced, which a runtime must know though none may be in use;
    `min_runtime_version` is the TensorFlow Lite version its converter asked for, "" where it did not; `stated_form` is
    what it says of its own form (see `form.ModelForm`), empty where it says nothing.
    """

    graphs: tuple[Graph, ...]
    signature: dict[str, int]
    metadata: Metadata
    end: int
    version: int
    codes: tuple[Code, ...]
    min_runtime_version: str
    stated_form: bytes = b""


def walk(content: bytes) -> Structure:
    """Read and check a model file's content. Raises FlatbufferError, which says what is wrong."""
    buffer = Flatbuffer(content, IDENTIFIER)
    model = buffer.root()
    if (version := model.integer(0, "I")) != 3:
        raise FlatbufferError(f"schema version {version}, 3 wanted")
    spans = [_buffer_span(table, buffer) for table in model.tables(4)]
    codes = tuple(_code(code) for code in model.tables(1))
    graphs = tuple(_graph(table, spans, codes, content) for table in model.tables(2))
    if not graphs:
        raise FlatbufferError("no graph")
    entries = _metadata(model, spans, content)
    described, forms = ([data for name, data in entries if name == entry] for entry in ("TFLITE_METADATA", FORM_ENTRY))
    return Structure(
        graphs=graphs,
        signature=_signature(model, graphs),
        metadata=parse_metadata(described[-1]) if described else Metadata(),
        end=buffer.end,
        version=version,
        codes=codes,
        min_runtime_version=_min_runtime_version(entries),
        stated_form=forms[-1] if forms else b"",
    )


def _buffer_span(table: Table, buffer: Flatbuffer) -> tuple[int, int]:
    """Where a buffer's bytes are: inside it, or (models beyond 2 GiB) further on in the file."""
    offset, size = table.integer(1, "Q"), table.integer(2, "Q")
    if offset <= 1:
        return table.span(0)
    buffer.claim(offset, size)
    return offset, size


def _code(table: Table) -> Code:
    number, version = max(table.integer(0, "b"), table.integer(3, "i")), table.integer(2, "i", 1)
    if number == CUSTOM:
        return Code(table.text(1) or "unnamed", version, True)
    return Code(builtin_name(number), version, False)


def _graph(table: Table, spans: list[tuple[int, int]], codes: Sequence[Code], content: bytes) -> Graph:
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
    dtype, item_bytes = DTYPES.get(kind, (f"type {kind}", 0))
    index = table.integer(2, "I")
    _check_index("buffer", index, spans)
    stored, wanted = spans[index][1], math.prod(shape) * item_bytes
    sparse = table.table(6) is not None
    if stored and item_bytes and not sparse and stored != wanted:
        raise FlatbufferError(f"tensor {name!r} has {stored} bytes, its shape wants {wanted}")
    return Tensor(
        name,
        shape,
        dtype,
        **_quantisation(table.table(4), name),
        any_shape=_varying(table.integers(7)),
        buffer=index,
        stored_bytes=stored,
    )


def _varying(signature: tuple[int, ...]) -> tuple[int, ...]:
    return signature if -1 in signature else ()


def _quantisation(table: Table | None, name: str) -> _Quantisation:
    """Scale and zero point, 0.0 and 0 where there is none or one per channel."""
    if table is None:
        return _Quantisation(scale=0.0, zero_point=0, scales=(), zero_points=(), blockwise=False)
    table.floats(0)
    table.floats(1)
    scales, zero_points = table.floats(2), table.integers(3, "q")
    if not all(map(math.isfinite, scales)):
        raise FlatbufferError(f"tensor {name!r} has a scale that is no number")
    return _Quantisation(
        scale=scales[0] if len(scales) == 1 else 0.0,
        zero_point=zero_points[0] if len(scales) == 1 and zero_points else 0,
        scales=scales,
        zero_points=zero_points,
        blockwise=table.integer(4, "B") == _BLOCKWISE,
    )


def _operator(table: Table, codes: Sequence[Code], content: bytes) -> Operator:
    index = table.integer(0, "I")
    _check_index("operator code", index, codes)
    for options in (4, 12):
        table.table(options)
    start, size = table.span(5)
    table.span(7)
    table.integers(8)
    code = codes[index]
    custom = code.name if code.custom else ""
    return Operator(custom, table.integers(1), table.integers(2), memoryview(content)[start : start + size], code)


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


def _metadata(model: Table, spans: list[tuple[int, int]], content: bytes) -> list[tuple[str, bytes]]:
    """The names of the model's metadata entries and what their buffers hold."""
    found = []
    for entry in model.tables(6):
        index = entry.integer(1, "I")
        _check_index("buffer", index, spans)
        start, size = spans[index]
        found.append((entry.text(0), content[start : start + size]))
    return found


def _min_runtime_version(entries: list[tuple[str, bytes]]) -> str:
    """The highest one named; a model edited after its conversion can have more than one, and empty ones."""
    texts = (data.rstrip(b"\0").decode(errors="replace") for name, data in entries if name == _MIN_RUNTIME_VERSION)
    versions = [text for text in texts if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}", text)]
    return max(versions, key=lambda text: [int(part) for part in text.split(".")], default="")


def _check_index(kind: str, index: int, items: Sequence[object]) -> None:
    if not 0 <= index < len(items):
        raise FlatbufferError(f"{kind} {index} is used, there are {len(items)}")
