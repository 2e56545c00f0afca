"""Compiles a CPU model for the stand-in, as edgetpu_compiler does for the real thing.

Everything up to the post-process operator goes into one `edgetpu-custom-op`, which carries those operators as a .tflite
file of their own; the post-process operator stays outside, on the CPU. A model without one goes in whole.

    python tests/edgetpu/compile_model.py model.tflite model_edgetpu.tflite
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

MAGIC = b"EDGECAM-STANDIN-MODEL\n"
CUSTOM_OP = b"edgetpu-custom-op"
STAYS_OUTSIDE = b"TFLite_Detection_PostProcess"


def compile_for_standin(source: Path, target: Path) -> None:
    """Write `source`, compiled for the stand-in, to `target`. Raises ValueError where it has several graphs."""
    content = source.read_bytes()
    outer, inner = (schema.ModelT.InitFromPackedBuf(content) for _ in range(2))
    if len(outer.subgraphs) != 1:
        raise ValueError(f"{source}: {len(outer.subgraphs)} graphs: one is needed")
    boundary = _boundary(outer)
    _keep_inside(inner, boundary)
    _keep_outside(outer, boundary, MAGIC + _packed(inner))
    target.write_bytes(_packed(outer))


def _inside(model: Any) -> list[Any]:
    """The operators that go inside: all but the post-process operator, which must be the last."""
    operators = list(model.subgraphs[0].operators)
    if model.operatorCodes[operators[-1].opcodeIndex].customCode == STAYS_OUTSIDE:
        operators.pop()
    return operators


def _boundary(model: Any) -> list[int]:
    """The tensors made inside and read outside."""
    graph = model.subgraphs[0]
    inside = _inside(model)
    read = {int(tensor) for operator in graph.operators[len(inside) :] for tensor in operator.inputs}
    read |= {int(tensor) for tensor in graph.outputs}
    return [int(tensor) for operator in inside for tensor in operator.outputs if int(tensor) in read]


def _keep_inside(model: Any, boundary: list[int]) -> None:
    graph = model.subgraphs[0]
    graph.operators = _inside(model)
    graph.outputs = boundary
    model.signatureDefs, model.metadata, model.metadataBuffer = [], [], []


def _keep_outside(model: Any, boundary: list[int], options: bytes) -> None:
    """Put one custom operator in the place of what went inside, and drop its weights."""
    graph = model.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = CUSTOM_OP, 1
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = [int(tensor) for tensor in graph.inputs], boundary
    operator.customOptions = np.frombuffer(options, np.uint8)
    graph.operators = [operator, *graph.operators[len(_inside(model)) :]]
    used = {int(tensor) for each in graph.operators for tensor in (*each.inputs, *each.outputs)}
    for number, tensor in enumerate(graph.tensors):
        if number not in used and tensor.buffer:
            model.buffers[tensor.buffer].data = None
            tensor.buffer = 0


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compile a CPU model for the software Edge TPU of the tests.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    compile_for_standin(arguments.source, arguments.target)


if __name__ == "__main__":
    main()
