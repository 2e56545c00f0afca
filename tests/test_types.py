"""The values: boxes behave like areas of the picture, pixels are read-only."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam.late_picture import LatePicture
from edgecam.testing import make_frame
from edgecam.types import AnnotatedFrame, BBox, Detection, EventType

coordinates = st.floats(-2, 3)
proper = st.builds(
    lambda x, y, w, h: BBox(x, y, x + w, y + h), coordinates, coordinates, st.floats(0.001, 2), st.floats(0.001, 2)
)
anything = st.builds(BBox, coordinates, coordinates, coordinates, coordinates)


@given(proper)
def test_a_box_is_its_centre_and_its_sides(box: BBox) -> None:
    x, y = box.center
    half_width, half_height = box.width / 2, box.height / 2
    assert (x - half_width, y - half_height, x + half_width, y + half_height) == pytest.approx(box)
    assert box.area == pytest.approx(box.width * box.height)


@given(anything)
def test_area_is_never_negative(box: BBox) -> None:
    assert box.area >= 0
    assert box.area > 0 or box.width <= 0 or box.height <= 0 or box.width * box.height < 1e-300


def test_a_twice_inverted_box_is_empty() -> None:
    assert BBox(0.5, 0.5, 0.1, 0.1).area == 0


@given(anything, anything)
def test_iou_is_symmetric_and_between_0_and_1(one: BBox, other: BBox) -> None:
    assert one.iou(other) == other.iou(one)
    assert 0 <= one.iou(other) <= 1 + 1e-9


@given(proper)
def test_iou_with_itself_is_1(box: BBox) -> None:
    assert box.iou(box) == pytest.approx(1)


@given(proper, proper, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_iou_does_not_change_when_both_move(one: BBox, other: BBox, dx: float, dy: float) -> None:
    moved = [BBox(box.xmin + dx, box.ymin + dy, box.xmax + dx, box.ymax + dy) for box in (one, other)]
    assert moved[0].iou(moved[1]) == pytest.approx(one.iou(other), abs=1e-6)


@pytest.mark.parametrize(
    ("other", "iou"),
    [
        (BBox(0, 0, 1, 1), 0.25),
        (BBox(0, 0, 0.25, 0.5), 0.5),
        (BBox(0.25, 0, 0.75, 0.5), 1 / 3),
        (BBox(0.5, 0, 1, 0.5), 0),
        (BBox(0.6, 0.6, 0.9, 0.9), 0),
        (BBox(0.2, 0.2, 0.2, 0.4), 0),
    ],
    ids=["around", "inside", "half beside", "touching", "apart", "empty"],
)
def test_iou_counted_by_hand(other: BBox, iou: float) -> None:
    assert BBox(0, 0, 0.5, 0.5).iou(other) == pytest.approx(iou)


@given(anything)
def test_clipping_keeps_what_is_inside(box: BBox) -> None:
    clipped = box.clipped()
    assert min(clipped) >= 0
    assert max(clipped) <= 1
    assert clipped.clipped() == clipped


@given(proper)
def test_a_clipped_box_is_the_overlap_with_the_frame(box: BBox) -> None:
    frame = BBox(0, 0, 1, 1)
    shared = box.clipped().area
    assert box.iou(frame) == pytest.approx(shared / (box.area + 1 - shared))


@given(proper, proper, st.floats(0, 1))
def test_toward_leads_from_one_to_the_other(one: BBox, other: BBox, fraction: float) -> None:
    assert one.toward(other, 0) == one
    assert one.toward(other, 1) == pytest.approx(other)
    assert one.toward(other, fraction) == pytest.approx(other.toward(one, 1 - fraction), abs=1e-9)


def test_values_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Detection("dog", 0.9, BBox(0, 0, 1, 1)).score = 1.0  # type: ignore[misc]


def test_pixels_are_read_only() -> None:
    frame = make_frame(0)
    annotated = AnnotatedFrame(frame, frame.main.copy(), (), None)
    for pixels in (frame.main, frame.lores, annotated.image):
        with pytest.raises(ValueError, match="read-only"):
            pixels[0, 0] = 1


def test_a_picture_is_drawn_once_and_only_for_who_looks() -> None:
    frame, drawn = make_frame(0), []

    def draw() -> NDArray[np.uint8]:
        drawn.append(frame.main.copy())
        return drawn[-1]

    annotated = AnnotatedFrame(frame, LatePicture(draw, frame.size), (), None)
    assert drawn == []
    with ThreadPoolExecutor(8) as lookers:
        seen = list(lookers.map(lambda _number: annotated.image, range(8)))
    assert len(drawn) == 1
    assert all(image is drawn[0] for image in seen)
    assert not annotated.image.flags.writeable


def test_a_frame_knows_its_size_and_is_only_equal_to_itself() -> None:
    frame = make_frame(7, 1.5, size=(64, 48))
    assert (frame.width, frame.height, frame.main.shape) == (64, 48, (72, 64))
    assert repr(frame) == "<Frame 7 64x48 t=1.500>"
    assert frame == frame  # noqa: PLR0124
    assert frame != make_frame(7, 1.5, size=(64, 48))


def test_event_types_are_frigates_words() -> None:
    assert [str(kind) for kind in EventType] == ["new", "update", "end"]
