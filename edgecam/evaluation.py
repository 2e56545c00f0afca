"""How good is a detector? COCO average precision on annotated pictures, by pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.errors import EdgecamError, InputError
from edgecam.labels import Labels
from edgecam.ports import Detector
from edgecam.types import Detection

#: The first six figures of pycocotools' summary, in its order.
FIGURES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")


@runtime_checkable
class _KnowsItsLabels(Protocol):
    @property
    def labels(self) -> Labels | None: ...


def evaluate(
    detector: Detector, images: Path, annotations: Path, *, progress: Callable[[int], None] = lambda _done: None
) -> dict[str, float | int]:
    """COCO average precision of an open detector: AP, AP50, AP75, AP_small, AP_medium, AP_large, and `images`.

    Every candidate counts, whatever its score. `annotations` is a file in COCO's format; the pictures it names are read
    from the folder `images`, or from a folder `images` in it; others there are left alone. Labels and categories meet
    by name, and only categories that the detector knows are counted, where it says which. A figure for which there is
    nothing to find is -1. `progress` is called with each further number of pictures done.

    Raises InputError for missing or broken pictures or annotations, EdgecamError where pycocotools is not installed.
    """
    coco_class, evaluation_class = _pycocotools()
    truth = _read_annotations(annotations)
    paths = _find_pictures(truth, images, annotations)
    categories = _shared_categories(truth, detector, annotations)
    found: list[dict[str, Any]] = []
    for entry, path in zip(truth["images"], paths, strict=True):
        picture = _read_picture(path)
        found += _results(detector.detect(picture), entry["id"], picture.shape, categories)
        progress(1)
    for number, result in enumerate(found, start=1):
        result["id"] = number
    stats = _average_precision(coco_class, evaluation_class, truth, found, sorted(set(categories.values())))
    return dict(zip(FIGURES, stats, strict=True)) | {"images": len(paths)}


def _pycocotools() -> tuple[Any, Any]:
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise EdgecamError("evaluation needs pycocotools: pip install 'edgecam[eval]'") from error
    return COCO, COCOeval


def _read_annotations(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): give a file of COCO annotations") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON: give a file of COCO annotations") from error
    wanted = {
        "images": {"id", "file_name"},
        "annotations": {"image_id", "category_id", "bbox", "area", "iscrowd", "id"},
        "categories": {"id", "name"},
    }
    for key, fields in wanted.items():
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict) and fields <= set(entry) for entry in entries
        ):
            raise InputError(
                f"{path}: no COCO annotations: its {key!r} must be a list with {', '.join(sorted(fields))}"
            )
    if not content["images"]:
        raise InputError(f"{path}: no pictures in it: give a file of COCO annotations")
    return dict(content)


def _find_pictures(truth: dict[str, Any], images: Path, annotations: Path) -> list[Path]:
    if not images.is_dir():
        raise InputError(f"{images}: no such folder: give the folder with the pictures that {annotations} names")
    names = [str(entry["file_name"]) for entry in truth["images"]]
    folder = images if (images / names[0]).is_file() or not (images / "images").is_dir() else images / "images"
    paths = [folder / name for name in names]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{folder}: {len(missing)} of {len(paths)} pictures that {annotations} names are missing,"
            f" {missing[0].name} first: give the folder with all of them"
        )
    return paths


def _shared_categories(truth: dict[str, Any], detector: Detector, annotations: Path) -> dict[str, int]:
    """Category ids by normalised name, those the detector knows."""
    categories = {_normalised(category["name"]): int(category["id"]) for category in truth["categories"]}
    labels = detector.labels if isinstance(detector, _KnowsItsLabels) else None
    if labels is not None:
        known = {_normalised(name) for name in labels.known()}
        categories = {name: number for name, number in categories.items() if name in known}
        if not categories:
            some = ", ".join(sorted(known)[:3]) or "none"
            raise InputError(f"{annotations}: not one category is among the model's labels ({some} …): give its labels")
    return categories


def _normalised(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def _read_picture(path: Path) -> NDArray[np.uint8]:
    """RGB, uint8 [h, w, 3], as stored: annotations do not know EXIF's rotation. Raises InputError."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): check the file's permissions") from error
    picture = cv2.imdecode(content, flags) if content.size else None
    if picture is None:
        raise InputError(f"{path}: not a readable picture: replace it or take it out of the annotations")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _results(
    detections: list[Detection], image_id: int, shape: tuple[int, ...], categories: dict[str, int]
) -> list[dict[str, Any]]:
    """Detections in COCO's form: boxes are x, y, width, height in pixels."""
    height, width = shape[:2]
    results = []
    for found in detections:
        category = categories.get(_normalised(found.label))
        if category is not None:
            box = found.bbox
            corner_and_size = [box.xmin * width, box.ymin * height, box.width * width, box.height * height]
            area = corner_and_size[2] * corner_and_size[3]
            results.append(
                {"image_id": image_id, "category_id": category, "score": found.score, "bbox": corner_and_size}
                | {"area": area, "iscrowd": 0}
            )
    return results


def _average_precision(
    coco_class: Any, evaluation_class: Any, truth: dict[str, Any], found: list[dict[str, Any]], categories: list[int]
) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        wanted = _indexed(coco_class, truth)
        evaluation = evaluation_class(wanted, _indexed(coco_class, truth | {"annotations": found}), "bbox")
        evaluation.params.catIds = categories
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(figure) for figure in evaluation.stats[: len(FIGURES)]]


def _indexed(coco_class: Any, dataset: dict[str, Any]) -> Any:
    coco = coco_class()
    coco.dataset = dataset
    coco.createIndex()
    return coco
