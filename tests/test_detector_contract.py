"""What every detector keeps, whatever is behind it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from edgetpu.standin import StandIn
from numpy.typing import NDArray

from edgecam import detectors
from edgecam.detectors.process import ProcessOptions
from edgecam.detectors.tiled import TiledDetector
from edgecam.modelfile import ModelForm
from edgecam.modelfile.form import write_form
from edgecam.models import Model
from edgecam.ports import Detector
from edgecam.testing import ScriptedDetector
from edgecam.tiling import Tiling
from edgecam.types import BBox, Detection

DEMO = Path(__file__).resolve().parent.parent / "models" / "edgecam_demo.tflite"
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


def of_family(form: ModelForm, kind: int, outputs: Mapping[str, tuple[int, ...]], *, isolate: bool = False) -> Build:
    """A model of 32 x 32 pixels whose outputs are the picture's own numbers."""

    def build(request: pytest.FixtureRequest) -> Detector:
        folder: Path = request.getfixturevalue("tmp_path")
        path = folder / "family.tflite"
        zero_point = -128 if kind == tiny_models.INT8 else 0
        path.write_bytes(write_form(tiny_models.heads((32, 32), outputs, kind, zero_point=zero_point), form))
        return detectors.create("isolated" if isolate else "tflite", model=path)

    return build


def in_tiles(request: pytest.FixtureRequest) -> Detector:
    return TiledDetector(tiny(tiny_models.UINT8)(request), Tiling(2, 2))


def isolated_in_tiles(request: pytest.FixtureRequest) -> Detector:
    return TiledDetector(isolated(request), Tiling(2, 2))


def real(name: str) -> Build:
    def build(request: pytest.FixtureRequest) -> Detector:
        assets: Path = request.getfixturevalue("assets")
        return detectors.create("tflite", model=assets / "models" / name, threads=0)

    return build


def isolated(request: pytest.FixtureRequest) -> Detector:
    return detectors.choose("cpu", Model("demo", DEMO), None, ProcessOptions(), isolate=True)


def on_edge_tpu(device: str) -> Build:
    def build(request: pytest.FixtureRequest) -> Detector:
        world: StandIn = request.getfixturevalue("standin")
        for name, value in world.environment.items():
            request.getfixturevalue("monkeypatch").setenv(name, value)
        compiled: Path = request.getfixturevalue("demo_edgetpu_model")
        shutil.copy(DEMO, compiled.with_name(DEMO.name))
        return detectors.choose(device, Model("demo", compiled), None, ProcessOptions(library=str(world.library)))

    return build


NANODET = {"strides": [8, 16, 32], "classes": 2, "mean": [0], "std": [255]}
PAIRS = {"a": (1, 16, 2), "b": (1, 16, 32), "c": (1, 4, 2), "d": (1, 4, 32), "e": (1, 1, 2), "f": (1, 1, 32)}
HEADS = {"boxes": (1, 42, 4), "scores": (1, 42, 3)}
FINISHED = {
    "detection_boxes": (1, 9, 4), "detection_classes": (1, 9), "detection_scores": (1, 9), "num_detections": (1,),
}  # fmt: skip

BACK_ENDS: dict[str, Build] = {
    "scripted": scripted,
    "isolated": isolated,
    "edgetpu": on_edge_tpu("usb:0"),
    "edgetpu-or-cpu": on_edge_tpu("auto"),
    "tiled": in_tiles,
    "tiled-isolated": isolated_in_tiles,
    "tflite-uint8": tiny(tiny_models.UINT8),
    "tflite-int8": tiny(tiny_models.INT8),
    "tflite-float": tiny(tiny_models.FLOAT32),
    "nanodet-uint8": of_family(ModelForm("nanodet", "letterbox", NANODET), tiny_models.UINT8, PAIRS),
    "nanodet-float": of_family(ModelForm("nanodet", "stretch", NANODET), tiny_models.FLOAT32, {"all": (1, 21, 34)}),
    "nanodet-isolated": of_family(ModelForm("nanodet", "letterbox", NANODET), tiny_models.INT8, PAIRS, isolate=True),
    "ssd-heads-uint8": of_family(ModelForm("ssd-heads", options={"scores": "sigmoid"}), tiny_models.UINT8, HEADS),
    "ssd-heads-float": of_family(ModelForm("ssd-heads", "letterbox"), tiny_models.FLOAT32, HEADS),
    "tf2-detections": of_family(ModelForm("tf2-detections"), tiny_models.FLOAT32, FINISHED),
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
        detector.detect(noise(64, 48))
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


def test_pictures_under_way_come_back_in_order(detector: Detector) -> None:
    pictures = [noise(*size) for size in ((64, 48), (320, 192), (7, 90))]
    with detector:
        expected = [detector.detect(picture) for picture in pictures]
        found: list[list[Detection]] = []
        submitted = 0
        while len(found) < len(pictures):
            while submitted < len(pictures) and submitted - len(found) < detector.slots:
                detector.submit(pictures[submitted])
                submitted += 1
            done = detector.collect(timeout=5)
            if done is not None:
                assert done.seconds >= 0
                found.append(done.detections)
        assert detector.collect(timeout=0) is None
    assert found == expected
