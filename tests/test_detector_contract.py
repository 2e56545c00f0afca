"""What every detector keeps, whatever is behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from numpy.typing import NDArray

from edgecam import detectors
from edgecam.ports import Detector
from edgecam.testing import ScriptedDetector
from edgecam.types import BBox, Detection

Build = Callable[[pytest.FixtureRequest], Detector]


def scripted(_request: pytest.FixtureRequest) -> Detector:
    found = [
        Detection("dog", 0.5, BBox(0.1, 0.1, 0.4, 0.5)),
        Detection("cat", 0.9, BBox(0.0, 0.0, 1.0, 1.0)),
    ]
    return ScriptedDetector([found] * 20)


def tiny(kind: int) -> Build:
    def build(request: pytest.FixtureRequest) -> Detector:
        folder: Path = request.getfixturevalue("tmp_path")
        path = folder / "tiny.tflite"
        path.write_bytes(tiny_models.detector(kind, zero_point=0 if kind == tiny_models.INT8 else 128))
        path.with_suffix(".txt").write_text("cat\ndog\n")
        return detectors.create("tflite", model=path)

    return build


def real(name: str) -> Build:
    def build(request: pytest.FixtureRequest) -> Detector:
        assets: Path = request.getfixturevalue("assets")
        return detectors.create("tflite", model=assets / "models" / name, threads=0)

    return build


BACK_ENDS: dict[str, Build] = {
    "scripted": scripted,
    "tflite-uint8": tiny(tiny_models.UINT8),
    "tflite-int8": tiny(tiny_models.INT8),
    "tflite-float": tiny(tiny_models.FLOAT32),
    "tflite-mobiledet": real("ssdlite_mobiledet_dog_vs_cat.tflite"),
    "tflite-tf2-order": real("ssd_mobilenet_v2_fpnlite_320_trafficlight_int8.tflite"),
}


@pytest.fixture(params=list(BACK_ENDS))
def detector(request: pytest.FixtureRequest) -> Detector:
    """A detector that is not open."""
    return BACK_ENDS[request.param](request)


def noise(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def test_it_says_what_it_is(detector: Detector) -> None:
    with detector:
        info = detector.info
    assert info.model
    assert info.runtime
    assert info.device
    assert min(info.input_size) > 0


def test_detections_are_plain_values_best_first_and_inside_the_frame(detector: Detector) -> None:
    with detector:
        found = detector.detect(noise(*detector.info.input_size))
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True)
    for each in found:
        assert [type(value) for value in (each.label, each.score, *each.bbox)] == [str, *[float] * 5]
        assert 0 <= each.score <= 1
        assert 0 <= each.bbox.xmin < each.bbox.xmax <= 1
        assert 0 <= each.bbox.ymin < each.bbox.ymax <= 1


@pytest.mark.parametrize("size", [(1, 1), (7, 90), (640, 360)])
def test_any_size_of_picture_will_do(detector: Detector, size: tuple[int, int]) -> None:
    with detector:
        assert isinstance(detector.detect(noise(*size)), list)


def test_the_picture_is_left_alone_and_may_be_read_only_or_a_view(detector: Detector) -> None:
    picture = noise(64, 48)
    before = picture.copy()
    picture.flags.writeable = False
    with detector:
        detector.detect(picture)
        detector.detect(picture[::2, ::-1])
    assert (picture == before).all()


def test_results_do_not_change_when_it_goes_on(detector: Detector) -> None:
    with detector:
        first = detector.detect(noise(64, 48))
        kept = list(first)
        detector.detect(np.zeros((48, 64, 3), np.uint8))
        assert first == kept


def test_close_may_be_called_at_any_time(detector: Detector) -> None:
    detector.close()
    detector.open()
    detector.close()
    detector.close()


def test_it_may_be_opened_again_and_finds_the_same(detector: Detector) -> None:
    with detector:
        first = detector.detect(noise(64, 48))
    with detector:
        assert detector.detect(noise(64, 48)) == first


def test_it_may_be_built_in_one_thread_and_used_in_another(detector: Detector) -> None:
    found: list[list[Detection]] = []

    def use() -> None:
        with detector:
            found.append(detector.detect(noise(64, 48)))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join(60)
    assert len(found) == 1
