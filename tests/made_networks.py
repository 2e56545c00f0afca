"""Tiny networks in the forms that detectors are published in, made here; they need TensorFlow, or ONNX.

All but NanoDet's see the same: a bright part of the picture is class 0, a red one class 1, each a box around the part.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE, PARTS = 64, 8
OPERATION = "TFLite_Detection_PostProcess"
INPUT = "normalized_input_image_tensor"
#: In the order of the operation's attributes in a frozen graph of the Object Detection API.
OPTIONS: dict[str, bool | int | float] = {
    "max_detections": 5,
    "max_classes_per_detection": 1,
    "detections_per_class": 100,
    "num_classes": 2,
    "use_regular_nms": False,
    "nms_score_threshold": 0.1,
    "nms_iou_threshold": 0.6,
    "y_scale": 10.0,
    "x_scale": 10.0,
    "h_scale": 5.0,
    "w_scale": 5.0,
}


def anchors() -> NDArray[np.float32]:
    """One for each part of the picture, as y, x, height, width."""
    centers = (np.arange(PARTS, dtype=np.float32) + 0.5) / PARTS
    y, x = (axis.ravel() for axis in np.meshgrid(centers, centers, indexing="ij"))
    return np.stack([y, x, np.full_like(y, 1 / PARTS), np.full_like(y, 1 / PARTS)], 1)


def class_kernel() -> NDArray[np.float32]:
    """Logits [background, bright, red] of a part of 8 x 8 pixels with values -1 to 1."""
    kernel = np.zeros((PARTS, PARTS, 3, 3), np.float32)
    kernel[..., 1] = 8 / 3
    kernel[:, :, 0, 2], kernel[:, :, 1, 2], kernel[:, :, 2, 2] = 4, -2, -2
    return np.asarray(kernel / PARTS**2, np.float32)


CLASS_BIAS = np.array([-8, -3, -4], np.float32)


def box_kernel() -> NDArray[np.float32]:
    """Codes of boxes that are their anchors, but for next to nothing."""
    return np.full((PARTS, PARTS, 3, 4), 1e-6, np.float32)


def picture(bright: tuple[int, int], red: tuple[int, int]) -> NDArray[np.uint8]:
    """A black RGB picture with a bright and a red part, each given by row and column."""
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    for (row, column), colour in ((bright, (255, 255, 255)), (red, (255, 0, 0))):
        image[row * PARTS : (row + 1) * PARTS, column * PARTS : (column + 1) * PARTS] = colour
    return image


def heads(tf: Any, image: Any, *, fake_quant: bool) -> tuple[Any, Any]:
    """Box codes [1, 64, 4] and scores [1, 64, 3] of a picture with values -1 to 1."""

    def limited(value: Any, least: float, greatest: float) -> Any:
        return tf.quantization.fake_quant_with_min_max_args(value, least, greatest) if fake_quant else value

    def convolved(kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> Any:
        bound = float(abs(kernel).max())
        weights = tf.constant(kernel)
        if fake_quant:
            weights = tf.quantization.fake_quant_with_min_max_args(weights, -bound, bound, narrow_range=True)
        return limited(tf.nn.bias_add(tf.nn.conv2d(seen, weights, PARTS, "VALID"), bias), -16.0, 15.875)

    seen = limited(image, -1.0, 127 / 128)
    codes = tf.reshape(convolved(box_kernel(), np.zeros(4, np.float32)), [1, PARTS**2, 4])
    scores = tf.sigmoid(tf.reshape(convolved(class_kernel(), CLASS_BIAS), [1, PARTS**2, 3]))
    return codes, limited(scores, 0.0, 255 / 256)


def frozen_graph(path: Path, *, fake_quant: bool = True) -> None:
    """A tflite_graph.pb as export_tflite_ssd_graph.py writes it."""
    tf = import_module("tensorflow")
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [1, SIZE, SIZE, 3], name=INPUT)
        codes, scores = heads(tf, image, fake_quant=fake_quant)
        tf.identity(codes, "raw_outputs/box_encodings")
        tf.identity(scores, "raw_outputs/class_predictions")
        tf.constant(anchors(), name="anchors")
    content = graph.as_graph_def()
    node = content.node.add(name=OPERATION, op=OPERATION)
    node.input.extend(["raw_outputs/box_encodings", "raw_outputs/class_predictions", "anchors"])
    node.attr["_output_types"].list.type.extend([tf.float32.as_datatype_enum] * 4)
    for name in ("_output_quantized", "_support_output_type_float_in_quantized_op"):
        node.attr[name].b = True
    for name, value in OPTIONS.items():
        setattr(node.attr[name], {bool: "b", int: "i", float: "f"}[type(value)], value)
    path.write_bytes(content.SerializeToString())


def saved_model(folder: Path) -> None:
    """A SavedModel as export_tflite_graph_tf2.py writes it, its four outputs in the other order."""
    tf = import_module("tensorflow")
    kinds = {bool: "b: {}", int: "i: {}", float: "f: {}"}
    attributes = " ".join(
        f'attr {{ key: "{name}" value {{ {kinds[type(value)].format(str(value).lower())} }} }}'
        for name, value in OPTIONS.items()
    )

    def four_outputs(codes: Any, scores: Any, places: Any) -> Any:
        nothing = tf.constant(0.0)
        return nothing, nothing + 0, nothing + 0, nothing + 0

    four_outputs.__name__ = OPERATION
    operation = tf.function(four_outputs, experimental_implements=f'name: "{OPERATION}" {attributes}')

    def detect(image: Any) -> Any:
        codes, scores = heads(tf, image, fake_quant=False)
        found = operation(tf.identity(codes), tf.identity(scores), tf.constant(anchors()))
        return {f"output_{3 - number}": value for number, value in enumerate(found)}

    spec = tf.TensorSpec([1, SIZE, SIZE, 3], tf.float32, name="input")
    module = tf.Module()
    module.detect = tf.function(detect, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(folder), signatures=module.detect.get_concrete_function())


def raw_graph(*, fused: bool) -> Any:
    """A tf.GraphDef of the two heads alone; `fused` as TensorFlow.js' exporter leaves convolutions."""
    tf = import_module("tensorflow")
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [1, SIZE, SIZE, 3], name="image")
        for name, kernel, bias in (
            ("boxes", box_kernel(), np.zeros(4, np.float32)),
            ("scores", class_kernel(), CLASS_BIAS),
        ):
            weights, offset = tf.constant(kernel, name=f"{name}/kernel"), tf.constant(bias, name=f"{name}/bias")
            convolved = tf.nn.conv2d(image, weights, PARTS, "VALID", name=f"{name}/convolution")
            found = tf.nn.bias_add(convolved, offset, name=f"{name}/biased")
            flat = tf.reshape(found, [1, PARTS**2, kernel.shape[3]], name=f"{name}/flat")
            tf.identity(tf.sigmoid(flat) if name == "scores" else flat, name=name)
    content = graph.as_graph_def()
    return _fused(content) if fused else content


def _fused(content: Any) -> Any:
    """The graph with each convolution and its bias in one operation."""
    by_name = {node.name: node for node in content.node}
    for node in list(content.node):
        if node.op != "BiasAdd":
            continue
        start = by_name[node.input[0]]
        inputs = [*start.input, node.input[1]]
        node.op = "_FusedConv2D"
        del node.input[:]
        node.input.extend(inputs)
        for key, value in start.attr.items():
            node.attr[key].CopyFrom(value)
        node.attr["fused_ops"].list.s.append(b"BiasAdd")
        node.attr["num_args"].i = 1
        content.node.remove(start)
    return content


def tfjs_model(path: Path, content: Any, outputs: Sequence[str], *, shards: int = 1, weight_bytes: int = 4) -> None:
    """A TensorFlow.js graph model of a tf.GraphDef, its floats in one, two or four bytes each."""
    tf = import_module("tensorflow")
    json_format = import_module("google.protobuf.json_format")
    weights, data = [], b""
    for node in content.node:
        if node.op == "Const":
            entry, stored = _stored(node.name, tf.make_ndarray(node.attr["value"].tensor), weight_bytes)
            weights.append(entry)
            data += stored
            node.attr["value"].Clear()
    topology = json_format.MessageToDict(content, preserving_proto_field_name=True)
    step = -(-len(data) // shards)
    names = [f"group1-shard{number + 1}of{shards}.bin" for number in range(shards)]
    for number, name in enumerate(names):
        path.with_name(name).write_bytes(data[number * step : (number + 1) * step])
    signature = {"inputs": {"image:0": {"name": "image:0"}}, "outputs": {name: {"name": name} for name in outputs}}
    document = {"format": "graph-model", "signature": signature, "modelTopology": topology}
    path.write_text(json.dumps(document | {"weightsManifest": [{"paths": names, "weights": weights}]}))


def _stored(name: str, value: NDArray[Any], weight_bytes: int) -> tuple[dict[str, Any], bytes]:
    entry = {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}
    if value.dtype != np.float32 or weight_bytes == 4:
        return entry, value.tobytes()
    if weight_bytes == 2:
        return entry | {"quantization": {"dtype": "float16"}}, value.astype(np.float16).tobytes()
    least, span = float(value.min()), float(value.max() - value.min())
    scale = span / 255 or 1.0
    coded = {"dtype": "uint8", "scale": scale, "min": least}
    return entry | {"quantization": coded}, np.rint((value - least) / scale).astype(np.uint8).tobytes()


def nanodet_onnx(path: Path, size: int = 64, bins: int = 11, classes: int = 3) -> None:
    """A NanoDet of NanoDet-Plus' form with random weights: four strides, one joined output, as PyTorch exports it."""
    onnx = import_module("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    random = np.random.default_rng(7)
    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(name: str, value: NDArray[Any]) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    def convolution(
        source: str, name: str, ends: tuple[int, int], side: int = 3, stride: int = 1, group: int = 1
    ) -> str:
        into, out = ends
        kernel = random.normal(0, (2 / (side * side * into / group)) ** 0.5, (out, into // group, side, side))
        given = [source, constant(f"{name}.w", kernel.astype(np.float32))]
        given.append(constant(f"{name}.b", random.normal(0, 0.1, out).astype(np.float32)))
        frame = {"strides": [stride, stride], "pads": [side // 2] * 4, "kernel_shape": [side, side], "group": group}
        nodes.append(helper.make_node("Conv", given, [name], name, **frame))
        return name

    def plain(kind: str, sources: Sequence[str], name: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, list(sources), [name], name, **attributes))
        return name

    stem = plain("LeakyRelu", [convolution("image", "stem", (3, 8), stride=2)], "stem.a", alpha=0.1)
    seen = plain("MaxPool", [stem], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    joined = plain("Concat", [seen, convolution(seen, "side", (8, 8), group=8)], "pair", axis=1)
    grouped = plain("Reshape", [joined, constant("apart", np.array([1, 2, 8, 16, 16], np.int64))], "grouped")
    swapped = plain("Transpose", [grouped], "swapped", perm=[0, 2, 1, 3, 4])
    seen = plain("Reshape", [swapped, constant("together", np.array([1, -1, 16, 16], np.int64))], "shuffled")
    nodes.append(
        helper.make_node(
            "Split", [seen, constant("halves", np.array([8, 8], np.int64))], ["left", "right"], "split", axis=1
        )
    )
    level, features = plain("Concat", ["left", convolution("right", "half", (8, 8), 1)], "whole", axis=1), []
    for stride in (8, 16, 32, 64):
        level = plain(
            "LeakyRelu",
            [convolution(level, f"down{stride}", (16 if level == "whole" else 8, 8), stride=2)],
            f"down{stride}.a",
            alpha=0.1,
        )
        features.append(level)
    scales = constant("scales", np.array([1, 1, 2, 2], np.float32))
    up = plain("Resize", [features[1], "", scales], "up", mode="linear", coordinate_transformation_mode="half_pixel")
    features[0] = plain("Add", [features[0], up], "merged")
    flat = []
    for number, feature in enumerate(features):
        scores = plain("Sigmoid", [convolution(feature, f"cls{number}", (8, classes), 1)], f"cls{number}.s")
        boxes = convolution(feature, f"reg{number}", (8, 4 * bins), 1)
        pair = plain("Concat", [scores, boxes], f"level{number}", axis=1)
        flat.append(
            plain(
                "Reshape",
                [pair, constant(f"flat{number}", np.array([1, classes + 4 * bins, -1], np.int64))],
                f"f{number}",
            )
        )
    plain("Transpose", [plain("Concat", flat, "all", axis=2)], "output", perm=[0, 2, 1])
    value = helper.make_tensor_value_info
    ends = [value("image", 1, [1, 3, size, size])], [value("output", 1, ["one", "places", "numbers"])]
    graph = helper.make_graph(nodes, "nanodet", *ends, initializer=constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
