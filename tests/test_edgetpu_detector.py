"""The detector on the software Edge TPU, through the product's whole path: the same answers as on the CPU."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgetpu.compile_model import compile_for_standin
from edgetpu.standin import StandIn
from numpy.typing import NDArray

from edgecam import detectors
from edgecam.detectors.process import ProcessOptions
from edgecam.errors import ModelError
from edgecam.models import resolve
from edgecam.ports import Detector
from edgecam.scenes import Scene
from edgecam.types import Detection

ROOT = Path(__file__).resolve().parent.parent
Picture = NDArray[np.uint8]


@pytest.fixture
def world(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """One stick, and this process lives with it."""
    for name, value in standin.environment.items():
        monkeypatch.setenv(name, value)
    return standin


def folder_with_pair(model: Path, folder: Path) -> Path:
    """Copies the model and compiles it; returns the copy."""
    copy = folder / model.name
    shutil.copy(model, copy)
    labels = model.with_suffix(".txt")
    if labels.exists():
        shutil.copy(labels, copy.with_suffix(".txt"))
    compile_for_standin(model, copy.with_name(f"{copy.stem}_edgetpu.tflite"))
    return copy


def scenes(count: int) -> Iterator[Picture]:
    for seed in range(count):
        yield Scene(seed, width=320, height=192).render(3.0).image


def pets(assets: Path) -> Iterator[Picture]:
    for path in sorted((assets / "images" / "pets").glob("image*.jpg")):
        yield np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])  # type: ignore[index]


def on_cpu(model: Path, pictures: list[Picture]) -> list[list[Detection]]:
    with detectors.create("tflite", model=model) as detector:
        return [detector.detect(picture) for picture in pictures]


def under_way(detector: Detector, pictures: list[Picture]) -> list[list[Detection]]:
    """All the detector takes at once, as the detect thread does it."""
    waiting = list(pictures)
    answers: list[list[Detection]] = []
    submitted = 0
    while len(answers) < len(pictures):
        while waiting and submitted - len(answers) < detector.slots:
            detector.submit(waiting.pop(0))
            submitted += 1
        done = detector.collect(5.0)
        if done is not None:
            answers.append(done.detections)
    return answers


def insisting(model: Path, world: StandIn) -> Detector:
    options = ProcessOptions(library=str(world.library), invoke_timeout=20)
    return detectors.choose("usb:0", resolve(model), None, options)


@pytest.mark.parametrize("name", ["bundled", "mobiledet"])
def test_answers_are_the_cpus_bit_for_bit(
    name: str, world: StandIn, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name == "bundled":
        model, pictures = ROOT / "models" / "edgecam_demo.tflite", list(scenes(12))
    else:
        assets: Path = request.getfixturevalue("assets")
        model, pictures = assets / "models" / "ssdlite_mobiledet_dog_vs_cat.tflite", list(pets(assets))
    model = folder_with_pair(model, tmp_path)
    expected = on_cpu(model, pictures)
    with insisting(model, world) as detector:
        assert [detector.detect(picture) for picture in pictures] == expected
        assert under_way(detector, pictures) == expected
        assert detector.info.device == "usb:2-1"
    assert any(found for found in expected)


def test_an_isolated_cpu_gives_the_same_answers(tmp_path: Path) -> None:
    model, pictures = ROOT / "models" / "edgecam_demo.tflite", list(scenes(6))
    isolated = detectors.choose("cpu", resolve(model), None, ProcessOptions(), isolate=True)
    with isolated as detector:
        assert under_way(detector, pictures) == on_cpu(model, pictures)
        assert detector.info.device == "cpu"


def test_labels_are_the_same_on_both_devices(world: StandIn, tmp_path: Path) -> None:
    model = folder_with_pair(ROOT / "models" / "edgecam_demo.tflite", tmp_path)
    compiled = model.with_name("edgecam_demo_edgetpu.tflite")
    auto = detectors.choose("auto", resolve(compiled), None, ProcessOptions(library=str(world.library)))
    picture = next(scenes(1))
    with auto as detector:
        first = detector.detect(picture)
        assert detector.info.device == "cpu", "the CPU does the work while the Edge TPU is being opened"
        while detector.info.device == "cpu":
            detector.collect(0.5)
        assert detector.detect(picture) == first
    assert {found.label for found in first} <= {"person", "car", "dog", "bird"}


def test_who_insists_on_an_edge_tpu_needs_a_compiled_model(world: StandIn, tmp_path: Path) -> None:
    model = tmp_path / "mine.tflite"
    shutil.copy(ROOT / "models" / "edgecam_demo.tflite", model)
    with pytest.raises(ModelError, match="would silently run on the CPU"):
        detectors.choose("usb", resolve(model), None, ProcessOptions())


def test_a_compiled_model_on_the_cpu_is_refused_with_its_sibling(tmp_path: Path) -> None:
    model = folder_with_pair(ROOT / "models" / "edgecam_demo.tflite", tmp_path)
    detector = detectors.choose("cpu", resolve(model.with_name("edgecam_demo_edgetpu.tflite")), None, ProcessOptions())
    with pytest.raises(ModelError, match=f"use {model}"):
        detector.open()


def test_a_compiled_model_without_its_cpu_version_says_so_at_the_start(
    world: StandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = folder_with_pair(ROOT / "models" / "edgecam_demo.tflite", tmp_path)
    model.unlink()
    compiled = model.with_name("edgecam_demo_edgetpu.tflite")
    with detectors.choose("auto", resolve(compiled), None, ProcessOptions(library=str(world.library))) as detector:
        assert detector.slots == 0
    assert "without an Edge TPU there will be no detections" in caplog.text
