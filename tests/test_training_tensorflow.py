"""tools/train where TensorFlow is: pictures in every layout to a model that edgecam runs, its log and its card."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_layouts import LABELS, Shot, shots, write_coco, write_voc, write_yolo
from tiny_models import classifier, detector

from edgecam.detectors.tflite import TfliteDetector
from edgecam.errors import InputError
from edgecam.modelfile import ModelFile

if find_spec("tensorflow") is None:
    pytest.skip("TensorFlow is not installed: docs/custom-model.md, Tests", allow_module_level=True)

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [
    pytest.mark.any_runtime,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(os.environ.get("EDGECAM_LABS") != "1", reason="trains networks, minutes: EDGECAM_LABS=1"),
]
os.environ["TF_USE_LEGACY_KERAS"] = "1"
sys.path.insert(0, str(ROOT / "tools"))

RUNTIMES = [name for name in ("ai-edge-litert", "tflite-runtime") if find_spec(name.replace("-", "_"))]
SMALL = ["--input", "160x96", "--batch", "4", "--threads", "2", "--json"]
WRITERS: dict[str, Callable[..., Path]] = {"coco": write_coco, "voc": write_voc, "yolo": write_yolo}


@pytest.fixture(scope="module")
def rendered() -> list[Shot]:
    return shots(range(3_000_000, 3_000_020))


def train(folder: Path, output: Path, *options: str) -> dict[str, Any]:
    """Run tools/train's program; what it says of the result."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tools'}"}
    command = [sys.executable, "-m", "training", str(folder), "-o", str(output), *SMALL, *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("layout", WRITERS)
def test_a_model_of_every_layout(tmp_path: Path, rendered: list[Shot], layout: str) -> None:
    figures = train(WRITERS[layout](tmp_path / layout, rendered), tmp_path / "out", "--epochs", "1", "--name", "street")
    assert figures["finished"]
    assert figures["pictures"] == {"train": 16, "validation": 4}
    assert 0 <= figures["exported"]["AP50"] <= 1
    model = tmp_path / "out" / "street.tflite"
    assert ModelFile.load(model).inputs[0].shape == (1, 96, 160, 3)
    assert model.with_suffix(".txt").read_text().split() == list(LABELS)
    assert hashlib.sha256(model.read_bytes()).hexdigest() in model.with_suffix(".md").read_text()
    for runtime in RUNTIMES:
        with TfliteDetector(model, runtime=runtime) as detector:
            assert {found.label for found in detector.detect(rendered[0].image)} <= set(LABELS)


def test_a_stopped_training_goes_on_and_its_log_can_be_read(tmp_path: Path, rendered: list[Shot]) -> None:
    folder, out = write_coco(tmp_path / "coco", rendered), tmp_path / "out"
    first = train(folder, out, "--epochs", "2", "--minutes", "0.0001")
    assert not first["finished"]
    assert "Training was not finished" in (out / "custom.md").read_text()
    second = train(folder, out, "--epochs", "2")
    assert second["finished"]
    assert second["epochs"] == 2
    accumulator = import_module("tensorboard.backend.event_processing.event_accumulator")
    log = accumulator.EventAccumulator(str(out / "logs"), size_guidance={"tensors": 0})
    log.Reload()
    assert {"loss/scores", "loss/boxes", "AP50/all", "AP50/walker", "rate"} <= set(log.Tags()["tensors"])
    assert [event.step for event in log.Tensors("AP50/all")] == [1, 2]
    values = [float(import_module("tensorflow").make_ndarray(event.tensor_proto)) for event in log.Tensors("AP50/all")]
    history = [json.loads(line)["AP50"] for line in (out / "work" / "history.jsonl").read_text().splitlines()]
    np.testing.assert_allclose(values, history, atol=1e-6)


def test_the_bundled_models_weights_are_read_back(rendered: list[Shot]) -> None:
    starting, network, making = (import_module(f"training.{name}") for name in ("starting", "network", "making"))
    pictures = np.stack([shot.image[::2, ::2][:160, :320] for shot in rendered[:8]])
    pictures = np.pad(pictures, ((0, 0), (0, 32), (0, 0), (0, 0)))
    model = network.build(4, (320, 192))
    starting.start_from(model, starting.read_layers(making.BUNDLED), [0, 1, 2, 3], pictures)
    _, logits = model((pictures.astype(np.float32) - 128) / 128, training=False)
    _, while_training = model((pictures.astype(np.float32) - 128) / 128, training=True)
    assert np.corrcoef(logits.numpy().ravel(), while_training.numpy().ravel())[0, 1] > 0.95
    assert logits.numpy().max() > 0  # it is sure of something: random weights begin at -4 everywhere


@pytest.mark.parametrize("content", [b"", b"no model", detector(), classifier()])
def test_weights_of_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.tflite"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"other\.tflite"):
        import_module("training.starting").read_layers(path)


def test_a_course_ends_when_it_becomes_no_better(tmp_path: Path) -> None:
    course = import_module("training.course")
    history = course.History(tmp_path / "history.jsonl")
    for epoch, score in enumerate([0.0, 0.0, 0.0, 0.3, 0.2, 0.3], 1):
        history.add(epoch, {"AP50": score})
    assert history.best == (4, 0.3)
    assert not history.exhausted(3)
    assert course.History(tmp_path / "history.jsonl").exhausted(2)


def test_nothing_found_is_no_reason_to_end(tmp_path: Path) -> None:
    history = import_module("training.course").History(tmp_path / "history.jsonl")
    for epoch in range(1, 30):
        history.add(epoch, {"AP50": 0.0})
    assert not history.exhausted(5)
