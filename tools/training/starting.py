"""A start with the bundled model's weights: what it knows of edges and shapes need not be learned again.

A .tflite file has no batch normalisation left: it went into the kernels and biases, which are integers. They are read
back, and the normalisation is put in again such that, on the pictures at hand, it changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema

from edgecam.errors import InputError
from edgecam.modelfile import ModelFile
from training.export import OPERATION
from training.shards import Picture

Array = NDArray[np.float32]
_KINDS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
_PICTURES_AT_ONCE = 8
_NOT_OURS = "not a model in integers that tools/train made: give another --start, demo or scratch"


@dataclass(frozen=True)
class Layer:
    """A convolution as the file has it: kernel [h, w, in, out] (depthwise [h, w, channels, 1]) and bias."""

    depthwise: bool
    kernel: Array
    bias: Array


class _Graph:
    """A .tflite file's operators, and where each tensor comes from."""

    def __init__(self, content: bytes) -> None:
        self._model = schema.ModelT.InitFromPackedBuf(content, 0)
        self._graph = self._model.subgraphs[0]
        self._source = {int(out): op for op in self._graph.operators for out in op.outputs}

    def code(self, op: Any) -> int:
        code = self._model.operatorCodes[op.opcodeIndex]
        return int(max(code.builtinCode, code.deprecatedBuiltinCode))

    def layers(self) -> list[Layer]:
        """The backbone's convolutions in their order, then each level's: of the boxes, of the scores."""
        heads = [head for pair in zip(*(self._heads(position) for position in (0, 1)), strict=True) for head in pair]
        in_heads = {id(op) for head in heads for op in head}
        backbone = [op for op in self._graph.operators if self._is_convolution(op) and id(op) not in in_heads]
        return [self._layer(op) for op in (*backbone, *(op for head in heads for op in head))]

    def _heads(self, position: int) -> list[list[Any]]:
        """For each level, the two convolutions before an input of the post-process operation."""
        customs = [code.customCode for code in self._model.operatorCodes]
        end = next(op for op in self._graph.operators if customs[op.opcodeIndex] == OPERATION.encode())
        op = self._source[int(end.inputs[position])]
        while self.code(op) != schema.BuiltinOperator.CONCATENATION:
            op = self._source[int(op.inputs[0])]
        return [self._two_before(int(tensor)) for tensor in op.inputs]

    def _two_before(self, tensor: int) -> list[Any]:
        found: list[Any] = []
        while len(found) < 2:
            op = self._source[tensor]
            if self._is_convolution(op):
                found.insert(0, op)
            tensor = int(op.inputs[0])
        return found

    def _is_convolution(self, op: Any) -> bool:
        return self.code(op) in (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)

    def _layer(self, op: Any) -> Layer:
        depthwise = self.code(op) == schema.BuiltinOperator.DEPTHWISE_CONV_2D
        kernel, bias = self._values(op.inputs[1], np.int8), self._values(op.inputs[2], np.int32)
        return Layer(depthwise, kernel.transpose(1, 2, 3, 0), bias)

    def _values(self, index: int, dtype: type) -> Array:
        tensor = self._graph.tensors[index]
        raw = np.frombuffer(bytes(self._model.buffers[tensor.buffer].data), dtype).reshape(tensor.shape)
        scale = np.asarray(tensor.quantization.scale, np.float32)
        along = [1] * raw.ndim
        along[tensor.quantization.quantizedDimension] = len(scale)
        return np.asarray(raw * scale.reshape(along), np.float32)


def read_layers(path: Path) -> list[Layer]:
    """The convolutions of a model that this trainer made. Raises InputError for any other file."""
    content = ModelFile.load(path).content
    try:
        return _Graph(content).layers()
    except (KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {_NOT_OURS}") from error


def start_from(model: keras.Model, known: Sequence[Layer], same: Sequence[int | None], pictures: Picture) -> None:
    """Give a network the convolutions of a trained one.

    `same` says for each of the network's labels which of the trained one's it is, or None; scores of new labels begin
    as they are. `pictures` uint8 [n, height, width, 3] at the input's size are what normalisation is measured on.
    """
    pairs = [
        pair
        for depthwise in (False, True)
        for pair in zip(
            _convolutions(model, depthwise), [each for each in known if each.depthwise is depthwise], strict=True
        )
    ]
    normalisers = []
    scores = False  # heads come in turns: of the boxes, of the scores
    for layer, found in pairs:
        after = layer.outbound_nodes[0].layer
        if isinstance(after, keras.layers.BatchNormalization):
            layer.set_weights([found.kernel])
            zeros = np.zeros_like(found.bias)
            after.set_weights([zeros + 1, found.bias, zeros, zeros + 1 - after.epsilon])
            normalisers.append((after, found.bias))
        else:
            own = layer.get_weights()
            layer.set_weights(_scores(own, found, same) if scores else [found.kernel, found.bias])
            scores = not scores
    _renormalise(model, normalisers, pictures)


def take_over(model: keras.Model, path: Path, same: Sequence[int | None], pictures: Picture) -> None:
    """`start_from` with the convolutions of a .tflite file. Raises InputError where they are not of such a network."""
    known = read_layers(path)
    try:
        start_from(model, known, same, pictures)
    except (IndexError, ValueError) as error:
        raise InputError(f"{path}: {_NOT_OURS}") from error


def _convolutions(model: keras.Model, depthwise: bool) -> list[Any]:  # noqa: FBT001
    """The network's layers of one kind, as they were made: Keras counts them up in their names."""
    kind = _KINDS[depthwise]
    found = [layer for layer in model.layers if type(layer) is kind]  # one kind may be derived from the other
    return sorted(found, key=lambda layer: int((re.findall(r"_(\d+)$", layer.name) or ["0"])[0]))


def _scores(own: list[Array], found: Layer, same: Sequence[int | None]) -> list[Array]:
    """A score head's kernel and bias: channels are shapes times labels, and known labels are taken over."""
    shapes = own[1].shape[0] // len(same)
    taken = []
    for mine, theirs in zip(own, (found.kernel, found.bias), strict=True):
        new = mine.reshape(*mine.shape[:-1], shapes, len(same)).copy()
        old = theirs.reshape(*theirs.shape[:-1], shapes, -1)
        for label, known in enumerate(same):
            if known is not None:
                new[..., label] = old[..., known]
        taken.append(new.reshape(mine.shape))
    return taken


def _renormalise(model: keras.Model, normalisers: Sequence[tuple[Any, Array]], pictures: Picture) -> None:
    """Measure what goes into each normalisation, and have it give what it gave before."""
    probe = keras.Model(model.input, [layer.input for layer, _ in normalisers])
    sums = [np.zeros((2, len(bias))) for _, bias in normalisers]
    for first in range(0, len(pictures), _PICTURES_AT_ONCE):
        some = (pictures[first : first + _PICTURES_AT_ONCE].astype(np.float32) - 128) / 128
        for total, values in zip(sums, probe(some, training=False), strict=True):
            flat = values.numpy().reshape(-1, values.shape[-1]).astype(np.float64)
            total[:] += np.stack([flat.mean(0), (flat**2).mean(0)]) * len(some) / len(pictures)
    for (layer, bias), (mean, square) in zip(normalisers, sums, strict=True):
        variance = np.maximum(square - mean**2, 1e-6)
        layer.set_weights([np.sqrt(variance + layer.epsilon), bias + mean, mean, variance])
