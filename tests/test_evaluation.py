"""Average precision: the same figures as a plain loop, and clear words where the input is bad."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_models

from edgecam.detectors import runtime
from edgecam.detectors.tflite import TfliteDetector
from edgecam.errors import EdgecamError, InputError
from edgecam.evaluation import FIGURES, evaluate
from edgecam.labels import Labels, parse_labels
from edgecam.testing import ScriptedDetector
from edgecam.types import BBox, Detection

SSD_V1 = "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"

COCO = pytest.importorskip("pycocotools.coco", reason="the extra `eval` is not installed").COCO
COCOeval = pytest.importorskip("pycocotools.cocoeval", reason="the extra `eval` is not installed").COCOeval


def plain_loop(model: Path, images: Path, truth: Any) -> list[list[float]]:
    """What the model finds, by a loop that shares no code with edgecam but the choice of the runtime.

    Rows of picture, xmin, ymin, xmax, ymax (pixels), score, category.
    """
    interpreter = runtime.find_runtime().interpreter(model_path=str(model), num_threads=2)
    interpreter.allocate_tensors()
    where_in = interpreter.get_input_details()[0]["index"]
    where_out = [output["index"] for output in interpreter.get_output_details()]
    with zipfile.ZipFile(model) as archive:
        names = archive.read("labelmap.txt").decode().split("\n")
    category_of = {category["name"]: category["id"] for category in truth.dataset["categories"]}
    rows = []
    for entry in truth.dataset["images"]:
        picture = cv2.imread(str(images / entry["file_name"]))
        assert picture is not None
        small = cv2.cvtColor(cv2.resize(picture, (300, 300)), cv2.COLOR_BGR2RGB)
        interpreter.set_tensor(where_in, small[None])
        interpreter.invoke()
        boxes, classes, scores, count = (interpreter.get_tensor(index)[0] for index in where_out)
        for row in range(int(count)):
            name = names[int(classes[row])]
            if name in category_of:
                top, left, bottom, right = boxes[row] * np.tile([entry["height"], entry["width"]], 2)
                rows.append([entry["id"], left, top, right, bottom, scores[row], category_of[name]])
    return rows


def judged(truth: Any, rows: list[list[float]], *, cut: bool) -> list[float]:
    """COCO's six figures for rows of `plain_loop`, with boxes as they are or cut at the picture's edges."""
    size_of = {entry["id"]: (entry["width"], entry["height"]) for entry in truth.dataset["images"]}
    results = []
    for number, *edges, score, category in rows:
        limits = np.tile(size_of[int(number)], 2)
        left, top, right, bottom = np.clip(edges, 0, limits) if cut else edges
        results.append([number, left, top, right - left, bottom - top, score, category])
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(truth, truth.loadRes(np.array(results, np.float64)), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return list(judge.stats[:6])


@pytest.mark.timeout(900)
def test_the_real_coco_model_scores_as_in_a_plain_loop(assets: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, coco = assets / "models" / SSD_V1, assets / "images" / "coco_val"
    done: list[int] = []
    with TfliteDetector(model, threads=2) as detector:
        figures = evaluate(detector, coco / "images", coco / "instances.json", progress=done.append)
    assert capfd.readouterr().out == ""
    truth = COCO(str(coco / "instances.json"))
    rows = plain_loop(model, coco / "images", truth)
    assert list(figures) == [*FIGURES, "images"]
    assert figures["AP"] == pytest.approx(judged(truth, rows, cut=False)[0], abs=0.002)
    # Boxes cut at the picture's edges move some figures further than that: here the plain loop cuts them, too.
    assert [figures[name] for name in FIGURES] == pytest.approx(judged(truth, rows, cut=True), abs=0.0005)
    assert figures["AP"] > 0.2
    assert figures["images"] == sum(done) == len(truth.dataset["images"])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with two pictures of 200 x 100 pixels."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), np.zeros((100, 200, 3), np.uint8))
    return folder


TRUTH: dict[str, Any] = {
    "images": [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "b.png"}],
    "categories": [{"id": 3, "name": "Hot-Dog"}, {"id": 44, "name": "cat"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 3, "bbox": [20, 10, 100, 50], "area": 5000, "iscrowd": 0},
        {"id": 2, "image_id": 9, "category_id": 44, "bbox": [0, 0, 20, 20], "area": 400, "iscrowd": 0},
    ],
}


def write_truth(folder: Path, truth: Any) -> Path:
    path = folder / "truth.json"
    path.write_text(json.dumps(truth))
    return path


HOT_DOG = Detection("hot_dog", 0.9, BBox(0.1, 0.1, 0.6, 0.6))
CAT = Detection("cat", 0.1, BBox(0.0, 0.0, 0.1, 0.2))
BIRD = Detection("bird", 0.99, BBox(0.0, 0.0, 0.1, 0.2))


@pytest.mark.parametrize(
    ("script", "figures"),
    [
        ([[HOT_DOG], [BIRD, CAT]], {"AP": 1, "AP_small": 1, "AP_medium": 1, "AP_large": -1}),
        ([[HOT_DOG], [BIRD]], {"AP": 0.5, "AP_small": 0, "AP_medium": 1, "AP_large": -1}),
        ([[], []], {"AP": 0, "AP_small": 0, "AP_medium": 0, "AP_large": -1}),
    ],
)
def test_figures_of_known_detections(
    tmp_path: Path, pictures: Path, script: list[list[Detection]], figures: dict[str, float]
) -> None:
    found = evaluate(ScriptedDetector(script), pictures, write_truth(tmp_path, TRUTH))
    assert {name: found[name] for name in figures} == pytest.approx(figures)
    assert found["images"] == 2


def test_only_categories_that_the_detector_knows_are_counted(tmp_path: Path, pictures: Path) -> None:
    class KnowsCats(ScriptedDetector):
        @property
        def labels(self) -> Labels:
            return parse_labels(b"cat", "labels")

    truth = write_truth(tmp_path, TRUTH)
    assert evaluate(KnowsCats([[], [CAT]]), pictures, truth)["AP"] == pytest.approx(1)
    other = {**TRUTH, "categories": [{"id": 3, "name": "cow"}, {"id": 44, "name": "pig"}]}
    with pytest.raises(InputError, match=r"not one category is among the model's labels \(cat"):
        evaluate(KnowsCats(), pictures, write_truth(tmp_path, other))


def test_pictures_may_lie_in_a_folder_below(tmp_path: Path, pictures: Path) -> None:
    pictures.rename(tmp_path / "images")
    assert evaluate(ScriptedDetector([[HOT_DOG], [CAT]]), tmp_path, write_truth(tmp_path, TRUTH))["images"] == 2


def test_missing_pictures_are_counted_and_the_first_is_named(tmp_path: Path, pictures: Path) -> None:
    (pictures / "b.png").unlink()
    with pytest.raises(InputError, match=r"1 of 2 pictures .*truth.json names are missing, b.png first"):
        evaluate(ScriptedDetector(), pictures, write_truth(tmp_path, TRUTH))
    with pytest.raises(InputError, match="no such folder"):
        evaluate(ScriptedDetector(), tmp_path / "absent", write_truth(tmp_path, TRUTH))


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_broken_picture_is_named(tmp_path: Path, pictures: Path, content: bytes) -> None:
    (pictures / "b.png").write_bytes(content)
    with pytest.raises(InputError, match=r"b\.png: not a readable picture"):
        evaluate(ScriptedDetector(), pictures, write_truth(tmp_path, TRUTH))


@pytest.mark.parametrize(
    ("truth", "what"),
    [
        ([], "its 'images' must be a list"),
        ({}, "its 'images' must be a list"),
        ({**TRUTH, "images": []}, "no pictures in it"),
        ({**TRUTH, "images": [{"id": 1}]}, "its 'images' must be a list with file_name, id"),
        ({**TRUTH, "annotations": [{"id": 1, "image_id": 7}]}, "its 'annotations' must be a list with area, bbox"),
        ({**TRUTH, "categories": "cats"}, "its 'categories' must be a list with id, name"),
    ],
)
def test_annotations_in_another_form_are_refused(tmp_path: Path, pictures: Path, truth: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        evaluate(ScriptedDetector(), pictures, write_truth(tmp_path, truth))


def test_annotations_that_cannot_be_read_are_refused(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        evaluate(ScriptedDetector(), pictures, tmp_path / "absent.json")
    (tmp_path / "text.json").write_text("person, car")
    with pytest.raises(InputError, match="not JSON"):
        evaluate(ScriptedDetector(), pictures, tmp_path / "text.json")


def test_without_pycocotools_the_remedy_is_named(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(EdgecamError, match=r"pip install 'edgecam\[eval\]'"):
        evaluate(ScriptedDetector(), pictures, write_truth(tmp_path, TRUTH))


def test_a_detector_without_labels_shares_no_category(tmp_path: Path, pictures: Path) -> None:
    model = tmp_path / "tiny.tflite"
    model.write_bytes(tiny_models.detector())
    with TfliteDetector(model) as detector, pytest.raises(InputError, match="give its labels"):
        evaluate(detector, pictures, write_truth(tmp_path, TRUTH))
