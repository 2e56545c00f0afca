"""From Keras to TFLite: the post-process operation, post-training quantisation, and the classic outputs."""

from __future__ import annotations

from collections.abc import Sequence

import flatbuffers
import tensorflow as tf
import tf_keras as keras
from conversion.quantising import Numbers, converted, measured_on
from tensorflow.lite.python import schema_py_generated as schema

from training.anchors import AnchorGrid
from training.shards import Picture

OPERATION = "TFLite_Detection_PostProcess"
INPUT_NAME = "normalized_input_image_tensor"
MAX_DETECTIONS = 20
SCORE_THRESHOLD = 0.2
NMS_IOU = 0.55


def post_process_signature(labels: int, score_threshold: float) -> str:
    """What the converter must know of the custom operation, as a FunctionAttr in protobuf text."""
    attributes = {
        "max_detections": f"i: {MAX_DETECTIONS}",
        "max_classes_per_detection": "i: 1",
        "detections_per_class": "i: 100",
        # The regular one, on T threads, fewer than there are labels, loses label T.
        "use_regular_nms": "b: false",
        "nms_score_threshold": f"f: {score_threshold}",
        "nms_iou_threshold": f"f: {NMS_IOU}",
        "num_classes": f"i: {labels}",
        "y_scale": "f: 10.0",
        "x_scale": "f: 10.0",
        "h_scale": "f: 5.0",
        "w_scale": "f: 5.0",
    }
    text = " ".join(f'attr {{ key: "{key}" value {{ {value} }} }}' for key, value in attributes.items())
    return f'name: "{OPERATION}" {text}'


class Detector(tf.Module):
    """The network with sigmoid and post-processing, for one picture."""

    def __init__(
        self, model: keras.Model, grid: AnchorGrid, labels: int, score_threshold: float = SCORE_THRESHOLD
    ) -> None:
        super().__init__()
        self._model = model
        self._anchors = grid.centers

        def four_outputs(box_encodings: tf.Tensor, class_predictions: tf.Tensor, anchors: tf.Tensor) -> object:  # noqa: ARG001
            nothing = tf.constant(0.0)
            return nothing, nothing + 0, nothing + 0, nothing + 0

        four_outputs.__name__ = OPERATION
        signature = post_process_signature(labels, score_threshold)
        self._post_process = tf.function(four_outputs, experimental_implements=signature)
        picture = tf.TensorSpec([1, *model.input_shape[1:]], tf.float32, name=INPUT_NAME)
        self.function = tf.function(self._detect, input_signature=[picture])

    def _detect(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        boxes, logits = self._model(image, training=False)
        boxes = tf.identity(boxes, "raw_outputs/box_encodings")
        scores = tf.identity(tf.sigmoid(logits), "raw_outputs/class_predictions")
        found = self._post_process(boxes, scores, tf.constant(self._anchors))
        return {f"output_{index}": value for index, value in enumerate(found)}


def with_classic_outputs(model: bytes) -> bytes:
    """The model with its outputs in the operation's own order, under the names that the classic tool gave them.

    The converter orders outputs by signature; readers of TensorFlow 1 models (libcoral, pycoral) go by position.
    """
    content = schema.ModelT.InitFromPackedBuf(model, 0)
    graph = content.subgraphs[0]
    codes = [code.customCode for code in content.operatorCodes]
    (operator,) = (op for op in graph.operators if codes[op.opcodeIndex] == OPERATION.encode())
    graph.outputs = list(operator.outputs)
    for index, tensor in enumerate(operator.outputs):
        graph.tensors[tensor].name = OPERATION + (f":{index}" if index else "")
    graph.tensors[graph.inputs[0]].name = INPUT_NAME
    content.signatureDefs = None
    builder = flatbuffers.Builder(1024)
    builder.Finish(content.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def to_tflite(detector: Detector, calibration: Sequence[Picture] | None) -> bytes:
    """Convert; with calibration pictures to uint8 in and integers throughout, without them in float."""
    function = detector.function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], detector)
    if calibration is None:
        return with_classic_outputs(converted(converter, "the network"))
    inputs = measured_on(calibration, mean=128, std=128)
    return with_classic_outputs(converted(converter, "the network", Numbers.uint8, inputs, float_outputs=True))
