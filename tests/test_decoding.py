"""Pictures become input tensors, output tensors become candidates: values in, values out."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from edgecam.detectors.picture import PictureEncoder, level_table
from edgecam.families.family import dequantised
from edgecam.families.ssd_postprocess import decode, output_roles


@given(st.sampled_from(["uint8", "int8"]), st.floats(0.001, 0.1), st.integers(-128, 255))
def test_integer_inputs_get_the_picture_itself_unless_told_otherwise(dtype: str, scale: float, zero: int) -> None:
    table = level_table(dtype, scale, zero)
    assert (table[:, 0].astype(int) - np.iinfo(dtype).min == np.arange(256)).all()


@given(
    st.sampled_from(["uint8", "int8"]),
    st.floats(0.005, 0.03),
    st.floats(20, 200),
    st.floats(20, 200),
    st.integers(0, 90),
)
def test_stated_normalisation_survives_quantisation(
    dtype: str, scale: float, mean: float, std: float, zero: int
) -> None:
    limits = np.iinfo(dtype)
    zero_point = zero + limits.min
    table = level_table(dtype, scale, zero_point, (mean,), (std,))[:, 1].astype(float)
    wanted = np.clip(
        (np.arange(256) - mean) / std, (limits.min - zero_point) * scale, (limits.max - zero_point) * scale
    )
    # Within rounding; where the picture's own levels are as near, those are taken.
    assert np.abs((table - zero_point) * scale - wanted).max() <= 2.51 * scale


def test_normalisation_may_differ_between_channels() -> None:
    table = level_table("float32", 0, 0, (0, 100, 200), (1, 2, 4))
    assert table[100].tolist() == [100, 0, -25]


def test_pictures_are_stretched_to_fit() -> None:
    encode = PictureEncoder((8, 4), level_table("uint8", 1 / 128, 128))
    picture = np.zeros((40, 20, 3), np.uint8)
    picture[:20] = 200
    tensor = encode(picture)
    assert tensor.shape == (1, 4, 8, 3)
    assert tensor[0, :2].min() == 200
    assert tensor[0, 2:].max() == 0


def test_roles_follow_the_operator_then_the_signature_then_the_order() -> None:
    boxes_first = {"boxes": 0, "classes": 1, "scores": 2, "count": 3}
    scores_first = {"scores": 0, "boxes": 1, "count": 2, "classes": 3}
    signature = {"output_0": 2, "output_1": 0, "output_2": 3, "output_3": 1}
    first, second = [(1, 10, 4), (1, 10), (1, 10), (1,)], [(1, 10), (1, 10, 4), (1,), (1, 10)]
    assert output_roles(("boxes", "classes", "scores", "count"), signature, second) == boxes_first
    assert output_roles(("", "", "scores", "count"), signature, first) == scores_first
    assert output_roles((), {}, first) == boxes_first
    assert output_roles((), {"other": 0}, second) == scores_first


@given(arrays.arrays(np.uint8, 20), st.floats(0.001, 1), st.integers(0, 255))
def test_dequantisation(values: NDArray[np.uint8], scale: float, zero_point: int) -> None:
    assert dequantised(values, scale, zero_point).tolist() == [(int(q) - zero_point) * scale for q in values]
    assert dequantised(values.astype(np.float32), 0.0, 0).tolist() == values.tolist()


ODD_NUMBERS = st.floats(-2, 3) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1.0])


@given(st.data())
def test_decoding_gives_only_usable_candidates_best_first(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 8))
    boxes = data.draw(arrays.arrays(np.float64, (1, number, 4), elements=ODD_NUMBERS))
    classes, scores = (data.draw(arrays.arrays(np.float64, (1, number), elements=ODD_NUMBERS)) for _ in range(2))
    count = data.draw(st.integers(-1, 10) | st.just(math.nan))
    found = decode(boxes, classes, scores, np.array([count]))
    considered = 0 if math.isnan(count) else min(max(count, 0), number)
    assert len(found.scores) + found.discarded == considered
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.boxes >= 0) & (found.boxes <= 1)).all()
    assert (found.boxes[:, :2] < found.boxes[:, 2:]).all()
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert (found.classes >= 0).all()


def test_decoding_turns_and_cuts_boxes() -> None:
    boxes = np.array([[[0.1, 0.2, 0.3, 0.4], [-0.5, 0.5, 0.5, 1.5], [0.5, 0.5, 0.5, 0.9], [0.0, 0.0, 1.0, 1.0]]])
    found = decode(boxes, np.array([[3.0, 1, 0, 0]]), np.array([[0.5, 0.9, 0.8, 0.7]]), np.array([3.0]))
    assert found.boxes.tolist() == [[0.5, 0.0, 1.0, 0.5], [0.2, 0.1, 0.4, 0.3]]
    assert found.classes.tolist() == [1, 3]
    assert found.discarded == 1
