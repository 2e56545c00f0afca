"""Takes apart the operations that TensorFlow.js' exporter fuses and TensorFlow's converter does not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conversion.tensorflow_door import tensorflow
from edgecam.errors import InputError

#: Fused operation -> what it begins with.
_STARTS = {
    "_FusedConv2D": "Conv2D",
    "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative",
    "_FusedDepthwiseConv2dNative": "DepthwiseConv2dNative",
    "_FusedMatMul": "MatMul",
}
_ENDINGS = {"BiasAdd", "Elu", "LeakyRelu", "Prelu", "Relu", "Relu6", "Sigmoid", "Tanh"}
_ONLY_FUSED = ("fused_ops", "num_args", "epsilon", "leakyrelu_alpha", "explicit_paddings", "TArgs", "num_host_args")


def taken_apart(source: str, content: Any) -> Any:
    """A tf.GraphDef with plain operations in place of fused ones. Raises InputError where one is not known."""
    tf = tensorflow()
    plain = tf.compat.v1.GraphDef()
    plain.library.CopyFrom(content.library)
    plain.versions.CopyFrom(content.versions)
    for node in content.node:
        if node.op in _STARTS:
            plain.node.extend(_parts(source, node))
        else:
            plain.node.append(node)
    return plain


def _parts(source: str, node: Any) -> list[Any]:
    """The operations of a fused one; the last has its name, so that nobody who takes its value need know."""
    steps = [step.decode() for step in node.attr["fused_ops"].list.s]
    unknown = [step for step in steps if step not in _ENDINGS]
    if unknown or not steps:
        raise InputError(f"{source}: {node.op} ({node.name}) with {unknown or 'nothing'} fused is not known here")
    inputs = list(node.input)
    first = _fresh(_STARTS[node.op], f"{node.name}/start", inputs[:2])
    for name, attribute in node.attr.items():
        if name not in _ONLY_FUSED:
            first.attr[name].CopyFrom(attribute)
    more, parts = inputs[2:], [first]
    for number, step in enumerate(steps):
        parts += _step(node, step, f"{node.name}/{number}", parts[-1].name, more)
    parts[-1].name = node.name
    return parts


def _step(node: Any, step: str, name: str, before: str, more: list[str]) -> list[Any]:
    """One fused step; those with an argument take it from the front of `more`."""
    if step == "Prelu":
        return _prelu(node, name, before, more.pop(0))
    part = _fresh(step, name, [before, more.pop(0)] if step == "BiasAdd" else [before])
    part.attr["T"].CopyFrom(node.attr["T"])
    if step == "BiasAdd" and "data_format" in node.attr:
        part.attr["data_format"].CopyFrom(node.attr["data_format"])
    if step == "LeakyRelu":
        part.attr["alpha"].f = node.attr["leakyrelu_alpha"].f if "leakyrelu_alpha" in node.attr else 0.2
    return [part]


def _prelu(node: Any, name: str, before: str, slopes: str) -> list[Any]:
    """relu(x) - slopes * relu(-x): the form that the converter knows as PRELU."""
    steps: Sequence[tuple[str, str, list[str]]] = (
        ("Relu", f"{name}/above", [before]),
        ("Neg", f"{name}/turned", [before]),
        ("Relu", f"{name}/below", [f"{name}/turned"]),
        ("Neg", f"{name}/slopes", [slopes]),
        ("Mul", f"{name}/bent", [f"{name}/slopes", f"{name}/below"]),
        ("AddV2", name, [f"{name}/above", f"{name}/bent"]),
    )
    parts = [_fresh(*step) for step in steps]
    for part in parts:
        part.attr["T"].CopyFrom(node.attr["T"])
    return parts


def _fresh(op: str, name: str, inputs: Sequence[str]) -> Any:
    node = tensorflow().compat.v1.NodeDef(op=op, name=name)
    node.input.extend(inputs)
    return node
