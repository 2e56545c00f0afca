"""tools/convert without TensorFlow: what goes in is read or refused in one line, and nothing is left behind."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_models import classifier, detector

from edgecam.errors import InputError, ModelError
from edgecam.labels import Labels
from edgecam.modelfile import ModelFile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

calibration, checking, command_line, edgetpu, tfjs_file, writing = (
    import_module(f"conversion.{name}")
    for name in ("calibration", "checking", "__main__", "edgetpu", "tfjs_file", "writing")
)

SAID = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 2876 ms.

Input model: nanodet.tflite
Input size: 1.19MiB
Output model: nanodet_edgetpu.tflite
Output size: 1.55MiB
On-chip memory used for caching model parameters: 6.00MiB
On-chip memory remaining for caching model parameters: 2.25KiB
Off-chip memory used for streaming uncached model parameters: 512.00KiB
Number of Edge TPU subgraphs: 1
Total number of operations: 70
Operation log: nanodet_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model will \
instead run on the CPU, which is slower.
Number of operations that will run on Edge TPU: 20
Number of operations that will run on CPU: 50

Operator                       Count      Status

CONV_2D                        20         Mapped to Edge TPU
CONV_2D                        1          More than one subgraph is not supported
LEAKY_RELU                     48         Operation not supported
TFLite_Detection_PostProcess   1          Operation not supported
Compilation child process completed within timeout period.
Compilation succeeded!
"""


def made_tfjs(folder: Path, *, shards: int = 1, **changes: Any) -> Path:
    """A TensorFlow.js model with a weight of each kind of storage; `changes` of the document."""
    weights: list[dict[str, Any]] = [
        {"name": "float", "shape": [2], "dtype": "float32"},
        {"name": "half", "shape": [2], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {
            "name": "byte",
            "shape": [3],
            "dtype": "float32",
            "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0},
        },
        {
            "name": "short",
            "shape": [1],
            "dtype": "float32",
            "quantization": {"dtype": "uint16", "scale": 0.1, "min": 0},
        },
        {"name": "axis", "shape": [], "dtype": "int32"},
    ]
    parts: list[NDArray[Any]] = [np.array([1.5, -2], np.float32), np.array([0.5, 4], np.float16)]
    parts += [np.array([0, 2, 255], np.uint8), np.array([65535], np.uint16), np.array(3, np.int32)]
    data = b"".join(part.tobytes() for part in parts)
    step = -(-len(data) // shards)
    names = [f"shard{number}.bin" for number in range(shards)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(data[number * step : (number + 1) * step])
    nodes: list[dict[str, Any]] = [{"name": weight["name"], "op": "Const"} for weight in weights]
    nodes += [{"name": "image", "op": "Placeholder"}, {"name": "twice", "op": "Mul", "input": ["image", "float"]}]
    document: dict[str, Any] = {"format": "graph-model", "modelTopology": {"node": nodes}}
    document["weightsManifest"] = [{"paths": names, "weights": weights}]
    (folder / "model.json").write_text(json.dumps(document | changes))
    return folder / "model.json"


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_weights_of_one_two_and_four_bytes_across_shards(tmp_path: Path, shards: int) -> None:
    model = tfjs_file.read_tfjs(made_tfjs(tmp_path, shards=shards))
    weights = {name: value.tolist() for name, value in model.weights.items()}
    assert weights["float"] == [1.5, -2]
    assert weights["half"] == [0.5, 4]
    assert weights["byte"] == [-1, 0, 126.5]
    assert weights["short"] == [pytest.approx(6553.5)]
    assert weights["axis"] == 3
    assert model.inputs == ("image",)
    assert "twice" in model.outputs


def damaged(folder: Path, damage: str) -> Path:
    """A TensorFlow.js model that is damaged."""
    path = made_tfjs(folder, shards=2)
    document = json.loads(path.read_text())
    shard = folder / "shard1.bin"
    if damage == "cut shard":
        shard.write_bytes(shard.read_bytes()[:-1])
    elif damage == "long shard":
        shard.write_bytes(shard.read_bytes() + b"\0")
    elif damage == "no shard":
        shard.unlink()
    elif damage == "shard elsewhere":
        document["weightsManifest"][0]["paths"][1] = "../shard1.bin"
    elif damage == "strange weight":
        document["weightsManifest"][0]["weights"][0]["dtype"] = "string"
    elif damage == "no weight":
        document["modelTopology"]["node"].append({"name": "lost", "op": "Const"})
    elif damage == "layers":
        document = {"format": "layers-model", "modelTopology": {"model_config": {}}}
    elif damage == "weights list":
        document["weightsManifest"] = [{"paths": ["shard0.bin"]}]
    elif damage == "nameless node":
        document["modelTopology"]["node"].append({"op": "Const"})
    elif damage == "signature":
        document["signature"] = {"outputs": {"gone": {"name": "gone:0"}}}
    path.write_text(json.dumps(document))
    if damage == "cut":
        path.write_text(path.read_text()[:100])
    elif damage == "list":
        path.write_text("[]")
    return path


DAMAGES = {
    "cut": "no sound JSON",
    "cut shard": "within weight",
    "layers": "no graph model",
    "list": "model.json",
    "long shard": "weights are",
    "nameless node": "without a name",
    "no shard": "cannot be read",
    "no weight": "no weights for 'lost'",
    "shard elsewhere": "not beside it",
    "signature": "not in the graph",
    "strange weight": "of type string",
    "weights list": "list of weights",
}


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of an error on stderr."""
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    return said.err


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_tensorflow_js_models(tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = damaged(tmp_path, damage)
    before = sorted(tmp_path.iterdir())
    for command in ("tfjs", "nanodet"):
        assert command_line.main([command, str(path), "-o", str(tmp_path / "out")]) == 1
        line = one_line(capsys)
        assert DAMAGES[damage] in line
        assert str(tmp_path) in line
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nanodet", "m.json", "-q", "uint8"], "--calibrate"),
        (["nanodet", "m.json", "--mean", "1,2"], "3 numbers"),
        (["nanodet", "m.json", "--channels", "hsv"], "bgr or rgb"),
        (["nanodet", "m.json", "-q", "int8", "--calibrate", "nowhere"], "no such folder"),
        (["tf2-ssd", "nowhere"], "no SavedModel"),
        (["tf1-ssd"], "give a frozen graph"),
        (["tf1-ssd", "g.pb", "--input-shape", "320,320"], "4 numbers"),
        (["tf1-ssd", "--checkpoint", "model.ckpt-1", "--pipeline", "p.config"], "no such file"),
        (["tfjs", "m.json", "--form", "nowhere.json"], "cannot be read"),
        (["edgetpu"], "give a model"),
        (["edgetpu", "--log", "nowhere.log"], "cannot be read"),
        (["edgetpu", "nowhere.tflite"], "no such model file"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path,
    arguments: list[str],
    part: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command_line.main(arguments) == 1
    assert part in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_usage_is_told_from_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["nanodet", "m.json", "--quantise", "int4"]) == 2
    assert "--help" in one_line(capsys)


def test_a_log_of_the_compiler_is_parsed() -> None:
    report = edgetpu.parsed(SAID)
    assert (report.version, report.on_tpu, report.on_cpu) == ("16.0.384591198", 20, 50)
    assert report.sizes["Output size"] == round(1.55 * 2**20)
    assert [each.count for each in report.mappings] == [20, 1, 48, 1]
    warnings = list(report.warnings())
    assert [line.split(" on the CPU")[0] for line in warnings[:2]] == ["1 CONV_2D", "48 LEAKY_RELU"]
    assert "PRELU" in warnings[1]
    assert "mend that one first" in warnings[2]
    assert "0.5 MB" in warnings[3]


def test_the_log_file_alone_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "nanodet_edgetpu.log"
    log.write_text(SAID.partition("Total number")[2])
    assert command_line.main(["edgetpu", "--log", str(log), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["on_edgetpu"] == 20
    assert [row["mapped"] for row in document["operators"]] == [True, False, False, False]


@pytest.mark.parametrize("text", ["", "nothing of use\n", "Operator Count Status\n"])
def test_a_log_without_a_table(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "it.log").write_text(text)
    assert command_line.main(["edgetpu", "--log", str(tmp_path / "it.log")]) == 1
    assert "no table of operators" in one_line(capsys)


def compiler(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program called edgetpu_compiler, first on the path."""
    program = folder / "bin" / "edgetpu_compiler"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def integer_model(assets: Path) -> Path:
    return assets / "models" / "ssdlite_mobiledet_dog_vs_cat.tflite"


def test_the_compiler_is_run_and_its_table_shown(
    tmp_path: Path, integer_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "said").write_text(SAID)
    script = f'for last; do :; done\ncp "$last" "$4/$(basename "$last" .tflite)_edgetpu.tflite"\ncat "{tmp_path}/said"'
    compiler(tmp_path, monkeypatch, script)
    assert command_line.main(["edgetpu", str(integer_model), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0].split() == ["OPERATOR", "COUNT", "STATUS"]
    assert said.out.splitlines()[-1].endswith("Mapped to Edge TPU")
    assert "48 LEAKY_RELU on the CPU" in said.err
    assert [path.name for path in (tmp_path / "out").glob("*")] == [f"{integer_model.stem}_edgetpu.tflite"]


@pytest.mark.parametrize(
    ("script", "part"),
    [
        ("echo 'Internal compiler error. Aborting!'; exit 1", "Internal compiler error"),
        ("echo 'ERROR: Did not find op'; echo 'Invalid model: x'; exit 1", "Did not find op"),
        ("exit 0", "nothing of the reason"),
    ],
)
def test_the_compiler_gives_up(
    tmp_path: Path,
    integer_model: Path,
    script: str,
    part: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiler(tmp_path, monkeypatch, script)
    assert command_line.main(["edgetpu", str(integer_model), "-o", str(tmp_path / "out")]) == 1
    assert part in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_without_the_compiler_it_says_what_to_expect_and_to_do(
    integer_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert command_line.main(["edgetpu", str(integer_model)]) == 1
    said = capsys.readouterr()
    assert "CONV_2D" in said.out
    assert "not installed" in said.err.splitlines()[-1]
    assert "x86-64" in said.err.splitlines()[-1]


def test_models_the_compiler_would_not_take(tmp_path: Path, assets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "float.tflite").write_bytes(classifier())
    (tmp_path / "cut.tflite").write_bytes(detector()[:500])
    done = assets / "models" / "ssd_mobilenet_v2_300_1class_edgetpu.tflite"
    for path, part in (
        (tmp_path / "float.tflite", "integers"),
        (tmp_path / "cut.tflite", "damaged"),
        (done, "already"),
    ):
        assert command_line.main(["edgetpu", str(path)]) == 1
        assert part in one_line(capsys)


def test_a_model_appears_whole_with_its_labels_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out" / "tiny.tflite"
    labels = Labels(("cat", "", "dog"), "here")

    def refuse(part: Path) -> str:
        assert part.read_bytes() == b"model"
        raise ModelError("no good")

    with pytest.raises(ModelError, match="no good"):
        writing.write_model(path, b"model", labels, refuse)
    assert list(tmp_path.iterdir()) == []
    writing.write_model(path, detector(), labels, checking.runs)
    assert sorted(each.name for each in path.parent.iterdir()) == ["tiny.tflite", "tiny.txt"]
    assert path.with_suffix(".txt").read_text() == "cat\n???\ndog\n"


def test_a_place_that_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        writing.write_model(tmp_path / "file" / "tiny.tflite", b"model", None, lambda part: "fine")


def test_steps_belong_to_their_sources_and_options(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("one")
    made: list[str] = []

    def make() -> bytes:
        made.append(source.read_text())
        return source.read_bytes()

    for text, option, expected in [("one", 1, 1), ("one", 1, 1), ("one", 2, 2), ("two", 2, 3), ("one", 1, 3)]:
        source.write_text(text)
        content = writing.Steps(tmp_path / "work", [source], option).step("a step", make)
        assert (content.decode(), len(made)) == (text, expected)


def test_pictures_are_the_same_at_every_run_and_of_the_size_wanted(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(calibration.FEWEST):
        cv2.imwrite(str(tmp_path / f"{number}.png"), random.integers(0, 256, (40, 60, 3)).astype(np.uint8))
    files = calibration.picture_files(tmp_path)
    first, again = (list(calibration.pictures(files, (32, 16), 25)) for _ in range(2))
    assert [image.shape for image in first] == [(16, 32, 3)] * 25
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    boxed = next(calibration.pictures(files, (32, 32), 1, "letterbox"))
    assert not boxed[:5].any()
    assert boxed[16].any()


def test_too_few_pictures_and_broken_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 pictures"):
        calibration.picture_files(tmp_path)
    for number in range(calibration.FEWEST):
        (tmp_path / f"{number}.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match="not a picture"):
        list(calibration.pictures(calibration.picture_files(tmp_path), (8, 8), 1))


def test_a_model_that_does_not_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "made.tflite"
    path.write_bytes(detector(custom_ops=("Unheard_Of",)))
    with pytest.raises(ModelError, match="cannot run it"):
        checking.runs(path)


def test_what_is_expected_of_the_compiler(tmp_path: Path) -> None:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(detector())
    found = {each.operator: each.mapped for each in edgetpu.expected(ModelFile.load(path))}
    assert found == {"DEQUANTIZE": False, "RESHAPE": True, "TFLite_Detection_PostProcess": False}
