"""Filters: labels, scores, sizes and shapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.filters import Filter, Filters
from edgecam.types import BBox, Detection

HD = (1280, 720)


def box_of(width: float, height: float) -> BBox:
    return BBox(0.0, 0.0, width, height)


@pytest.mark.parametrize(
    ("wanted", "box", "fits"),
    [
        (Filter(), box_of(1, 1), True),
        (Filter(min_area=0.25), box_of(0.5, 0.5), True),
        (Filter(min_area=0.25), box_of(0.5, 0.49), False),
        (Filter(max_area=0.25), box_of(0.5, 0.5), True),
        (Filter(max_area=0.25), box_of(0.5, 0.51), False),
        (Filter(min_ratio=1.0), box_of(0.28125, 0.5), True),
        (Filter(min_ratio=1.0), box_of(0.28, 0.5), False),
        (Filter(max_ratio=1.0), box_of(0.28125, 0.5), True),
        (Filter(max_ratio=1.0), box_of(0.282, 0.5), False),
        (Filter(min_ratio=0.4, max_ratio=2.0), box_of(0.1, 0.2), True),
    ],
)
def test_size_and_shape(wanted: Filter, box: BBox, *, fits: bool) -> None:
    assert wanted.fits(box, HD) is fits


def test_without_a_frame_size_there_is_no_shape() -> None:
    assert Filter(min_ratio=3.0).fits(box_of(0.1, 0.1), (0, 0))
    assert not Filter(min_area=0.5).fits(box_of(0.1, 0.1), (0, 0))


def test_labels_are_in_unless_left_out() -> None:
    assert Filters().counts("dog")
    assert Filters(labels=frozenset({"dog"})).counts("dog")
    assert not Filters(labels=frozenset({"dog"})).counts("cat")
    assert not Filters(exclude_labels=frozenset({"dog"})).counts("dog")


def test_a_label_has_its_own_filter_or_the_common_one() -> None:
    filters = Filters(Filter(0.5), {"bird": Filter(0.2)})
    assert filters.of("bird") == Filter(0.2)
    assert filters.of("dog") == Filter(0.5)
    assert filters.lowest_threshold == 0.2


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1), st.floats(0.01, 1))
def test_what_is_accepted_passes_half_the_threshold_and_the_sizes(
    score: float, threshold: float, width: float, height: float
) -> None:
    filters = Filters(Filter(threshold, min_area=0.1, max_area=0.6, min_ratio=0.5, max_ratio=2.0))
    box = box_of(width, height)
    expected = score >= threshold / 2 and 0.1 <= width * height <= 0.6
    expected = expected and 0.5 * height * 720 <= width * 1280 <= 2.0 * height * 720
    assert filters.accept(Detection("dog", score, box), box, HD) is expected
