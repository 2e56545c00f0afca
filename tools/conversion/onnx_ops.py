"""ONNX' operations on values of a channel-first network, as PyTorch exports them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conversion import layout, onnx_file, picture_ops
from conversion.graph import Graph, Node
from conversion.layout import Value
from conversion.picture_ops import Window
from conversion.tensorflow_door import first_line, tensorflow
from edgecam.errors import InputError

Given = Value | NDArray[Any] | None


def run(graph: Graph, inputs: dict[str, Value]) -> list[Value]:
    """The graph's outputs. Raises InputError for an operation not known here."""
    known: dict[str, Given] = {"": None, **graph.constants, **inputs}
    for node in graph.nodes:
        try:
            found = _one(graph, node, [known[name] for name in node.inputs])
        except (ValueError, TypeError, KeyError, AssertionError, IndexError, RuntimeError) as error:
            raise InputError(
                f"{graph.source}: {node.op} ({node.name}) cannot be converted: {first_line(error)}"
            ) from error
        known |= dict(zip(node.outputs, found, strict=False))
    outputs = [known.get(name) for name in graph.outputs]
    values = [output.settled() for output in outputs if isinstance(output, Value)]
    if len(values) != len(outputs):
        raise InputError(f"{graph.source}: an output does not depend on the picture: export the model again")
    return values


def _one(graph: Graph, node: Node, given: Sequence[Given]) -> Sequence[Given]:
    constants = [each for each in given if isinstance(each, np.ndarray)]
    if len(constants) == len(given):
        return onnx_file.computed(node, constants, graph.opset)
    operation = _OPERATIONS.get(node.op)
    if operation is None:
        raise ValueError("this operation is not known here: simplify the model (onnx-simplifier), or export it as TFJS")
    found = operation(node, given)
    return found if isinstance(found, list) else [found]


def _value(given: Given) -> Value:
    assert isinstance(given, Value), "a computed value is wanted, it is constant"
    return given


def _constant(given: Given) -> NDArray[Any]:
    assert isinstance(given, np.ndarray), "a constant is wanted, it is computed"
    return given


def _optional(given: Sequence[Given], number: int) -> NDArray[Any] | None:
    """A constant among the inputs that may be left out; an empty one counts as such."""
    found = given[number] if number < len(given) else None
    return None if found is None or not _constant(found).size else _constant(found)


def _window(node: Node) -> Window:
    strides, dilations = (node.attributes.get(name, [1, 1]) for name in ("strides", "dilations"))
    return Window((strides[0], strides[1]), (dilations[0], dilations[1]))


def _framed(node: Node, value: Value, filler: float) -> Value:
    """The value with the padding that a convolution or a pool names."""
    assert node.attributes.get("auto_pad", "NOTSET") in ("NOTSET", "VALID"), "its padding is automatic"
    assert not node.attributes.get("ceil_mode"), "its size is rounded up"
    top, left, bottom, right = node.attributes.get("pads", [0, 0, 0, 0])
    return layout.padded(value, [(0, 0), (0, 0), (top, bottom), (left, right)], filler)


def _convolution(node: Node, given: Sequence[Given]) -> Value:
    value, kernel, bias = _value(given[0]), _constant(given[1]), _optional(given, 2)
    group = node.attributes.get("group", 1)
    if group == 1:
        kernel = kernel.transpose(2, 3, 1, 0)
    else:
        assert group == value.shape[1] == kernel.shape[0], "groups of several channels are not known here"
        kernel = kernel.transpose(2, 3, 0, 1)
    found = picture_ops.convolution(_framed(node, value, 0.0), kernel, _window(node))
    return found if bias is None else layout.combined(tensorflow().add, found, bias.reshape(1, -1, 1, 1))


def _normalised(node: Node, given: Sequence[Given]) -> Value:
    scale, offset, mean, variance = (_constant(each).astype(np.float64) for each in given[1:5])
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    parts = (each.astype(np.float32).reshape(1, -1, 1, 1) for each in (factor, offset - mean * factor))
    tf = tensorflow()
    scaled = layout.combined(tf.multiply, _value(given[0]), next(parts))
    return layout.combined(tf.add, scaled, next(parts))


def _pool(operation: Callable[..., Value], filler: float) -> Callable[[Node, Sequence[Given]], Value]:
    def applied(node: Node, given: Sequence[Given]) -> Value:
        rows, columns = node.attributes["kernel_shape"]
        framed = _framed(node, _value(given[0]), filler)
        assert filler or not framed.padding, "a mean of a padded picture is not known here"
        return operation(framed, (rows, columns), _window(node))

    return applied


def _whole_mean(node: Node, given: Sequence[Given]) -> Value:
    value = _value(given[0]).settled()
    axes = [value.position(axis) for axis in (2, 3)]
    return value.mapped(tensorflow().reduce_mean(value.tensor, axes, keepdims=True))


def _clip(node: Node, given: Sequence[Given]) -> Value:
    low, high = (
        float(bound) if bound is not None else float(node.attributes.get(name, default))
        for bound, name, default in ((_optional(given, 1), "min", -math.inf), (_optional(given, 2), "max", math.inf))
    )
    tf, value = tensorflow(), _value(given[0]).settled()
    if (low, high) == (0.0, 6.0):
        return value.mapped(tf.nn.relu6(value.tensor))
    return value.mapped(tf.clip_by_value(value.tensor, low, high))


def _resize(node: Node, given: Sequence[Given]) -> Value:
    value = _value(given[0])
    scales, sizes = _optional(given, len(given) - 1 if node.op == "Upsample" else 2), _optional(given, 3)
    if sizes is None:
        assert scales is not None, "it names no size"
        sizes = np.floor(np.asarray(value.shape) * scales)
    mode = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    if node.op == "Upsample":
        mode = "asymmetric"
    bilinear = node.attributes.get("mode", "nearest") == "linear"
    assert mode in ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"), f"its mode is {mode}"
    return picture_ops.resized(
        value,
        [int(size) for size in sizes[2:]],
        bilinear=bilinear,
        align_corners=mode == "align_corners",
        half_pixel="half_pixel" in mode,
    )


def _split(node: Node, given: Sequence[Given]) -> list[Value]:
    value, axis = _value(given[0]), node.attributes.get("axis", 0)
    stated = _optional(given, 1)
    sizes = node.attributes.get("split") if stated is None else stated.tolist()
    return layout.parted(value, sizes or [value.shape[axis] // len(node.outputs)] * len(node.outputs), axis)


def _slice(node: Node, given: Sequence[Given]) -> Value:
    """A piece along each of some axes, in steps of one."""
    value = _value(given[0]).settled()
    starts, ends = _constant(given[1]).tolist(), _constant(given[2]).tolist()
    axes, steps = _optional(given, 3), _optional(given, 4)
    assert steps is None or set(steps.tolist()) == {1}, "its steps are not one"
    for start, end, axis in zip(starts, ends, range(len(starts)) if axes is None else axes.tolist(), strict=True):
        first, last, _ = slice(start, end).indices(value.shape[axis])
        sizes = [first, last - first, value.shape[axis] - last]
        value = layout.parted(value, sizes, axis)[1]
    return value


def _flat(node: Node, given: Sequence[Given]) -> Value:
    value, axis = _value(given[0]), node.attributes.get("axis", 1)
    return layout.reshaped(value, [math.prod(value.shape[:axis]), math.prod(value.shape[axis:])])


def _each(operation: Callable[[Node, Any], Any]) -> Callable[[Node, Sequence[Given]], Value]:
    """An operation on every number of one value."""

    def applied(node: Node, given: Sequence[Given]) -> Value:
        value = _value(given[0]).settled()
        return value.mapped(operation(node, value.tensor))

    return applied


def _pair(name: str) -> Callable[[Node, Sequence[Given]], Value]:
    """An operation on two values, number by number."""

    def applied(node: Node, given: Sequence[Given]) -> Value:
        left, right = (given[number] for number in (0, 1))
        assert left is not None, "an input is missing"
        assert right is not None, "an input is missing"
        return layout.combined(getattr(tensorflow(), name), left, right)

    return applied


_OPERATIONS: dict[str, Callable[[Node, Sequence[Given]], Given | list[Value]]] = {
    "Add": _pair("add"),
    "AveragePool": _pool(picture_ops.average_pool, 0.0),
    "BatchNormalization": _normalised,
    "Clip": _clip,
    "Concat": lambda node, given: layout.joined([_value(each) for each in given], node.attributes["axis"]),
    "Conv": _convolution,
    "Flatten": _flat,
    "GlobalAveragePool": _whole_mean,
    "HardSwish": _each(lambda node, tensor: tensor * tensorflow().nn.relu6(tensor + 3) * (1 / 6)),
    "Identity": lambda node, given: _value(given[0]),
    "LeakyRelu": _each(lambda node, tensor: tensorflow().nn.leaky_relu(tensor, node.attributes.get("alpha", 0.01))),
    "MaxPool": _pool(picture_ops.max_pool, -math.inf),
    "Mul": _pair("multiply"),
    "Relu": _each(lambda node, tensor: tensorflow().nn.relu(tensor)),
    "Reshape": lambda node, given: layout.reshaped(_value(given[0]), _constant(given[1]).tolist()),
    "Resize": _resize,
    "Shape": lambda node, given: np.asarray(_value(given[0]).padded_shape, np.int64),
    "Sigmoid": _each(lambda node, tensor: tensorflow().sigmoid(tensor)),
    "Slice": _slice,
    "SlopedRelu": lambda node, given: picture_ops.sloped_relu(_value(given[0]), node.attributes.get("alpha", 0.01)),
    "Split": _split,
    "Sub": _pair("subtract"),
    "Transpose": lambda node, given: layout.permuted(_value(given[0]), node.attributes["perm"]),
    "Upsample": _resize,
}
