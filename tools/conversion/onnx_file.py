"""Reads ONNX files: a network's operations in running order, its constants, its inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conversion.graph import Graph, Node
from conversion.tensorflow_door import first_line, wanted
from edgecam.errors import InputError


def read_onnx(path: Path) -> Graph:
    """Read a model, checked by ONNX' own checker. Raises InputError, which says what is wrong with the file."""
    onnx = wanted("onnx")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): give an .onnx file") from error
    decode_error = wanted("google.protobuf.message").DecodeError
    try:
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
        constants = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    except (decode_error, onnx.checker.ValidationError, ValueError, TypeError) as error:
        raise InputError(f"{path}: damaged, or no ONNX model ({first_line(error)}): export it again") from error
    given = [each for each in model.graph.input if each.name not in constants]
    inputs = {each.name: _shape(path, each) for each in given}
    nodes = []
    for node in map(_node, model.graph.node):
        if node.op == "Constant":
            constants[node.outputs[0]] = _constant(path, node)
        else:
            nodes.append(node)
    opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=1)
    return Graph(str(path), tuple(nodes), constants, inputs, tuple(each.name for each in model.graph.output), opset)


def computed(node: Node, given: Sequence[NDArray[Any]], opset: int) -> list[NDArray[Any]]:
    """What an operation on constants gives, by ONNX' reference implementation. Raises ValueError where it has none."""
    helper = wanted("onnx.helper")
    evaluator = wanted("onnx.reference").ReferenceEvaluator
    lone = helper.make_node(node.op, node.inputs, node.outputs, **node.attributes)
    ends = [helper.make_empty_tensor_value_info(name) for name in node.outputs]
    model = helper.make_model(
        helper.make_graph([lone], "one", [helper.make_empty_tensor_value_info(name) for name in node.inputs], ends),
        opset_imports=[helper.make_opsetid("", opset)],
    )
    values = evaluator(model).run(None, dict(zip(node.inputs, given, strict=True)))
    return [np.asarray(value) for value in values]


def _shape(path: Path, given: Any) -> tuple[int, ...]:
    """The shape of an input; a batch of any size is one."""
    sizes = [dim.dim_value for dim in given.type.tensor_type.shape.dim]
    if sizes[:1] == [0]:
        sizes[0] = 1
    if not sizes or min(sizes) < 1:
        raise InputError(f"{path}: input {given.name!r} has no fixed size: export it with one")
    return tuple(sizes)


def _node(node: Any) -> Node:
    helper = wanted("onnx.helper")
    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    plain = {key: value.decode() if isinstance(value, bytes) else value for key, value in attributes.items()}
    return Node(node.name or node.output[0], node.op_type, tuple(node.input), tuple(node.output), plain)


def _constant(path: Path, node: Node) -> NDArray[Any]:
    helper = wanted("onnx.numpy_helper")
    for key, value in node.attributes.items():
        if key == "value":
            return np.asarray(helper.to_array(value))
        if key in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if key in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
    raise InputError(f"{path}: constant {node.name!r} is of a kind not read here: export the model again")
