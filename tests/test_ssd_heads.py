"""SSD models without the post-process operator: anchors against real models', boxes against the operator's."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_models
from flatbuffer_writer import flexbuffer_map
from numpy.typing import NDArray

from edgecam import models
from edgecam.detectors.runtime import find_runtime
from edgecam.detectors.tflite import TfliteDetector
from edgecam.errors import ModelError
from edgecam.families.anchors import MultiscaleAnchors, SsdAnchors
from edgecam.families.ssd_heads import decoded_boxes
from edgecam.modelfile import POSTPROCESS_OP, ModelFile, ModelForm
from edgecam.modelfile.flatbuffer import Flatbuffer
from edgecam.modelfile.form import write_form

SSD_V1 = "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
SIZE = (32, 32)
ANCHORS = 42
Table = NDArray[np.float64]


def written(folder: Path, content: bytes, form: ModelForm | None = None, name: str = "tiny.tflite") -> Path:
    path = folder / name
    path.write_bytes(write_form(content, form) if form else content)
    return path


def operator_of(file: ModelFile) -> Any:
    return next(each for each in file.structure.graphs[0].operators if each.custom == POSTPROCESS_OP)


@pytest.mark.parametrize(
    ("name", "anchors", "count"),
    [
        (SSD_V1, SsdAnchors(), 1917),
        ("ssdlite_mobiledet_dog_vs_cat.tflite", SsdAnchors(), 2034),
        ("ssd_mobilenet_v2_fpnlite_320_trafficlight_int8.tflite", MultiscaleAnchors(), 12804),
    ],
)
def test_the_anchors_are_those_inside_real_models(
    assets: Path, name: str, anchors: SsdAnchors | MultiscaleAnchors, count: int
) -> None:
    file = ModelFile.load(assets / "models" / name)
    index = operator_of(file).inputs[2]
    tensor = file.structure.graphs[0].tensors[index]
    interpreter = find_runtime().interpreter(model_content=file.content, num_threads=1)
    interpreter.allocate_tensors()
    stored = interpreter.get_tensor(index).astype(np.float64)
    step = tensor.scale or 1e-6
    real = (stored - tensor.zero_point) * tensor.scale if tensor.scale else stored
    generated = anchors.boxes(file.input_size)
    assert generated.shape == (count, 4)
    assert np.abs(generated - real).max() <= step


def test_anchors_of_pictures_that_are_no_squares_and_of_odd_sizes() -> None:
    boxes = SsdAnchors(layers=2, aspect_ratios=(1.0,), interpolated_scale_aspect_ratio=0.0).boxes((64, 32))
    assert len(boxes) == 2 * 4 * 3 + 1 * 2
    assert boxes[-1] == pytest.approx([0.5, 0.75, 0.95, 0.475])
    uneven = MultiscaleAnchors(min_level=3, max_level=3, aspect_ratios=(1.0,), scales_per_octave=1).boxes((20, 16))
    assert len(uneven) == 2 * 3
    assert uneven[0] == pytest.approx([0.25, 0.0, 2.0, 1.6])


def test_the_anchors_of_ssd_resnet50_fpn_at_640() -> None:
    """Its configuration: levels 3 to 7, scale 4, ratios 1, 2 and 0.5, two scales an octave."""
    boxes = MultiscaleAnchors().boxes((640, 640))
    assert len(boxes) == 6 * (80**2 + 40**2 + 20**2 + 10**2 + 5**2) == 51150
    assert boxes[0] == pytest.approx([4 / 640, 4 / 640, 32 / 640, 32 / 640])
    assert boxes[-6] == pytest.approx([576 / 640, 576 / 640, 512 / 640, 512 / 640])


def test_stated_scales_and_feature_maps_are_taken() -> None:
    anchors = SsdAnchors(
        feature_maps=((2, 1), (1, 1)), scales=(0.25, 0.36), aspect_ratios=(4.0,), reduce_boxes_in_lowest_layer=False
    )
    boxes = anchors.boxes(SIZE)
    assert len(boxes) == 6
    assert boxes[0] == pytest.approx([0.25, 0.5, 0.125, 0.5])
    assert boxes[1] == pytest.approx([0.25, 0.5, 0.3, 0.3])
    assert boxes[5] == pytest.approx([0.5, 0.5, 0.6, 0.6])


def test_a_box_code_is_undone() -> None:
    codes = np.array([[1.0, -2.0, 5 * math.log(2), 0.0], [0, 0, 1e9, -1e9]])
    boxes = decoded_boxes(codes, np.array([[0.5, 0.4, 0.2, 0.1]] * 2), (10, 10, 5, 5))
    assert boxes[0] == pytest.approx([0.33, 0.32, 0.43, 0.72])
    assert np.isfinite(boxes).all()


def with_operator(scores: int, regular: dict[str, float]) -> bytes:
    """Pictures whose first numbers are codes, the next scores, which the post-process operator reads."""
    content_of = SsdAnchors().boxes(SIZE).astype(np.float32).tobytes()
    count = ANCHORS * scores
    tensors = [
        tiny_models.TensorSpec("picture", (1, 32, 32, 3)),
        tiny_models.TensorSpec("flat shape", (1,), tiny_models.INT32, struct.pack("<i", 3072)),
        tiny_models.TensorSpec("flat", (3072,)),
        tiny_models.TensorSpec("zero", (1,), tiny_models.INT32, struct.pack("<i", 0)),
        tiny_models.TensorSpec("codes size", (1,), tiny_models.INT32, struct.pack("<i", 4 * ANCHORS)),
        tiny_models.TensorSpec("codes part", (4 * ANCHORS,)),
        tiny_models.TensorSpec("codes shape", (3,), tiny_models.INT32, struct.pack("<3i", 1, ANCHORS, 4)),
        tiny_models.TensorSpec("codes", (1, ANCHORS, 4)),
        tiny_models.TensorSpec("scores size", (1,), tiny_models.INT32, struct.pack("<i", count)),
        tiny_models.TensorSpec("scores part", (count,)),
        tiny_models.TensorSpec("scores shape", (3,), tiny_models.INT32, struct.pack("<3i", 1, ANCHORS, scores)),
        tiny_models.TensorSpec("scores", (1, ANCHORS, scores)),
        tiny_models.TensorSpec("anchors", (ANCHORS, 4), content=content_of),
        *(
            tiny_models.TensorSpec(f"post:{n}", shape)
            for n, shape in enumerate([(1, 100, 4), (1, 100), (1, 100), (1,)])
        ),
    ]
    options = flexbuffer_map(tiny_models.postprocess_options() | regular)
    operators = [
        tiny_models.OperatorSpec(tiny_models.RESHAPE, (0, 1), (2,)),
        tiny_models.OperatorSpec(tiny_models.SLICE, (2, 3, 4), (5,)),
        tiny_models.OperatorSpec(tiny_models.RESHAPE, (5, 6), (7,)),
        tiny_models.OperatorSpec(tiny_models.SLICE, (2, 4, 8), (9,)),
        tiny_models.OperatorSpec(tiny_models.RESHAPE, (9, 10), (11,)),
        tiny_models.OperatorSpec(POSTPROCESS_OP, (7, 11, 12), (13, 14, 15, 16), options),
    ]
    return tiny_models.model(tensors, operators, (0,), (13, 14, 15, 16))


def codes_and_scores(seed: int, scores: int) -> NDArray[np.uint8]:
    """A picture whose codes shrink the boxes, so that most lie inside, and whose scores all differ."""
    random = np.random.default_rng(seed)
    picture = np.zeros(3072, np.uint8)
    codes = random.integers(90, 166, (ANCHORS, 4))
    codes[:, 2:] = random.integers(28, 90, (ANCHORS, 2))
    picture[: 4 * ANCHORS] = codes.ravel()
    picture[4 * ANCHORS : (4 + scores) * ANCHORS] = random.permutation(ANCHORS * scores)
    return picture.reshape(32, 32, 3)


@pytest.mark.parametrize("seed", range(6))
def test_the_same_is_found_as_by_the_operator_with_regular_suppression(tmp_path: Path, seed: int) -> None:
    """The operator's own scores: (value - 0) / 255; its codes: value / 255 - 0.5, in steps of scales 0.1 and 0.2."""
    scores = 5
    picture = codes_and_scores(seed, scores)
    regular = {
        "use_regular_nms": 1, "num_classes": scores - 1, "max_detections": 100, "detections_per_class": 100,
        "nms_score_threshold": 0.6, "nms_iou_threshold": 0.3, "y_scale": 1.0, "x_scale": 1.0, "h_scale": 1.0,
        "w_scale": 1.0,
    }  # fmt: skip
    normal = {"mean": [0], "std": [255]}
    options = {**normal, "min_score": 0.6, "max_overlap": 0.3, "scores": "sigmoid", "box_coder": [1, 1, 1, 1]}
    outputs = {"boxes": (1, ANCHORS, 4), "scores": (1, ANCHORS, scores)}
    ours = written(tmp_path, tiny_models.heads(SIZE, outputs, tiny_models.FLOAT32),
                   ModelForm("ssd-heads", "stretch", options))  # fmt: skip
    theirs = written(
        tmp_path, with_operator(scores, regular), ModelForm("ssd-postprocess", options=normal), "op.tflite"
    )
    with TfliteDetector(ours) as one, TfliteDetector(theirs) as other:
        found = one.detect(picture)
        expected = [each for each in other.detect(picture) if each.score >= 0.6]
    assert len(found) > 10

    def rounded(detection: Any) -> tuple[Any, ...]:
        return -round(detection.score, 4), detection.label, *(round(edge, 4) for edge in detection.bbox)

    pairs = zip(sorted(map(rounded, found)), sorted(map(rounded, expected)), strict=True)
    for mine, its in pairs:
        assert mine[1] == its[1]
        assert (mine[0], *mine[2:]) == pytest.approx((its[0], *its[2:]), abs=2e-4)


@pytest.mark.parametrize(
    ("kind", "background", "first"),
    [("sigmoid", True, 0.75), ("logits", True, 1 / (1 + math.exp(-0.75))), ("sigmoid", False, 0.75),
     ("softmax-logits", True, math.exp(0.75) / (math.exp(0.75) + math.exp(0.5) + 1)), ("softmax", True, 0.75)],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [tiny_models.UINT8, tiny_models.INT8, tiny_models.FLOAT32], ids=["u8", "i8", "f32"])
def test_scores_of_every_kind_are_read(tmp_path: Path, kind: str, background: bool, first: float, dtype: int) -> None:  # noqa: FBT001
    outputs = {"boxes": (1, ANCHORS, 4), "scores": (1, ANCHORS, 3)}
    zero = -128 if dtype == tiny_models.INT8 else 0
    content = tiny_models.heads(SIZE, outputs, dtype, scale=1 / 256, zero_point=zero)
    options = {"scores": kind, "background": background, "mean": [0], "std": [256], "min_score": 0.3}
    picture = np.zeros(3072, np.uint8)
    picture[4 * ANCHORS + 3 * 7 : 4 * ANCHORS + 3 * 8] = (0, 192, 128)
    with TfliteDetector(written(tmp_path, content, ModelForm("ssd-heads", options=options))) as detector:
        found = detector.detect(picture.reshape(32, 32, 3))
    assert found[0].label == ("class 0" if background else "class 1")
    assert found[0].score == pytest.approx(first, abs=1e-5)
    anchor = SsdAnchors().boxes(SIZE)[7]
    assert found[0].bbox.center == pytest.approx((anchor[1], anchor[0]), abs=0.05)


@pytest.mark.parametrize(("count", "kind"), [(42, "ssd"), (138, "multiscale")])
def test_the_form_is_told_by_the_number_of_anchors_and_the_range_of_the_scores(
    tmp_path: Path, count: int, kind: str
) -> None:
    content = tiny_models.heads(SIZE, {"scores": (1, count, 7), "boxes": (1, count, 4)})
    file = ModelFile.load(written(tmp_path, content))
    form = models.form_of(file)
    assert (form.family, form.resize) == ("ssd-heads", "stretch")
    assert (form.options["anchors"]["kind"], form.options["scores"]) == (kind, "sigmoid")
    assert models.classes_of(file) == 6
    wide = tiny_models.heads(SIZE, {"scores": (1, count, 7), "boxes": (1, count, 4)}, scale=0.05, zero_point=128)
    assert models.form_of(ModelFile.load(written(tmp_path, wide))).options["scores"] == "logits"


@pytest.mark.parametrize(
    ("outputs", "options", "complaint"),
    [
        ({"a": (1, 41, 4), "b": (1, 41, 3)}, None, "41 anchors, of no usual kind: state the option `anchors`"),
        ({"a": (1, 41, 4), "b": (1, 41, 3)}, {}, "42 or 138 anchors do not fit boxes and scores of .*state the option"),
        ({"a": (1, 42, 4), "b": (1, 42, 4)}, {}, "state the options `box_output` and `score_output`"),
        ({"a": (1, 42, 4), "b": (1, 42, 3)}, {"box_output": 0, "score_output": 5}, "state the options `box_output`"),
        ({"a": (1, 42, 4), "b": (1, 42, 3)}, {"anchors": {"kind": "ssd", "layers": 0}}, "option anchors.ssd.layers: "),
        ({"a": (1, 42, 4), "b": (1, 42, 3)}, {"anchors": {"kind": "yolo"}}, "option anchors: "),
        ({"a": (1, 42, 4), "b": (1, 42, 3)}, {"scores": "none"}, "option scores: "),
    ],
)
def test_what_cannot_be_told_is_refused_with_what_to_state(
    tmp_path: Path, outputs: dict[str, Any], options: dict[str, Any] | None, complaint: str
) -> None:
    form = None if options is None else ModelForm("ssd-heads", options=options)
    with pytest.raises(ModelError, match=complaint) as caught:
        TfliteDetector(written(tmp_path, tiny_models.heads(SIZE, outputs), form)).open()
    assert "\n" not in str(caught.value)


def test_boxes_and_scores_of_one_shape_are_told_apart_by_their_stated_places(tmp_path: Path) -> None:
    content = tiny_models.heads(SIZE, {"scores": (1, 42, 4), "boxes": (1, 42, 4)})
    form = ModelForm("ssd-heads", options={"box_output": 1, "score_output": 0, "scores": "sigmoid"})
    picture = np.zeros(3072, np.uint8)
    picture[3] = 200
    with TfliteDetector(written(tmp_path, content, form)) as detector:
        found = detector.detect(picture.reshape(32, 32, 3))
    assert [(each.label, each.score) for each in found] == [("class 2", 200 / 256)]


def without_operator(content: bytes, file: ModelFile) -> bytes:
    """A real model whose outputs are what goes into its post-process operator."""
    graph = Flatbuffer(content, b"TFL3").root().tables(2)[0]
    place = graph.place(2)
    assert place is not None
    changed = bytearray(content)
    struct.pack_into("<3I", changed, place, 2, *operator_of(file).inputs[:2])
    return bytes(changed)


def test_a_real_model_finds_the_same_without_its_operator(assets: Path, tmp_path: Path) -> None:
    path = assets / "models" / SSD_V1
    file = ModelFile.load(path)
    bare = written(tmp_path, without_operator(file.content, file))
    form = models.form_of(ModelFile.load(bare))
    assert (form.family, form.options["scores"], form.options["anchors"]["kind"]) == ("ssd-heads", "sigmoid", "ssd")
    with TfliteDetector(path) as whole, TfliteDetector(bare) as heads:
        for picture in sorted((assets / "images" / "coco_val" / "images").glob("*.jpg"))[:12]:
            pixels = np.asarray(cv2.imread(str(picture)), np.uint8)[:, :, ::-1]
            found = heads.detect(pixels)
            best = whole.detect(pixels)[0]  # nothing suppresses it, but of equal ones either may be kept
            same = [each for each in found if each.label == best.label and abs(each.score - best.score) < 1e-3]
            assert max(each.bbox.iou(best.bbox) for each in same) > 0.6
