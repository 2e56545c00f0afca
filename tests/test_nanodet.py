"""NanoDet: every arrangement of its outputs, against a plain decoder; and the published model on photographs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam import models
from edgecam.detectors.tflite import TfliteDetector
from edgecam.errors import ModelError
from edgecam.families import nanodet, outputs_of
from edgecam.modelfile import ModelFile, ModelForm
from edgecam.modelfile.form import write_form
from edgecam.types import BBox, Detection

SIZE = (96, 64)
M, PLUS = (8, 16, 32), (8, 16, 32, 64)
#: One number per pixel and channel: float inputs get (value - 128) / 32, about -4 to 4.
NORMALISED: dict[str, Any] = {"mean": [128], "std": [32]}
Picture = NDArray[np.uint8]


def cells(strides: Sequence[int], size: tuple[int, int] = SIZE) -> list[int]:
    return [math.ceil(size[0] / stride) * math.ceil(size[1] / stride) for stride in strides]


def arrangement(kind: str, strides: Sequence[int], classes: int, bins: int) -> Mapping[str, Sequence[int]]:
    """Names and shapes of the outputs, in one of the arrangements that exporters make."""
    wide, counts = 4 * bins, cells(strides)
    match kind:
        case "pairs":
            pairs = [(("scores", count, classes), ("bins", count, wide)) for count in counts]
            return {f"{name}{count}": (1, count, width) for name, count, width in chain(*pairs)}
        case "boxes first":
            boxes = {f"bins{count}": (1, count, wide) for count in counts}
            return boxes | {f"scores{count}": (1, count, classes) for count in reversed(counts)}
        case "maps":
            return {f"map{s}": (1, math.ceil(64 / s), math.ceil(96 / s), classes + wide) for s in strides}
        case "two":
            return {"scores": (1, sum(counts), classes), "bins": (1, sum(counts), wide)}
    return {"all": (1, sum(counts), classes + wide)}


KINDS = ("pairs", "boxes first", "maps", "two", "one")


def numbers(picture: Picture, outputs: Mapping[str, Sequence[int]], strides: Sequence[int], classes: int) -> Picture:
    """The numbers of every point in the picture, score columns first: [points, classes + 4 * bins]."""
    flat, first, scores, bins = picture.reshape(-1), 0, {}, {}
    for shape in outputs.values():
        part = flat[first : first + math.prod(shape)].reshape(-1, shape[-1])
        first += part.size
        if shape[-1] == classes:
            scores[len(part)] = part
        elif (scores and shape[-1] % 4 == 0) or any(name.startswith("bins") for name in outputs):
            bins[len(part)] = part
        else:
            scores[len(part)], bins[len(part)] = part[:, :classes], part[:, classes:]
    order = cells(strides) if len(scores) > 1 else list(scores)
    return np.concatenate([np.concatenate([scores[count], bins[count]], axis=1) for count in order])


def plain(
    table: NDArray[np.float64], strides: Sequence[int], classes: int, bins: int, offset: float, floor: float
) -> list[tuple[int, float, BBox]]:
    """All candidates with a score of `floor` or more, point by point."""
    found, row = [], 0
    for stride in strides:
        for y in range(math.ceil(SIZE[1] / stride)):
            for x in range(math.ceil(SIZE[0] / stride)):
                sides = []
                for side in table[row, classes:].reshape(4, bins):
                    powers = [math.exp(each) for each in side]
                    sides.append(sum(n * each for n, each in enumerate(powers)) / sum(powers) * stride)
                cx, cy = (x + offset) * stride, (y + offset) * stride
                edges = (cx - sides[0], cy - sides[1], cx + sides[2], cy + sides[3])
                box = BBox(*(edge / SIZE[at % 2] for at, edge in enumerate(edges))).clipped()
                found += [(c, table[row, c], box) for c in range(classes) if table[row, c] >= floor and box.area > 0]
                row += 1
    return found


def survivors(found: list[tuple[int, float, BBox]], overlap: float) -> list[tuple[int, float, BBox]]:
    kept: list[tuple[int, float, BBox]] = []
    for each in sorted(found, key=lambda each: -each[1]):
        if all(each[0] != other[0] or each[2].iou(other[2]) <= overlap for other in kept):
            kept.append(each)
    return kept


def check_same(found: Sequence[Detection], expected: Sequence[tuple[int, float, BBox]]) -> None:
    """The same candidates; those of one score in any order."""

    def sortable(label: str, score: float, box: Sequence[float]) -> tuple[Any, ...]:
        return -round(score, 6), label, *(round(edge, 5) for edge in box)

    ours = sorted(sortable(each.label, each.score, each.bbox) for each in found)
    theirs = sorted(sortable(f"class {number}", score, box) for number, score, box in expected)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one[1] == other[1]
        assert (one[0], *one[2:]) == pytest.approx((other[0], *other[2:]), abs=3e-5)


def written(folder: Path, content: bytes, form: ModelForm | None = None) -> Path:
    path = folder / "tiny.tflite"
    path.write_bytes(write_form(content, form) if form else content)
    return path


def speckled(outputs: Mapping[str, Sequence[int]], seed: int = 5) -> Picture:
    """Noise, mostly dark, so that few candidates have a high score."""
    noise = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3))
    return (noise**3 // 255**2).astype(np.uint8)


FORMS = [(M, 8, 0.5), (M, 11, 0.5), (PLUS, 8, 0.0)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("strides", "bins", "offset"), FORMS, ids=["m", "g", "plus"])
@pytest.mark.parametrize("dtype", [tiny_models.UINT8, tiny_models.INT8, tiny_models.FLOAT32], ids=["u8", "i8", "f32"])
def test_every_arrangement_is_decoded_as_a_plain_loop_does(
    tmp_path: Path, kind: str, strides: tuple[int, ...], bins: int, offset: float, dtype: int
) -> None:
    outputs = arrangement(kind, strides, 3, bins)
    options = {"strides": list(strides), "bins": bins, "classes": 3, "center_offset": offset, "min_score": 0.5}
    if dtype == tiny_models.FLOAT32:
        options |= {**NORMALISED, "scores": "logits"}
    zero = {tiny_models.UINT8: 20, tiny_models.INT8: -108, tiny_models.FLOAT32: 0}[dtype]
    path = written(
        tmp_path, tiny_models.heads(SIZE, outputs, dtype, scale=1 / 200, zero_point=zero),
        ModelForm("nanodet", "stretch", options),
    )  # fmt: skip
    picture = speckled(outputs)
    stored = numbers(picture, outputs, strides, 3).astype(np.float64)
    real = (stored - 20) / 200 if dtype != tiny_models.FLOAT32 else (stored - 128) / 32
    if dtype == tiny_models.FLOAT32:
        real[:, :3] = 1 / (1 + np.exp(-real[:, :3]))
    expected = survivors(plain(real, strides, 3, bins, offset, 0.5), 0.6)
    with TfliteDetector(path) as detector:
        found = detector.detect(picture)
    assert 10 < len(expected) <= 100
    check_same(found, [(number, min(score, 1.0), box) for number, score, box in expected])


@settings(max_examples=15)
@given(
    st.integers(1, 90).filter(lambda count: count not in {32, 44}),
    st.sampled_from(FORMS),
    st.sampled_from(["pairs", "two"]),
)
def test_separate_outputs_tell_the_form(
    tmp_path_factory: pytest.TempPathFactory, classes: int, form: tuple[Any, ...], kind: str
) -> None:
    strides, bins, offset = form
    size = (416, 320)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, width in (("scores", classes), ("bins", 4 * bins)):
        counts = cells(strides, size) if kind == "pairs" else [sum(cells(strides, size))]
        shapes |= {f"{name}{count}": (1, count, width) for count in counts}
    tensors = [tiny_models.TensorSpec("picture", (1, size[1], size[0], 3), tiny_models.UINT8, scale=1.0)]
    tensors += [tiny_models.TensorSpec(name, shape, tiny_models.UINT8, scale=0.1) for name, shape in shapes.items()]
    path = tmp_path_factory.mktemp("nanodet") / "model.tflite"
    path.write_bytes(tiny_models.model(tensors, [], [0], list(range(1, len(tensors)))))
    told = models.form_of(ModelFile.load(path))
    wanted = {"strides": list(strides), "bins": bins, "classes": classes, "center_offset": offset, "scores": "sigmoid"}
    assert (told.family, told.resize) == ("nanodet", "letterbox")
    assert {name: told.options[name] for name in wanted} == wanted
    assert told.options["channels"] == "bgr"
    assert models.classes_of(ModelFile.load(path)) == classes


def fused(folder: Path, width: int) -> Path:
    content = tiny_models.heads((416, 416), {"all": (1, 3549, width)}) if width < 100 else b""
    if not content:
        tensors = [
            tiny_models.TensorSpec("picture", (1, 416, 416, 3)), tiny_models.TensorSpec("all", (1, 3549, width)),
        ]  # fmt: skip
        content = tiny_models.model(tensors, [], [0], [1])
    return written(folder, content)


@pytest.mark.parametrize(("width", "classes", "bins"), [(112, 80, 8), (124, 80, 11), (33, 1, 8)])
def test_fused_outputs_of_coco_and_of_one_class_tell_the_form(
    tmp_path: Path, width: int, classes: int, bins: int
) -> None:
    told = models.form_of(ModelFile.load(fused(tmp_path, width)))
    assert (told.options["classes"], told.options["bins"]) == (classes, bins)


def test_what_can_be_read_in_two_ways_is_refused_with_what_to_state(tmp_path: Path) -> None:
    path = fused(tmp_path, 60)
    with pytest.raises(ModelError, match=r"more than one way: state the options `classes` and `bins`") as caught:
        models.check_detector(ModelFile.load(path))
    assert "\n" not in str(caught.value)
    stated = ModelForm("nanodet", "letterbox", {"classes": 16, "bins": 11})
    models.check_detector(ModelFile.load(written(tmp_path, path.read_bytes(), stated)))


def test_scores_and_bins_of_one_shape_are_told_apart_only_by_their_places(tmp_path: Path) -> None:
    outputs = {"a": (1, sum(cells(M)), 32), "b": (1, sum(cells(M)), 32)}
    tensors = [tiny_models.TensorSpec("picture", (1, 64, 96, 3))]
    tensors += [tiny_models.TensorSpec(name, shape) for name, shape in outputs.items()]
    content = tiny_models.model(tensors, [], [0], [1, 2])
    with pytest.raises(ModelError, match="more than one way"):
        models.check_detector(ModelFile.load(written(tmp_path, content)))
    form = ModelForm("nanodet", options={"classes": 32, "score_outputs": [1], "box_outputs": [0]})
    file = ModelFile.load(written(tmp_path, content, form))
    models.check_detector(file)
    options = nanodet.NanodetOptions.of(form)
    layout = nanodet.layouts(options, file.input_size, outputs_of(file))[0]
    assert (layout.scores[0].output, layout.boxes[0].output) == (1, 0)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"bins": 9}, r"outputs of .* do not fit 9 bins and strides 8, 16, 32: state the options that do"),
        ({"strides": [8, 16]}, r"do not fit 8 bins and strides 8, 16"),
        ({"classes": 5}, r"do not fit 5 classes, 8 bins"),
        ({"strides": []}, r"nanodet: option strides: "),
        ({"center_offset": "left"}, r"nanodet: option center_offset: "),
        ({"reg_max": 7}, r"nanodet: option reg_max: "),
        ({"mean": [1, 2, 3, 4]}, r"nanodet: option mean and std: "),
    ],
)
def test_a_form_that_does_not_fit_is_refused_in_a_line(tmp_path: Path, options: dict[str, Any], complaint: str) -> None:
    content = tiny_models.heads(SIZE, arrangement("two", M, 3, 8))
    path = written(tmp_path, content, ModelForm("nanodet", "stretch", options))
    with pytest.raises(ModelError, match=complaint) as caught:
        TfliteDetector(path).open()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


def test_the_expectation_is_that_of_a_softmax_and_survives_large_numbers() -> None:
    logits = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 1000.0, 0.0, 0.0], [-1000.0, -1000.0, -1000.0, -999.0]])
    assert nanodet.expectation(logits) == pytest.approx([1.5, 1.0, (3 * math.e + 3) / (3 + math.e)])


@pytest.mark.parametrize(("offset", "first", "last"), [(0.5, (4, 4), (28, 12)), (0.0, (0, 0), (24, 8))])
def test_points_lie_in_the_middle_or_the_corner(offset: float, first: Any, last: Any) -> None:
    centres, reach = nanodet.points((32, 16), (8,), offset)
    assert (centres[0] * (32, 16)).tolist() == list(first)
    assert (centres[-1] * (32, 16)).tolist() == list(last)
    assert (reach[0] * (32, 16, 32, 16)).tolist() == [8, 8, 8, 8]
