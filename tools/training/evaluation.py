"""How good a .tflite file is: it runs itself, on whichever runtime there is, and COCO's metric judges."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from training.shards import Picture, Shard

RUNTIMES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "tensorflow": "tensorflow.lite.python.interpreter",
}
Found = tuple[float, float, float, float, int, float]  # xmin, ymin, xmax, ymax, label, score


def open_runtime() -> tuple[str, Any]:
    """The name with version and the Interpreter class of the first runtime that is installed."""
    for package, module in RUNTIMES.items():
        with contextlib.suppress(ImportError):
            version = metadata.version(package.replace("tensorflow", "tensorflow-cpu"))
            return f"{package} {version}", import_module(module).Interpreter
    raise SystemExit(f"No runtime found; install one of {', '.join(RUNTIMES)}")


def detect_with(model: Path) -> Callable[[Picture], list[Found]]:
    """A function that runs the model on one RGB picture of its input's size."""
    interpreter = open_runtime()[1](model_path=str(model), num_threads=2)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    outputs = [item["index"] for item in interpreter.get_output_details()]

    def detect(image: Picture) -> list[Found]:
        pixels = image if source["dtype"] == np.uint8 else (image.astype(np.float32) - 128) / 128
        interpreter.set_tensor(source["index"], pixels[None])
        interpreter.invoke()
        boxes, labels, scores, count = (interpreter.get_tensor(index) for index in outputs)
        return [
            (*(float(edge) for edge in boxes[0, k][[1, 0, 3, 2]]), int(labels[0, k]), float(scores[0, k]))  # type: ignore[misc]
            for k in range(int(count[0]))
        ]

    return detect


def average_precision(found: Iterable[list[Found]], truth: Shard, labels: list[str]) -> dict[str, float]:
    """COCO's AP, AP50 and AP75 over all labels, and per label; difficult objects count neither way."""
    truths, results = COCO(), []
    rows, columns = truth.images.shape[1:3]
    scale = np.array([columns, rows, columns, rows])
    notes: list[dict[str, Any]] = []
    for image, boxes in enumerate(truth.boxes):
        for box in boxes:
            corners = (box[:4] * scale).tolist()
            size = [corners[2] - corners[0], corners[3] - corners[1]]
            notes.append({"id": len(notes) + 1, "image_id": image, "category_id": int(box[4]), "iscrowd": int(box[5]),
                          "bbox": corners[:2] + size, "area": size[0] * size[1]})  # fmt: skip
    truths.dataset = {"images": [{"id": k} for k in range(len(truth.boxes))], "annotations": notes,
                      "categories": [{"id": k, "name": name} for k, name in enumerate(labels)]}  # fmt: skip
    for image, items in enumerate(found):
        for xmin, ymin, xmax, ymax, label, score in items:
            box = (np.array([xmin, ymin, xmax - xmin, ymax - ymin]) * scale).tolist()
            results.append({"image_id": image, "category_id": label, "bbox": box, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truths.createIndex()
        judge = COCOeval(truths, truths.loadRes(results) if results else COCO(), "bbox")
        judge.evaluate()
        judge.accumulate()
    return summary(judge.eval["precision"], labels)


def summary(precision: np.ndarray[Any, np.dtype[Any]], labels: list[str]) -> dict[str, float]:
    """COCO's precision table [IoU, recall, label, area, detections] as named averages."""
    table = precision[:, :, :, 0, -1]
    figures = {"AP": float(table.mean()), "AP50": float(table[0].mean()), "AP75": float(table[5].mean())}
    for k, label in enumerate(labels):
        figures |= {f"AP50_{label}": float(table[0, :, k].mean()), f"AP75_{label}": float(table[5, :, k].mean())}
    return {name: round(value, 4) for name, value in figures.items()}


def evaluate(model: Path, truth: Shard, labels: list[str], tick: Callable[[], None] = lambda: None) -> dict[str, float]:
    """Run the model on every picture of the shard and judge it."""
    detect = detect_with(model)

    def results() -> Iterable[list[Found]]:
        for image in truth.images:
            yield detect(np.ascontiguousarray(image))
            tick()

    return average_precision(results(), truth, labels)
