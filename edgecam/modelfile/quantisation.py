"""How a model counts: in integers, in floats, or in both, and how many weights it has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgecam.modelfile.codes import EDGETPU_OP, POSTPROCESS_OP
from edgecam.modelfile.schema import Graph, Operator, Structure, Tensor

_FLOATS = frozenset({"float32", "float16", "bfloat16", "float64"})
_INTEGERS = frozenset({"int8", "uint8", "int16", "uint16", "int4", "uint4", "int2"})
#: Bias and other sums of a quantised model; the same dtypes without a scale are shapes and indices.
_SUMS = frozenset({"int32", "int64"})
#: What multiplies by its weights: where there is any, the rest (a decoder's constants) does not count.
_WEIGHTED = frozenset({
    "BATCH_MATMUL", "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "CONV_2D", "CONV_3D",
    "CONV_3D_TRANSPOSE", "DEPTHWISE_CONV_2D", "EMBEDDING_LOOKUP", "FULLY_CONNECTED", "LSTM", "RNN", "SVDF",
    "TRANSPOSE_CONV", "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN",
})  # fmt: skip
#: What only turns stored weights into usable ones.
_UNPACKERS = frozenset({"DEQUANTIZE", "DENSIFY"})
_ANCHORS = 2  # Their place among the inputs of the post-process operator.

INTEGER, DYNAMIC, WEIGHTS_ONLY, HALF, FLOAT = (
    "full integer", "dynamic range", "integer weights", "float16 weights", "float",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How a model counts.

    `kinds`: `full integer`; `dynamic range` (integer weights, float activations, multiplied as integers); `integer
    weights` or `float16 weights` (turned into float32 first); `float`. Mostly one, "float" aside where small weights
    stay so; several where parts differ. `activations` and `weights` are dtypes. `granularity` of the weights' scales is
    `per tensor`, `per channel` or `blockwise`, "" where there are none. `parameters` is the number of weights and
    biases, `weight_bytes` their size, None where a compiled model hides them.
    """

    kinds: tuple[str, ...]
    activations: tuple[str, ...]
    weights: tuple[str, ...]
    granularity: str
    parameters: int | None
    weight_bytes: int | None

    @property
    def kind(self) -> str:
        """In a word: `mixed` where there are several; "" where nothing is calculated."""
        marked = [kind for kind in self.kinds if kind != FLOAT]
        if len(marked) > 1 or (INTEGER in marked and FLOAT in self.kinds):
            return "mixed"
        return (marked or list(self.kinds) or [""])[0]


@dataclass(frozen=True, slots=True)
class _Use:
    """An operator that calculates, the weights it takes (as stored), and whether they are unpacked first."""

    operator: Operator
    weights: tuple[Tensor, ...]
    unpacked: bool
    activations: tuple[str, ...]

    def kind(self) -> str:
        dtypes = {tensor.dtype for tensor in self.weights}
        if not set(self.activations) & _FLOATS:
            return INTEGER
        if dtypes & {"float16", "bfloat16"}:
            return HALF
        return (WEIGHTS_ONLY if self.unpacked else DYNAMIC) if dtypes & _INTEGERS else FLOAT


def quantisation_of(structure: Structure) -> Quantisation:
    """How a model counts, as its operators and tensors tell."""
    uses = [use for graph in structure.graphs for use in _uses(graph)]
    compiled = [use for use in uses if use.operator.custom == EDGETPU_OP]
    weighted = [use for use in uses if use.weights and use.operator.code.name in _WEIGHTED]
    chosen = compiled or weighted or [use for use in uses if use.weights] or uses
    weights = [tensor for use in chosen for tensor in use.weights]
    stored = {tensor.buffer: tensor for tensor in _parameters(structure)}.values()
    return Quantisation(
        kinds=_each(use.kind() for use in chosen),
        activations=_each(dtype for use in chosen for dtype in use.activations),
        weights=() if compiled else _each(tensor.dtype for tensor in weights),
        granularity="" if compiled else _granularity(weights),
        parameters=None if compiled else sum(math.prod(tensor.shape) for tensor in stored),
        weight_bytes=None if compiled else sum(tensor.stored_bytes for tensor in stored),
    )


def _uses(graph: Graph) -> Iterator[_Use]:
    """The operators that calculate with numbers, but for those that only unpack weights."""
    unpacked = {
        operator.outputs[0]: tensor
        for operator in graph.operators
        if operator.code.name in _UNPACKERS and operator.inputs and operator.outputs
        if (tensor := _at(graph, operator.inputs[0])) is not None and tensor.stored_bytes
    }
    for operator in graph.operators:
        if operator.outputs and operator.outputs[0] in unpacked:
            continue
        taken = {index: unpacked.get(index, graph.tensors[index]) for index in operator.inputs if index >= 0}
        weights = {index: tensor for index, tensor in taken.items() if _is_weight(tensor)}
        moving = [tensor for tensor in taken.values() if not tensor.stored_bytes]
        moving += [graph.tensors[index] for index in operator.outputs if index >= 0]
        activations = _each(tensor.dtype for tensor in moving if tensor.dtype in _FLOATS | _INTEGERS)
        if activations:
            yield _Use(operator, tuple(weights.values()), bool(weights.keys() & unpacked.keys()), activations)


def _at(graph: Graph, index: int) -> Tensor | None:
    return graph.tensors[index] if index >= 0 else None


def _is_weight(tensor: Tensor) -> bool:
    """Constants of two dimensions and more; those of one are biases, and sizes."""
    return bool(tensor.stored_bytes) and len(tensor.shape) > 1 and tensor.dtype in _FLOATS | _INTEGERS


def _parameters(structure: Structure) -> Iterator[Tensor]:
    """Every constant that was learned, once for each use: not the anchors, shapes and indices."""
    for graph in structure.graphs:
        fixed = {
            index
            for operator in graph.operators
            if operator.custom == POSTPROCESS_OP
            for index in operator.inputs[_ANCHORS : _ANCHORS + 1]
        }
        for number, tensor in enumerate(graph.tensors):
            learned = tensor.dtype in _FLOATS | _INTEGERS or (tensor.dtype in _SUMS and tensor.scales)
            if tensor.stored_bytes and learned and number not in fixed:
                yield tensor


def _granularity(weights: Iterable[Tensor]) -> str:
    tensors = [tensor for tensor in weights if tensor.dtype in _INTEGERS]
    if any(tensor.blockwise for tensor in tensors):
        return "blockwise"
    if any(len(tensor.scales) > 1 for tensor in tensors):
        return "per channel"
    return "per tensor" if any(tensor.scales for tensor in tensors) else ""


def _each(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
