"""The bundled model is what its card says: small, uint8 in, integers throughout, the classic four outputs."""

from __future__ import annotations

import hashlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecam.scenes import LABELS, Scene
from edgecam.types import BBox

MODELS = Path(__file__).resolve().parent.parent / "models"
MODEL = MODELS / "edgecam_demo.tflite"
RUNTIMES = [name for name in ("ai_edge_litert", "tflite_runtime") if find_spec(name)]
OUTPUTS = ["TFLite_Detection_PostProcess" + suffix for suffix in ("", ":1", ":2", ":3")]
AROUND_THE_INTEGERS = {"DEQUANTIZE", "TFLite_Detection_PostProcess"}


@pytest.fixture(params=RUNTIMES)
def interpreter(request: pytest.FixtureRequest) -> Any:
    """The model in each runtime that is installed, without delegates, so that its own operations show."""
    runtime = import_module(f"{request.param}.interpreter")
    plain = runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    loaded = runtime.Interpreter(model_path=str(MODEL), experimental_op_resolver_type=plain)
    loaded.allocate_tensors()
    return loaded


def detect(interpreter: Any, image: np.ndarray[Any, np.dtype[np.uint8]]) -> list[tuple[str, BBox, float]]:
    """Labels, boxes and scores of what the model sees in a picture of its input's size."""
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    boxes, labels, scores, count = (interpreter.get_tensor(out["index"]) for out in interpreter.get_output_details())
    return [
        (LABELS[int(labels[0, k])], BBox(*map(float, boxes[0, k][[1, 0, 3, 2]])), float(scores[0, k]))
        for k in range(int(count[0]))
    ]


def test_it_is_small() -> None:
    assert MODEL.stat().st_size <= 1_500_000


def test_its_labels_are_those_of_the_renderer() -> None:
    assert MODEL.with_suffix(".txt").read_text().split() == list(LABELS)


def test_the_card_speaks_of_this_very_file() -> None:
    assert hashlib.sha256(MODEL.read_bytes()).hexdigest() in MODEL.with_suffix(".md").read_text()


def test_input_is_bytes_of_any_camera(interpreter: Any) -> None:
    (source,) = interpreter.get_input_details()
    assert source["name"] == "normalized_input_image_tensor"
    assert source["dtype"] is np.uint8
    assert source["shape"].tolist() == [1, 192, 320, 3]
    assert source["quantization"] == (1 / 128, 128)


def test_outputs_come_in_the_classic_order(interpreter: Any) -> None:
    outputs = interpreter.get_output_details()
    assert [out["name"] for out in outputs] == OUTPUTS
    assert [out["dtype"] for out in outputs] == [np.float32] * 4
    assert not interpreter.get_signature_list()


def test_everything_before_the_post_process_is_integer(interpreter: Any) -> None:
    types = {tensor["index"]: np.dtype(tensor["dtype"]) for tensor in interpreter.get_tensor_details()}
    for operation in interpreter._get_ops_details():
        if operation["op_name"] not in AROUND_THE_INTEGERS:
            used = {types[int(k)] for k in (*operation["inputs"], *operation["outputs"]) if int(k) in types}
            assert used <= {np.dtype(name) for name in ("uint8", "int8", "int32")}, operation["op_name"]


def test_it_finds_what_the_renderer_drew(interpreter: Any) -> None:
    hits, alarms, objects = 0, 0, 0
    for seed in range(1_000_000, 1_000_012):
        view = Scene(seed, width=640, height=360).render(4.0)
        picture = np.asarray(cv2.resize(view.image, (320, 192), interpolation=cv2.INTER_AREA), np.uint8)
        found = [(label, box) for label, box, score in detect(interpreter, picture) if score >= 0.5]
        plain = [thing for thing in view.objects if not thing.difficult]
        objects += len(plain)
        hits += sum(any(label == thing.label and box.iou(thing.bbox) >= 0.5 for label, box in found) for thing in plain)
        alarms += sum(all(box.iou(thing.bbox) < 0.5 for thing in view.objects) for _, box in found)
    assert objects > 20
    assert hits >= 0.9 * objects
    assert alarms <= 0.1 * objects
