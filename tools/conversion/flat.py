"""Edits finished .tflite files: names of inputs and outputs, and the classic order of the post-process operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from conversion.tensorflow_door import tensorflow, wanted
from edgecam.modelfile import POSTPROCESS_OP

CLASSIC_INPUT = "normalized_input_image_tensor"


def with_names(content: bytes, input_name: str, output_names: Sequence[str]) -> bytes:
    """The model with its input and outputs named, in the order they have, and without signatures."""

    def rename(model: Any) -> None:
        main = model.subgraphs[0]
        main.tensors[main.inputs[0]].name = input_name
        for index, name in zip(main.outputs, output_names, strict=True):
            main.tensors[index].name = name
        model.signatureDefs = None

    return _edited(content, rename)


def with_classic_outputs(content: bytes, input_name: str = CLASSIC_INPUT) -> bytes:
    """The model with the post-process operation's outputs in its own order, named as the classic tool named them.

    The converter orders outputs by signature; readers of TensorFlow 1 models (libcoral, pycoral) go by position.
    """

    def reorder(model: Any) -> None:
        main = model.subgraphs[0]
        codes = [code.customCode for code in model.operatorCodes]
        operators = [op for op in main.operators if codes[op.opcodeIndex] == POSTPROCESS_OP.encode()]
        main.outputs = list(operators[0].outputs)
        for number, index in enumerate(main.outputs):
            main.tensors[index].name = POSTPROCESS_OP + (f":{number}" if number else "")
        main.tensors[main.inputs[0]].name = input_name
        model.signatureDefs = None

    return _edited(content, reorder)


def _edited(content: bytes, edit: Callable[[Any], None]) -> bytes:
    tensorflow()
    schema = wanted("tensorflow.lite.python.schema_py_generated")
    flatbuffers = wanted("flatbuffers")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    edit(model)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
