"""Tiny .tflite files made byte by byte, so that every kind of model can be tested without one being shipped.

The detectors made here run: the boxes they find are the pixels of the picture, see `detector`.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flatbuffer_writer import Fields, Items, Scalar, Writer, flexbuffer_map

FLOAT32, INT32, UINT8, INT8 = 0, 2, 3, 9
RESHAPE, DEQUANTIZE, GATHER, CAST, CUSTOM, SLICE = 22, 6, 36, 53, 32, 65


@dataclass(frozen=True)
class TensorSpec:
    """A tensor to write; `content` makes it a constant, `scale` quantises it."""

    name: str
    shape: Sequence[int]
    kind: int = FLOAT32
    content: bytes = b""
    scale: float = 0.0
    zero_point: int = 0

    def fields(self, buffer: int) -> Fields:
        fields: dict[int, Any] = {
            0: Items("i", self.shape),
            1: Scalar("b", self.kind),
            2: Scalar("I", buffer),
            3: self.name,
        }
        if self.scale:
            fields[4] = {2: Items("f", [self.scale]), 3: Items("q", [self.zero_point], align=8)}
        return fields


@dataclass(frozen=True)
class OperatorSpec:
    """An operator to write: a built-in's number, or a custom one's name with its options."""

    code: int | str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: bytes = b""

    def fields(self, index: int) -> Fields:
        fields: dict[int, Any] = {
            0: Scalar("I", index),
            1: Items("i", self.inputs),
            2: Items("i", self.outputs),
        }
        return fields | ({5: Items("B", self.options)} if self.options else {})

    def code_fields(self) -> Fields:
        if isinstance(self.code, str):
            return {0: Scalar("b", CUSTOM), 1: self.code, 2: Scalar("i", 1), 3: Scalar("i", CUSTOM)}
        return {
            0: Scalar("b", self.code),
            2: Scalar("i", 2 if self.code == DEQUANTIZE else 1),
            3: Scalar("i", self.code),
        }


def model(
    tensors: Sequence[TensorSpec],
    operators: Sequence[OperatorSpec],
    inputs: Sequence[int],
    outputs: Sequence[int],
    *,
    signature: Mapping[str, int] | None = None,
    metadata: bytes = b"",
    version: int = 3,
) -> bytes:
    """A model file; buffer 0 is empty, as the format wants it, and tensor n has buffer n + 1."""
    buffers: list[Fields] = [{}]
    buffers += [{0: Items("B", each.content, align=16)} if each.content else {} for each in tensors]
    root: dict[int, Any] = {
        0: Scalar("I", version),
        1: [each.code_fields() for each in operators],
        2: [
            {
                0: [each.fields(number + 1) for number, each in enumerate(tensors)],
                1: Items("i", inputs),
                2: Items("i", outputs),
                3: [each.fields(number) for number, each in enumerate(operators)],
                4: "main",
            }
        ],
        3: "tiny",
        4: buffers,
    }
    if metadata:
        root[6] = [{0: "TFLITE_METADATA", 1: Scalar("I", len(buffers))}]
        buffers.append({0: Items("B", metadata, align=16)})
    if signature is not None:
        ends = [{0: name, 1: Scalar("I", tensor)} for name, tensor in signature.items()]
        root[7] = [{0: [{0: "input", 1: Scalar("I", inputs[0])}], 1: ends, 2: "serving_default", 4: Scalar("I", 0)}]
    return Writer().finish(root, b"TFL3")


def metadata(
    *, mean: Sequence[float] = (), std: Sequence[float] = (), label_file: str = "", file_type: int = 3, name: str = ""
) -> bytes:
    """A TFLITE_METADATA buffer with normalisation and a label file of the class output."""
    normalisation = {0: Scalar("B", 1), 1: {0: Items("f", mean), 1: Items("f", std)}}
    labels = [{6: [{0: label_file, 2: Scalar("b", file_type)}]}] if label_file else []
    graph = {2: [{4: [normalisation] if mean else []}], 3: labels}
    return Writer().finish({0: name, 3: [graph], 5: "Apache-2.0"}, b"M001")


def with_files(content: bytes, files: Mapping[str, bytes]) -> bytes:
    """A model with files appended as a zip."""
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


#: Scores of the three anchors of `detector`, background first: classes 1, 0 and 1.
SCORES = (0.0, 0.25, 0.5, 0.0, 0.75, 0.25, 0.0, 0.125, 0.25)
#: Anchors far apart, as y, x, height, width.
ANCHORS = (0.2, 0.2, 0.1, 0.1, 0.5, 0.5, 0.1, 0.1, 0.8, 0.8, 0.1, 0.1)


def detector(
    kind: int = UINT8,
    *,
    scale: float = 1 / 128,
    zero_point: int = 128,
    order: Sequence[int] = (0, 1, 2, 3),
    signature: bool = False,
    metadata: bytes = b"",
    custom_ops: Sequence[str] = ("TFLite_Detection_PostProcess",),
    options: dict[str, float] | None = None,
    scores: Sequence[float] = SCORES,
) -> bytes:
    """A detector of pictures of 2 x 2 pixels with two classes and three anchors, whose input is its box code.

    The twelve numbers of the input, dequantised, are the codes (y, x, h, w) of the three boxes: with scales of 1 the
    centre of box n is anchor centre + code * anchor size, its size exp(code) * anchor size. `order` gives the order of
    the outputs: boxes, classes, scores, count.
    """
    quantised = kind != FLOAT32
    tensors = [
        TensorSpec("picture", (1, 2, 2, 3), kind, scale=scale if quantised else 0.0, zero_point=zero_point),
        TensorSpec("shape", (3,), INT32, struct.pack("<3i", 1, 3, 4)),
        TensorSpec("codes", (1, 3, 4)),
        TensorSpec("scores", (1, 3, len(scores) // 3), content=struct.pack(f"<{len(scores)}f", *scores)),
        TensorSpec("anchors", (3, 4), content=struct.pack("<12f", *ANCHORS)),
        TensorSpec("post:0", (1, 3, 4)),
        TensorSpec("post:1", (1, 3)),
        TensorSpec("post:2", (1, 3)),
        TensorSpec("post:3", (1,)),
        TensorSpec("real", (1, 2, 2, 3)),
    ]
    operators = [OperatorSpec(DEQUANTIZE, (0,), (9,))] if quantised else []
    operators.append(OperatorSpec(RESHAPE, (9 if quantised else 0, 1), (2,)))
    posts = (5, 6, 7, 8)
    operators += [
        OperatorSpec(name, (2, 3, 4), posts, flexbuffer_map(options or postprocess_options())) for name in custom_ops
    ]
    outputs = [posts[position] for position in order]
    names = {"output_0": 8, "output_1": 7, "output_2": 6, "output_3": 5} if signature else None
    return model(tensors, operators, (0,), outputs, signature=names, metadata=metadata)


def fragile_detector() -> bytes:
    """A float detector like `detector` that fails at inference: a picture with any value but 0 looks beyond a table."""
    tensors = [
        TensorSpec("picture", (1, 2, 2, 3)),
        TensorSpec("shape", (3,), INT32, struct.pack("<3i", 1, 3, 4)),
        TensorSpec("codes", (1, 3, 4)),
        TensorSpec("scores", (1, 3, 3), content=struct.pack("<9f", *SCORES)),
        TensorSpec("anchors", (3, 4), content=struct.pack("<12f", *ANCHORS)),
        *(TensorSpec(f"post:{number}", shape) for number, shape in enumerate([(1, 3, 4), (1, 3), (1, 3), (1,)])),
        TensorSpec("indices", (1, 2, 2, 3), INT32),
        TensorSpec("table", (1,), content=struct.pack("<f", 0.0)),
        TensorSpec("looked up", (1, 2, 2, 3)),
    ]
    operators = [
        OperatorSpec(CAST, (0,), (9,)),
        OperatorSpec(GATHER, (10, 9), (11,)),
        OperatorSpec(RESHAPE, (11, 1), (2,)),
        OperatorSpec("TFLite_Detection_PostProcess", (2, 3, 4), (5, 6, 7, 8), flexbuffer_map(postprocess_options())),
    ]
    return model(tensors, operators, (0,), (5, 6, 7, 8), metadata=metadata(mean=[0], std=[1]))


def postprocess_options() -> dict[str, float]:
    """Options of the post-process operator: three candidates of two classes, all scales 1."""
    counts = {"max_detections": 3, "max_classes_per_detection": 1, "num_classes": 2}
    thresholds = {"nms_score_threshold": 0.0, "nms_iou_threshold": 0.5}
    return counts | thresholds | dict.fromkeys(("y_scale", "x_scale", "h_scale", "w_scale"), 1.0)


def classifier(classes: int = 12) -> bytes:
    """An image classifier: a picture of 2 x 2 pixels in, one row of scores out."""
    tensors = [
        TensorSpec("picture", (1, 2, 2, 3)),
        TensorSpec("shape", (2,), INT32, struct.pack("<2i", 1, classes)),
        TensorSpec("scores", (1, classes)),
    ]
    return model(tensors, [OperatorSpec(RESHAPE, (0, 1), (2,))], (0,), (2,))


def heads(
    size: tuple[int, int],
    outputs: Mapping[str, Sequence[int]],
    kind: int = UINT8,
    *,
    scale: float = 1 / 256,
    zero_point: int = 0,
    signature: bool = False,
) -> bytes:
    """A model of pictures of `size` (width, height) whose outputs, by name and shape, are the picture's own numbers.

    The first output has the first numbers, row by row and with the channels last, the next one those that follow.
    """
    real = {} if kind == FLOAT32 else {"scale": scale, "zero_point": zero_point}
    total = size[0] * size[1] * 3
    tensors = [
        TensorSpec("picture", (1, size[1], size[0], 3), kind, **real),  # type: ignore[arg-type]
        TensorSpec("flat shape", (1,), INT32, struct.pack("<i", total)),
        TensorSpec("flat", (total,), kind, **real),  # type: ignore[arg-type]
    ]
    operators = [OperatorSpec(RESHAPE, (0, 1), (2,))]
    ends, first = [], 0
    for name, shape in outputs.items():
        at, count = len(tensors), math.prod(shape)
        tensors += [
            TensorSpec(f"{name} begin", (1,), INT32, struct.pack("<i", first)),
            TensorSpec(f"{name} size", (1,), INT32, struct.pack("<i", count)),
            TensorSpec(f"{name} part", (count,), kind, **real),  # type: ignore[arg-type]
            TensorSpec(f"{name} shape", (len(shape),), INT32, struct.pack(f"<{len(shape)}i", *shape)),
            TensorSpec(name, shape, kind, **real),  # type: ignore[arg-type]
        ]
        operators += [
            OperatorSpec(SLICE, (2, at, at + 1), (at + 2,)),
            OperatorSpec(RESHAPE, (at + 2, at + 3), (at + 4,)),
        ]
        ends.append(at + 4)
        first += count
    names = dict(zip(outputs, ends, strict=True)) if signature else None
    return model(tensors, operators, (0,), ends, signature=names)
