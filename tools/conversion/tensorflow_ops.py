"""TensorFlow's operations on values of a channel-first network, as onnx-tf writes them into TensorFlow.js models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conversion import layout, picture_ops
from conversion.graph import Graph, Node
from conversion.layout import Value
from conversion.picture_ops import Window
from conversion.tensorflow_door import tensorflow
from edgecam.errors import InputError

#: Their convolutions count axes as TensorFlow does: batch, rows, columns, channels.
_ORDER = (0, 1, 2, 3)
Given = Value | NDArray[Any]


def run(graph: Graph, inputs: dict[str, Value]) -> list[Value]:
    """The graph's outputs. Raises InputError for an operation not known here."""
    known: dict[str, Given] = {**graph.constants, **inputs}
    for node in graph.nodes:
        operation = _OPERATIONS.get(node.op)
        if operation is None:
            raise InputError(
                f"{graph.source}: operation {node.op} ({node.name}) is not known here: convert it with `tfjs`"
            )
        try:
            found = operation(node, [known[name] for name in node.inputs])
        except (ValueError, TypeError, KeyError, AssertionError, IndexError) as error:
            raise InputError(f"{graph.source}: {node.op} ({node.name}) cannot be converted: {error}") from error
        known |= dict(zip(node.outputs, found if isinstance(found, list) else [found], strict=True))
    return [_output(graph, known, name) for name in graph.outputs]


def _output(graph: Graph, known: dict[str, Given], name: str) -> Value:
    value = known.get(name)
    if not isinstance(value, Value):
        raise InputError(f"{graph.source}: output {name!r} does not depend on the picture: export the model again")
    return value.settled()


def _value(given: Given) -> Value:
    assert isinstance(given, Value), "a computed value is wanted, it is constant"
    return given


def _constant(given: Given) -> NDArray[Any]:
    assert not isinstance(given, Value), "a constant is wanted, it is computed"
    return np.asarray(given)


def _window(node: Node) -> Window:
    strides = node.attributes["strides"]
    dilations = node.attributes.get("dilations") or [1, 1, 1, 1]
    return Window((strides[1], strides[2]), (dilations[1], dilations[2]))


def _convolution(node: Node, given: Sequence[Given]) -> Value:
    value, kernel = _value(given[0]), _constant(given[1])
    if node.attributes["padding"] == "SAME":
        value = _same(value, kernel.shape[:2], _window(node))
    return picture_ops.convolution(value, kernel, _window(node), _ORDER)


def _same(value: Value, size: Sequence[int], window: Window, filler: float = 0.0) -> Value:
    """The padding that TensorFlow calls SAME."""
    around = [(0, 0)]
    for number, axis in enumerate((1, 2)):
        reach = (size[number] - 1) * window.dilations[number] + 1
        steps = -(-value.shape[axis] // window.strides[number])
        missing = max(0, (steps - 1) * window.strides[number] + reach - value.shape[axis])
        around.append((missing // 2, missing - missing // 2))
    return layout.padded(value, [*around, (0, 0)], filler)


def _max_pool(node: Node, given: Sequence[Given]) -> Value:
    value, size = _value(given[0]), node.attributes["ksize"]
    if node.attributes["padding"] == "SAME":
        value = _same(value, size[1:3], _window(node), -np.inf)
    return picture_ops.max_pool(value, (size[1], size[2]), _window(node), _ORDER)


def _pad(node: Node, given: Sequence[Given]) -> Value:
    filler = float(_constant(given[2])) if len(given) > 2 else 0.0
    return layout.padded(_value(given[0]), _constant(given[1]).tolist(), filler)


def _resize(node: Node, given: Sequence[Given]) -> Value:
    return picture_ops.resized(
        _value(given[0]),
        _constant(given[1]).tolist(),
        _ORDER,
        bilinear=node.op == "ResizeBilinear",
        align_corners=bool(node.attributes.get("align_corners")),
        half_pixel=bool(node.attributes.get("half_pixel_centers")),
    )


def _split_v(node: Node, given: Sequence[Given]) -> list[Value]:
    return layout.parted(_value(given[0]), _constant(given[1]).tolist(), int(_constant(given[2])))


def _split(node: Node, given: Sequence[Given]) -> list[Value]:
    axis, value, count = int(_constant(given[0])), _value(given[1]), len(node.outputs)
    return layout.parted(value, [value.shape[axis] // count] * count, axis)


def _mean(node: Node, given: Sequence[Given]) -> Value:
    value = _value(given[0]).settled()
    axes = [value.position(int(axis)) for axis in _constant(given[1]).reshape(-1)]
    assert node.attributes.get("keep_dims"), "a mean must keep its axes"
    return value.mapped(tensorflow().reduce_mean(value.tensor, axes, keepdims=True))


def _each(name: str) -> Callable[[Node, Sequence[Given]], Value]:
    """An operation on every number of one value."""

    def applied(node: Node, given: Sequence[Given]) -> Value:
        value = _value(given[0]).settled()
        operation = getattr(tensorflow().nn, name)
        options = {"alpha": node.attributes["alpha"]} if name == "leaky_relu" else {}
        return value.mapped(operation(value.tensor, **options))

    return applied


def _pair(name: str) -> Callable[[Node, Sequence[Given]], Value]:
    """An operation on two values, number by number."""
    return lambda node, given: layout.combined(getattr(tensorflow(), name), given[0], given[1])


_OPERATIONS: dict[str, Callable[[Node, Sequence[Given]], Value | list[Value]]] = {
    "Add": _pair("add"),
    "AddV2": _pair("add"),
    "BiasAdd": _pair("add"),
    "ConcatV2": lambda node, given: layout.joined([_value(each) for each in given[:-1]], int(_constant(given[-1]))),
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "Identity": lambda node, given: _value(given[0]),
    "LeakyRelu": _each("leaky_relu"),
    "MaxPool": _max_pool,
    "Mean": _mean,
    "Mul": _pair("multiply"),
    "Pad": _pad,
    "PadV2": _pad,
    "Relu": _each("relu"),
    "Relu6": _each("relu6"),
    "Reshape": lambda node, given: layout.reshaped(_value(given[0]), _constant(given[1]).tolist()),
    "ResizeBilinear": _resize,
    "ResizeNearestNeighbor": _resize,
    "Sigmoid": _each("sigmoid"),
    "SlopedRelu": lambda node, given: picture_ops.sloped_relu(_value(given[0]), node.attributes["alpha"]),
    "Split": _split,
    "SplitV": _split_v,
    "Sub": _pair("subtract"),
    "Transpose": lambda node, given: layout.permuted(_value(given[0]), _constant(given[1]).tolist()),
}
