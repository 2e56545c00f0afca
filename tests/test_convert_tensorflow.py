"""tools/convert where TensorFlow is: every published form to a model that edgecam takes, tiny ones made here."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_networks import (
    OPERATION,
    PARTS,
    SIZE,
    frozen_graph,
    nanodet_onnx,
    picture,
    raw_graph,
    saved_model,
    tfjs_model,
)
from numpy.typing import NDArray

from edgecam.detectors.tflite import TfliteDetector
from edgecam.modelfile import ModelFile

if find_spec("tensorflow") is None:
    pytest.skip("TensorFlow is not installed: docs/converting.md, Tests", allow_module_level=True)

pytestmark = [pytest.mark.any_runtime, pytest.mark.filterwarnings("ignore")]
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
command_line, quantising, nanodet = (
    import_module(f"conversion.{name}") for name in ("__main__", "quantising", "nanodet")
)
litert = import_module("ai_edge_litert.interpreter")

BRIGHT, RED = (2, 3), (6, 1)
#: How the heads of `raw_graph` are read.
HEADS = {
    "scores": "sigmoid",
    "anchors": {
        "kind": "ssd",
        "feature_maps": [[PARTS, PARTS]],
        "scales": [1 / PARTS],
        "aspect_ratios": [1.0],
        "interpolated_scale_aspect_ratio": 0,
        "reduce_boxes_in_lowest_layer": False,
    },
}


def outputs(path: Path, image: NDArray[Any]) -> list[NDArray[Any]]:
    """What a model gives for an input, as real numbers."""
    interpreter = litert.Interpreter(str(path))
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    interpreter.set_tensor(given["index"], image[None].astype(given["dtype"]))
    interpreter.invoke()
    found = []
    for detail in interpreter.get_output_details():
        value, (scale, zero_point) = interpreter.get_tensor(detail["index"]), detail["quantization"]
        found.append((value.astype(np.float64) - zero_point) * scale if scale else value)
    return found


def detections(path: Path, image: NDArray[Any]) -> list[tuple[int, tuple[int, int]]]:
    """Class and part of the picture of what a post-process operation gives, best first."""
    boxes, classes, _, count = outputs(path, image)
    found = int(count[0])
    middles = [((box[0] + box[2]) / 2 * PARTS, (box[1] + box[3]) / 2 * PARTS) for box in boxes[0, :found]]
    parts = [(int(y), int(x)) for y, x in middles]
    return list(zip((int(number) for number in classes[0, :found]), parts, strict=True))


def run(*arguments: object) -> Path:
    """Run the tool and return the one model it made."""
    assert command_line.main([str(argument) for argument in arguments]) == 0
    (made,) = (Path(str(arguments[arguments.index("-o") + 1]))).glob("*.tflite")
    return made


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of pictures with bright and red parts."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(12):
        image = picture((number % 8, (3 * number) % 8), ((number + 4) % 8, (5 * number + 1) % 8))
        cv2.imwrite(str(folder / f"{number}.png"), np.ascontiguousarray(image[..., ::-1]))
    return folder


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    file = tmp_path / "names.txt"
    file.write_text("bright\nred\n")
    return file


def test_a_frozen_graph_with_mobiledets_recipe(tmp_path: Path, labels: Path) -> None:
    frozen_graph(tmp_path / "tflite_graph.pb")
    recipe = ["--score-threshold", 0.3, "--max-detections", 10, "--regular-nms", "--input-shape", f"1,{SIZE},{SIZE},3"]
    made = run("tf1-ssd", tmp_path / "tflite_graph.pb", "-o", tmp_path / "out", "-l", labels, *recipe)
    file = ModelFile.load(made)
    assert [(each.dtype, each.scale, each.zero_point) for each in file.inputs] == [("uint8", 1 / 128, 128)]
    assert [each.name for each in file.outputs] == [OPERATION, *(f"{OPERATION}:{number}" for number in (1, 2, 3))]
    assert file.postprocess is not None
    assert (file.postprocess.classes, file.postprocess.max_detections, file.postprocess.regular_nms) == (2, 10, True)
    assert detections(made, picture(BRIGHT, RED)) == [(0, BRIGHT), (1, RED)]
    assert outputs(made, picture(BRIGHT, RED))[2][0, :2] == pytest.approx([0.97, 0.97], abs=0.03)
    assert made.with_suffix(".txt").read_text() == "bright\nred\n"
    assert seen(made, picture(BRIGHT, RED)) == {"bright": BRIGHT, "red": RED}
    assert file.stated_form is not None
    assert file.stated_form.family == "ssd-postprocess"


def test_a_frozen_graph_in_floats_keeps_its_own_options(tmp_path: Path) -> None:
    frozen_graph(tmp_path / "graph.pb", fake_quant=False)
    made = run("tf1-ssd", tmp_path / "graph.pb", "-o", tmp_path / "out", "--inference-type", "FLOAT")
    file = ModelFile.load(made)
    assert file.inputs[0].dtype == "float32"
    assert file.postprocess is not None
    assert (file.postprocess.max_detections, file.postprocess.regular_nms) == (5, False)
    assert detections(made, picture(BRIGHT, RED).astype(np.float32) / 128 - 1) == [(0, BRIGHT), (1, RED)]


def test_ranges_for_what_was_not_measured(tmp_path: Path) -> None:
    frozen_graph(tmp_path / "graph.pb", fake_quant=False)
    made = run("tf1-ssd", tmp_path / "graph.pb", "-o", tmp_path / "out", "--default-ranges=-16,16")
    assert ModelFile.load(made).inputs[0].dtype == "uint8"


@pytest.mark.parametrize(("kind", "zero_point"), [("uint8", 0), ("int8", -128), ("none", 0)])
def test_a_saved_model(tmp_path: Path, pictures: Path, labels: Path, kind: str, zero_point: int) -> None:
    saved_model(tmp_path / "fpnlite" / "saved_model")
    options = ["-q", kind, "--calibrate", pictures, "--pictures", 12, "-l", labels]
    made = run("tf2-ssd", tmp_path / "fpnlite" / "saved_model", "-o", tmp_path / "out", *options)
    assert made.name == f"fpnlite-{'float' if kind == 'none' else kind}.tflite"
    file = ModelFile.load(made)
    assert file.postprocess is not None
    assert file.postprocess.roles == ("boxes", "classes", "scores", "count")
    image = picture(BRIGHT, RED)
    given = image / 127.5 - 1 if kind == "none" else image.astype(np.int16) + zero_point
    assert file.inputs[0].dtype == ("float32" if kind == "none" else kind)
    assert detections(made, np.asarray(given)) == [(0, BRIGHT), (1, RED)]
    assert seen(made, image) == {"bright": BRIGHT, "red": RED}


@pytest.mark.parametrize("weight_bytes", [1, 2, 4])
def test_a_tensorflow_js_model_in_two_shards(tmp_path: Path, weight_bytes: int) -> None:
    model = tmp_path / "model.json"
    tfjs_model(model, raw_graph(fused=weight_bytes == 1), ["boxes", "scores"], shards=2, weight_bytes=weight_bytes)
    made = run("tfjs", model, "-o", tmp_path / "out")
    boxes, scores = outputs(made, picture(BRIGHT, RED) / 127.5 - 1)
    assert boxes == pytest.approx(np.zeros((1, 64, 4)), abs=0.01)
    best = scores[0, :, 1:].max(1).reshape(PARTS, PARTS)
    assert {tuple(place) for place in np.argwhere(best > 0.5).tolist()} == {BRIGHT, RED}


def test_a_tensorflow_js_model_in_integers_with_a_form(tmp_path: Path, pictures: Path, labels: Path) -> None:
    tfjs_model(tmp_path / "model.json", raw_graph(fused=False), ["boxes", "scores"])
    (tmp_path / "form.json").write_text(json.dumps({"family": "ssd-heads", "options": HEADS}))
    options = ["-q", "uint8", "--calibrate", pictures, "--pictures", 12, "--form", tmp_path / "form.json", "-l", labels]
    made = run("tfjs", tmp_path / "model.json", "-o", tmp_path / "out", *options)
    file = ModelFile.load(made)
    assert {tensor.dtype for tensor in (*file.inputs, *file.outputs)} == {"uint8"}
    assert seen(made, picture(BRIGHT, RED)) == {"bright": BRIGHT, "red": RED}


def seen(path: Path, image: NDArray[np.uint8]) -> dict[str, tuple[int, int]]:
    """The part of the picture where edgecam's own detector sees each label."""
    with TfliteDetector(path, score_floor=0.3) as detector:
        found = detector.detect(image)
    centers = {each.label: each.bbox.center for each in found}
    return {label: (int(y * PARTS), int(x * PARTS)) for label, (x, y) in centers.items()}


def test_a_nanodet_of_the_g_form_from_onnx(tmp_path: Path) -> None:
    nanodet_onnx(tmp_path / "g.onnx")
    made = run("nanodet", tmp_path / "g.onnx", "-o", tmp_path / "out")
    file = ModelFile.load(made)
    names = [f"{kind}_{stride}" for stride in (8, 16, 32, 64) for kind in ("scores", "bins")]
    assert [tensor.name for tensor in file.outputs] == names
    assert [tensor.shape[1:] for tensor in file.outputs[:4]] == [(64, 3), (64, 44), (16, 3), (16, 44)]
    assert file.stated_form is not None
    assert file.stated_form.options["bins"] == 11
    assert file.stated_form.options["center_offset"] == 0.0
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.float32)
    found = outputs(made, image)
    levels = [np.concatenate(found[place : place + 2], 2) for place in range(0, 8, 2)]
    assert np.concatenate(levels, 1) == pytest.approx(onnx_output(tmp_path / "g.onnx", image), abs=1e-4)


def onnx_output(path: Path, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """What ONNX' own reference gives for an RGB picture."""
    trained = (image[..., ::-1] - np.float32(nanodet.MEAN)) / np.float32(nanodet.STD)
    evaluator = import_module("onnx.reference").ReferenceEvaluator(str(path))
    (found,) = evaluator.run(None, {"image": trained.transpose(2, 0, 1)[None].astype(np.float32)})
    return np.asarray(found)


def test_a_nanodet_for_the_edge_tpu_has_no_leaky_relu(tmp_path: Path, pictures: Path) -> None:
    nanodet_onnx(tmp_path / "g.onnx", bins=8)
    options = ["-q", "uint8", "--calibrate", pictures, "--pictures", 12, "--edgetpu"]
    file = ModelFile.load(run("nanodet", tmp_path / "g.onnx", "-o", tmp_path / "out", *options))
    used = {operator.code.name for operator in file.structure.graphs[0].operators}
    assert "PRELU" in used
    assert used <= import_module("conversion.edgetpu").SUPPORTED
    assert {tensor.dtype for tensor in (*file.inputs, *file.outputs)} == {"uint8"}
    assert file.inputs[0].scale == pytest.approx(1.0, abs=0.01)
    assert file.inputs[0].zero_point == 0


def corrupt(folder: Path, kind: str) -> list[str]:
    """The arguments for a source that is damaged, or none of its kind."""
    if kind.startswith("graph"):
        path = folder / "graph.pb"
        frozen_graph(path)
        content = path.read_bytes()
        path.write_bytes(content[:-7] if kind == "graph cut" else b"" if kind == "graph empty" else content)
        return ["tf1-ssd", str(path)] + (["--input-array", "image"] if kind == "graph input" else [])
    if kind.startswith("saved"):
        saved_model(folder / "it")
        damaged = folder / "it" / "saved_model.pb"
        damaged.write_bytes(damaged.read_bytes()[:-100] if kind == "saved cut" else b"no model")
        return ["tf2-ssd", str(folder / "it")]
    if kind.startswith("onnx"):
        path = folder / "it.onnx"
        nanodet_onnx(path)
        content = path.read_bytes()
        path.write_bytes({"onnx cut": content[:-50], "onnx empty": b"", "onnx text": b"no model"}[kind])
        return ["nanodet", str(path)]
    path = folder / "model.json"
    content = raw_graph(fused=False)
    tfjs_model(path, content, ["boxes", "scores"])
    if kind == "tfjs operation":
        path.write_text(path.read_text().replace("Conv2D", "Conv7D"))
    return ["nanodet" if kind == "tfjs other" else "tfjs", str(path)] + (
        ["--outputs", "gone"] if kind == "tfjs output" else []
    )


CORRUPT = {
    "graph cut": "graph.pb",
    "graph empty": "no operations",
    "graph input": "--input-array",
    "onnx cut": "damaged, or no ONNX",
    "onnx empty": "damaged, or no ONNX",
    "onnx text": "damaged, or no ONNX",
    "saved cut": "damaged, or no SavedModel",
    "saved text": "damaged, or no SavedModel",
    "tfjs operation": "model.json",
    "tfjs other": "one picture [1, 3, height, width]",
    "tfjs output": "gone",
}


@pytest.mark.parametrize("kind", CORRUPT)
def test_corrupt_sources_are_refused_in_one_line(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = corrupt(tmp_path, kind)
    before = sorted(tmp_path.rglob("*"))
    capsys.readouterr()
    assert command_line.main([*arguments, "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    *steps, last = said.err.splitlines()
    assert CORRUPT[kind] in last
    assert all(step.endswith("model …") for step in steps)
    assert said.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_finished_steps_are_found_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nanodet_onnx(tmp_path / "g.onnx")
    arguments = ["nanodet", tmp_path / "g.onnx", "-o", tmp_path / "out", "--work", tmp_path / "work"]
    first = run(*arguments).read_bytes()
    assert "found in" not in capsys.readouterr().err
    assert run(*arguments).read_bytes() == first
    assert "found in" in capsys.readouterr().err
    run(*arguments, "--bins", 11)
    assert "found in" not in capsys.readouterr().err


def test_a_checkpoint_wants_the_object_detection_api(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if find_spec("object_detection"):
        pytest.skip("the Object Detection API is installed")
    for name in ("model.ckpt-7.index", "pipeline.config"):
        (tmp_path / name).write_text("")
    options = ["--checkpoint", str(tmp_path / "model.ckpt-7"), "--pipeline", str(tmp_path / "pipeline.config")]
    assert command_line.main(["tf1-ssd", *options, "-o", str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "No module named 'object_detection'" in line
    assert "tf_slim" in line
    assert not (tmp_path / "out").exists()
