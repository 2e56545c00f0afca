"""The CPU detector: real models, every kind of input, decoding, runtimes, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_models
from numpy.typing import NDArray

from edgecam import detectors
from edgecam.detectors import runtime
from edgecam.detectors.pace import automatic_threads, fitting_threads
from edgecam.detectors.picture import level_table
from edgecam.detectors.tflite import TfliteDetector
from edgecam.errors import DetectorError, InputError, ModelError
from edgecam.modelfile import ModelFile

DOG_VS_CAT = "ssdlite_mobiledet_dog_vs_cat.tflite"
TRAFFIC_LIGHT = "ssd_mobilenet_v2_fpnlite_320_trafficlight_int8.tflite"
PETS = ("dog", "cat", "cat", "dog", "dog", "cat", "dog", "cat")


def read_rgb(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture[:, :, ::-1], np.uint8)


def write(folder: Path, content: bytes, name: str = "tiny.tflite") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_the_real_mobiledet_knows_eight_of_eight_pets(assets: Path) -> None:
    with TfliteDetector(assets / "models" / DOG_VS_CAT, threads=0) as detector:
        best = [detector.detect(read_rgb(assets / "images" / "pets" / f"image{n}.jpg"))[0] for n in range(1, 9)]
        assert detector.info.model == "dog-vs-cat"
        assert detector.info.input_size == (320, 320)
    assert tuple(found.label for found in best) == PETS
    assert min(found.score for found in best) > 0.85


def test_the_tf2_order_is_decoded_as_its_signature_says(assets: Path) -> None:
    path = assets / "models" / TRAFFIC_LIGHT
    picture = cv2.resize(read_rgb(assets / "images" / "pets" / "image2.jpg"), (320, 320))
    interpreter = runtime.find_runtime().interpreter(model_path=str(path), num_threads=1)
    raw = interpreter.get_signature_runner("serving_default")(input=picture[None])
    with TfliteDetector(path) as detector:
        found = detector.detect(np.asarray(picture, np.uint8))
    assert len(found) == int(raw["output_0"][0]) == 10
    assert [each.score for each in found] == raw["output_1"][0].tolist()
    assert [each.label for each in found] == [f"class {int(number)}" for number in raw["output_2"][0]]
    assert {each.label for each in found} <= {f"class {number}" for number in range(4)}
    edges = np.clip(raw["output_3"][0], 0, 1)[:, [1, 0, 3, 2]]
    assert np.array([each.bbox for each in found]) == pytest.approx(edges)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1), (3, 2, 1, 0)])
@pytest.mark.parametrize("signature", [True, False])
def test_outputs_are_told_apart_in_any_order(tmp_path: Path, order: tuple[int, ...], *, signature: bool) -> None:
    path = write(tmp_path, tiny_models.detector(order=order, signature=signature))
    with TfliteDetector(path) as detector:
        found = detector.detect(np.full((2, 2, 3), 128, np.uint8))
    assert [(each.label, each.score) for each in found] == [("class 0", 0.75), ("class 1", 0.5), ("class 1", 0.25)]
    assert found[0].bbox == pytest.approx((0.45, 0.45, 0.55, 0.55))
    assert found[1].bbox == pytest.approx((0.15, 0.15, 0.25, 0.25))
    assert found[2].bbox == pytest.approx((0.75, 0.75, 0.85, 0.85))


def expected_boxes(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes (xmin, ymin, xmax, ymax) of the tiny detector for its twelve input values, in the order of their scores."""
    anchors = np.reshape(tiny_models.ANCHORS, (3, 4))
    y, x, h, w = codes.reshape(3, 4).T
    center_y, center_x = anchors[:, 0] + y * anchors[:, 2], anchors[:, 1] + x * anchors[:, 3]
    half_h, half_w = np.exp(h) * anchors[:, 2] / 2, np.exp(w) * anchors[:, 3] / 2
    boxes = np.stack([center_x - half_w, center_y - half_h, center_x + half_w, center_y + half_h], axis=1)
    return np.asarray(boxes[[1, 0, 2]])


@pytest.mark.parametrize(
    ("kind", "scale", "zero_point", "mean", "std", "per_step", "zero"),
    [
        pytest.param(tiny_models.UINT8, 1 / 128, 128, (), (), 1 / 128, 128, id="uint8"),
        pytest.param(tiny_models.UINT8, 1 / 255, 0, (), (), 1 / 255, 0, id="uint8-from-0-to-1"),
        pytest.param(tiny_models.UINT8, 1 / 128, 128, (127.5,), (127.5,), 1 / 128, 128, id="uint8-stated"),
        pytest.param(tiny_models.UINT8, 1 / 64, 128, (127.5,), (127.5,), 1 / 127.5, 127.5, id="uint8-half-range"),
        pytest.param(tiny_models.INT8, 1 / 128, 0, (), (), 1 / 128, 128, id="int8"),
        pytest.param(tiny_models.INT8, 1 / 255, -128, (), (), 1 / 255, 0, id="int8-from-0-to-1"),
        pytest.param(tiny_models.FLOAT32, 0, 0, (), (), 1 / 127.5, 127.5, id="float"),
        pytest.param(tiny_models.FLOAT32, 0, 0, (0,), (255,), 1 / 255, 0, id="float-stated"),
    ],
)
def test_every_kind_of_input_reaches_the_model_as_it_should(
    tmp_path: Path,
    kind: int,
    scale: float,
    zero_point: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    per_step: float,
    zero: float,
) -> None:
    metadata = tiny_models.metadata(mean=mean, std=std) if mean else b""
    content = tiny_models.detector(kind, scale=scale, zero_point=zero_point, metadata=metadata)
    middle = 0 if zero == 0 else 128
    picture = np.random.default_rng(5).integers(middle, middle + 20, (2, 2, 3), np.uint8)
    with TfliteDetector(write(tmp_path, content)) as detector:
        found = detector.detect(picture)
    expected = expected_boxes((picture.reshape(-1) - zero) * per_step)
    assert np.array([each.bbox for each in found]) == pytest.approx(expected, abs=0.51 * max(scale, 0.001) * 0.2)


def test_other_types_of_input_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="int16"):
        level_table("int16", 1, 0)
    content = tiny_models.detector(tiny_models.INT32, scale=1.0)
    with pytest.raises(ModelError, match="its input is int32: convert it to one of uint8, int8, float32"):
        TfliteDetector(write(tmp_path, content)).open()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, picture: NDArray[Any]) -> None:
    with (
        TfliteDetector(write(tmp_path, tiny_models.detector())) as detector,
        pytest.raises(InputError, match=r"RGB, uint8 \[height, width, 3\] is wanted"),
    ):
        detector.detect(picture)


def test_candidates_below_the_floor_are_left_out(tmp_path: Path) -> None:
    with TfliteDetector(write(tmp_path, tiny_models.detector()), score_floor=0.5) as detector:
        assert [each.score for each in detector.detect(np.full((2, 2, 3), 128, np.uint8))] == [0.75, 0.5]


def test_classes_without_a_label_are_counted_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = write(tmp_path, b"cat\n???\n", "labels.txt")
    with TfliteDetector(write(tmp_path, tiny_models.detector()), labels) as detector:
        for _ in range(2):
            found = detector.detect(np.full((2, 2, 3), 128, np.uint8))
        assert [each.label for each in found] == ["cat", "class 1", "class 1"]
        assert detector.reader.unnamed == 4
    assert caplog.text.count("has no name for class 1") == 1


def test_boxes_without_a_size_are_discarded_and_counted(tmp_path: Path) -> None:
    # The size of a box is exp(code) of its anchor's: with codes of -2550 nothing is left.
    content = tiny_models.detector(tiny_models.FLOAT32, metadata=tiny_models.metadata(mean=[255], std=[0.1]))
    with TfliteDetector(write(tmp_path, content)) as detector:
        assert detector.detect(np.zeros((2, 2, 3), np.uint8)) == []
        assert detector.reader.discarded == 3
        assert len(detector.detect(np.full((2, 2, 3), 255, np.uint8))) == 3


def test_a_failed_inference_closes_the_detector_which_may_be_opened_again(tmp_path: Path) -> None:
    bad, good = np.full((2, 2, 3), 9, np.uint8), np.zeros((2, 2, 3), np.uint8)
    detector = TfliteDetector(write(tmp_path, tiny_models.fragile_detector()))
    detector.open()
    assert len(detector.detect(good)) == 3
    with pytest.raises(DetectorError, match="inference failed") as caught:
        detector.detect(bad)
    assert "\n" not in str(caught.value)
    with pytest.raises(DetectorError, match="is not open"):
        detector.detect(good)
    detector.open()
    assert len(detector.detect(good)) == 3
    detector.close()


def test_a_model_for_the_edge_tpu_is_refused_and_its_sibling_named(assets: Path, tmp_path: Path) -> None:
    compiled = assets / "models" / "ssd_mobilenet_v2_300_1class_edgetpu.tflite"
    sibling = assets / "models" / "ssd_mobilenet_v2_300_1class.tflite"
    with pytest.raises(ModelError, match="compiled for the Edge TPU") as caught:
        TfliteDetector(compiled).open()
    assert str(caught.value).endswith(f"use {sibling}")
    with TfliteDetector(sibling) as detector:
        assert len(detector.detect(np.zeros((300, 300, 3), np.uint8))) + detector.reader.discarded == 10
    alone = write(tmp_path, compiled.read_bytes(), "alone_edgetpu.tflite")
    with pytest.raises(ModelError, match="without _edgetpu in its name"):
        TfliteDetector(alone).open()


def test_what_is_no_detector_is_refused_for_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="an image classifier of 12 classes: edgecam needs an object detector"):
        TfliteDetector(write(tmp_path, tiny_models.classifier())).open()
    tensors = [tiny_models.TensorSpec("picture", (1, 2, 2, 3)), tiny_models.TensorSpec("mask", (1, 2, 2, 5))]
    with pytest.raises(ModelError, match=r"no detector edgecam knows \(outputs: mask \[1, 2, 2, 5\]\)"):
        TfliteDetector(write(tmp_path, tiny_models.model(tensors, [], [0], [1]))).open()


def test_a_model_the_runtime_cannot_run_is_refused_in_one_line(tmp_path: Path) -> None:
    content = tiny_models.detector(custom_ops=("op-of-tomorrow", "TFLite_Detection_PostProcess"))
    with pytest.raises(ModelError, match=r"cannot run it .*op-of-tomorrow") as caught:
        TfliteDetector(write(tmp_path, content)).open()
    assert "\n" not in str(caught.value)


def test_the_model_is_verified_before_the_runtime_sees_it(tmp_path: Path) -> None:
    whole = tiny_models.detector()
    with pytest.raises(ModelError, match="truncated or damaged"):
        TfliteDetector(write(tmp_path, whole[: len(whole) // 2])).open()
    with pytest.raises(ModelError, match="SHA-256"):
        TfliteDetector(write(tmp_path, whole), sha256="0" * 64).open()


def test_threads(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="-1 threads"):
        TfliteDetector(tmp_path / "tiny.tflite", threads=-1)
    assert 1 <= automatic_threads() <= 4


def test_kinds_are_looked_up_in_a_table(tmp_path: Path) -> None:
    assert isinstance(detectors.create("tflite", model=tmp_path / "tiny.tflite"), TfliteDetector)
    with pytest.raises(InputError, match="detector 'gpu': give one of tflite"):
        detectors.create("gpu")


def test_the_runtime_is_the_one_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = runtime.find_runtime()
    assert installed.name in runtime.RUNTIMES
    assert runtime.find_runtime(installed.name).name == installed.name
    monkeypatch.setenv("EDGECAM_RUNTIME", installed.name)
    assert runtime.find_runtime().name == installed.name
    monkeypatch.setenv("EDGECAM_RUNTIME", "onnx")
    with pytest.raises(InputError, match="runtime 'onnx': give auto, ai-edge-litert or tflite-runtime"):
        runtime.find_runtime()
    assert runtime.find_runtime(installed.name).name == installed.name


def test_a_missing_runtime_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGECAM_RUNTIME", raising=False)
    monkeypatch.setattr(runtime, "RUNTIMES", {"runtime-of-tomorrow": "runtime_of_tomorrow"})
    with pytest.raises(InputError, match="pip install runtime-of-tomorrow"):
        runtime.find_runtime()


def test_the_greeting_is_kept_off_stderr_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    def chatter() -> None:
        with runtime.without_greeting():
            os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
            sys.stderr.write("a line of ours\n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        chatter()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "a line of ours\nafter\n"


def test_opening_writes_nothing_to_stdout_or_stderr(tmp_path: Path) -> None:
    path = write(tmp_path, tiny_models.detector())
    write(tmp_path, b"cat\ndog", "tiny.txt")
    program = (
        "import numpy, sys, pathlib; from edgecam import detectors\n"
        "with detectors.create('tflite', model=pathlib.Path(sys.argv[1])) as detector:\n"
        "    assert len(detector.detect(numpy.full((2, 2, 3), 128, numpy.uint8))) == 3\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, path], capture_output=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def regular(**options: float) -> bytes:
    """A detector with regular suppression whose three anchors are of three classes."""
    scores = (0, 0.9, 0, 0, 0, 0, 0.8, 0, 0, 0, 0, 0.7)
    asked = {"use_regular_nms": 1, "detections_per_class": 3, "num_classes": 3, "nms_score_threshold": 0.1} | options
    return tiny_models.detector(scores=scores, options=tiny_models.postprocess_options() | asked)


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_regular_suppression_loses_no_class_on_any_number_of_threads(tmp_path: Path, threads: int) -> None:
    with TfliteDetector(write(tmp_path, regular()), threads=threads) as detector:
        found = detector.detect(np.full((2, 2, 3), 128, np.uint8))
    assert [detection.label for detection in found if detection.score > 0.1] == ["class 0", "class 1", "class 2"]


@pytest.mark.parametrize(("options", "threads"), [({}, 1), ({"use_regular_nms": 0}, 2), ({"num_classes": 2}, 2)])
def test_threads_are_given_up_only_where_a_class_would_be_lost(
    tmp_path: Path, options: dict[str, float], threads: int
) -> None:
    assert fitting_threads(ModelFile.load(write(tmp_path, regular(**options))), 2) == threads


def test_what_was_never_written_behind_the_count_does_no_harm(tmp_path: Path) -> None:
    signalling = np.array(0x7F800001, np.uint32).view(np.float32)  # a NaN that complains when it is converted
    box, none = [0.1, 0.1, 0.5, 0.5], [signalling] * 4
    outputs = {"boxes": [[box, none]], "classes": [[0, signalling]], "scores": [[0.9, signalling]], "count": [1]}
    with TfliteDetector(write(tmp_path, tiny_models.detector())) as detector:
        found = detector.reader.detections([np.array(values, np.float32) for values in outputs.values()])
    assert [round(each.score, 3) for each in found] == [0.9]
