"""Graphs before their conversion, whatever format they came in: nodes in the order they run, and their constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from conversion.tensorflow_door import chatter_held, first_line, tensorflow
from conversion.tfjs_file import TfjsModel
from edgecam.errors import InputError


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: its name, the values it takes and gives, by name, and its attributes as plain values."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Graph:
    """What depends on the inputs, in running order, and the values that do not, by name.

    `inputs` are shapes by name. `source` says where the graph comes from, for messages. `opset` is ONNX' version of the
    operations, 0 for TensorFlow's.
    """

    source: str
    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    opset: int = 0


def graph_def(model: TfjsModel) -> Any:
    """A TensorFlow.js model as a tf.GraphDef. Raises InputError."""
    tf = tensorflow()
    from google.protobuf import json_format

    content = tf.compat.v1.GraphDef()
    topology = {"node": list(model.nodes), "library": model.functions}
    try:
        json_format.ParseDict(topology, content, ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, TypeError) as error:
        raise InputError(f"{model.path}: its topology is damaged ({first_line(error)}): copy it again") from error
    content.versions.producer = 1482
    for node in content.node:
        _narrow(tf, node)
        if node.op == "Const":
            value = model.weights[node.name]
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
            node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    return content


def _narrow(tf: Any, node: Any) -> None:
    """TensorFlow.js keeps 64-bit integers in 32 bits, yet its topology still says 64."""
    for attribute in node.attr.values():
        if attribute.type == tf.int64.as_datatype_enum:
            attribute.type = tf.int32.as_datatype_enum


def pruned(source: str, content: Any, outputs: Iterable[str]) -> Any:
    """The part of a tf.GraphDef that its outputs need. Raises InputError where one is not there."""
    tf = tensorflow()
    names = [name.split(":")[0] for name in outputs]
    try:
        return tf.compat.v1.graph_util.extract_sub_graph(content, list(dict.fromkeys(names)))
    except (AssertionError, ValueError, TypeError) as error:
        raise InputError(f"{source}: {first_line(error)}") from error


def fed_at(source: str, content: Any, name: str, shape: Sequence[int] | None = None) -> Any:
    """A tf.GraphDef that is fed at a node, whatever that was; with the shape given, if any. Raises InputError."""
    tf = tensorflow()
    fed = tf.compat.v1.GraphDef()
    fed.CopyFrom(content)
    (node,) = [node for node in fed.node if node.name == _node_name(name)] or [None]
    if node is None:
        raise InputError(f"{source}: no {name!r} in what its outputs need: give --input, or the right outputs")
    if node.op != "Placeholder":
        node.Clear()
        node.name, node.op = _node_name(name), "Placeholder"
        node.attr["dtype"].type = tf.float32.as_datatype_enum
    if shape:
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return fed


def tensor_name(value: str) -> str:
    """The name of a tensor, of the node that makes it."""
    return value if ":" in value else f"{value}:0"


def from_tfjs(model: TfjsModel) -> Graph:
    """The graph of a TensorFlow.js model with all that is constant computed. Raises InputError."""
    content = pruned(str(model.path), graph_def(model), model.outputs)
    order = _running_order(str(model.path), content)
    fed = {node.name for node in order if node.op == "Placeholder"}
    moving = _depending(order, fed)
    constants = _computed(str(model.path), content, order, moving)
    nodes = tuple(_node(node) for node in order if node.name in moving - fed)
    inputs = {node.name: tuple(dim.size for dim in node.attr["shape"].shape.dim) for node in order if node.name in fed}
    return Graph(str(model.path), nodes, constants, inputs, tuple(_value_name(name) for name in model.outputs))


def _running_order(source: str, content: Any) -> list[Any]:
    by_name = {node.name: node for node in content.node}
    order: list[Any] = []
    done: set[str] = set()
    for first in content.node:
        waiting = [first.name]
        while waiting:
            needed = [name for name in map(_node_name, by_name[waiting[-1]].input) if name not in done]
            if waiting[-1] in done or not needed:
                name = waiting.pop()
                order += [] if name in done else [by_name[name]]
                done.add(name)
            elif needed[0] in waiting or needed[0] not in by_name:
                raise InputError(
                    f"{source}: {waiting[-1]!r} takes {needed[0]!r}, which runs later or never: export it again"
                )
            else:
                waiting.append(needed[0])
    return order


def _depending(order: Iterable[Any], fed: set[str]) -> set[str]:
    moving = set(fed)
    for node in order:
        if any(_node_name(name) in moving for name in node.input):
            moving.add(node.name)
    return moving


def _computed(source: str, content: Any, order: Iterable[Any], moving: set[str]) -> dict[str, NDArray[Any]]:
    """The values of what does not depend on the inputs and is taken by what does."""
    tf = tensorflow()
    taken = {_value_name(name) for node in order if node.name in moving for name in node.input if name[0] != "^"}
    still = sorted(name for name in taken if _node_name(name) not in moving)
    graph = tf.Graph()
    try:
        with graph.as_default(), chatter_held():
            tf.import_graph_def(content, name="")
            with tf.compat.v1.Session(graph=graph) as session:
                values = session.run([tensor_name(name) for name in still])
    except (tf.errors.OpError, ValueError, TypeError) as error:
        raise InputError(f"{source}: cannot be computed ({first_line(error)}): export the model again") from error
    return dict(zip(still, values, strict=True))


def _node(node: Any) -> Node:
    count = int(node.attr["num_split"].i) if node.op in ("Split", "SplitV") else 1
    outputs = tuple(node.name if number == 0 else f"{node.name}:{number}" for number in range(count))
    inputs = tuple(_value_name(name) for name in node.input if name[0] != "^")
    return Node(node.name, node.op, inputs, outputs, {key: _plain(value) for key, value in node.attr.items()})


def _plain(value: Any) -> Any:
    """An attribute as a plain value."""
    kind = value.WhichOneof("value")
    if kind == "list":
        return [*value.list.i, *value.list.f, *value.list.s]
    plain = getattr(value, kind) if kind else None
    return plain.decode() if isinstance(plain, bytes) else plain


def _node_name(value: str) -> str:
    return value.lstrip("^").split(":")[0]


def _value_name(value: str) -> str:
    return value.removesuffix(":0")
