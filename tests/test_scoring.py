"""Precision and recall, worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from edgecam.scoring import Tally, tally
from edgecam.types import BBox, Detection


@dataclass(frozen=True)
class Thing:
    label: str
    bbox: BBox
    difficult: bool = False


LEFT, RIGHT = BBox(0.1, 0.1, 0.3, 0.5), BBox(0.6, 0.1, 0.8, 0.5)
NEAR_LEFT = BBox(0.11, 0.1, 0.31, 0.5)


def test_found_missed_and_false() -> None:
    seen = [Detection("dog", 0.9, NEAR_LEFT), Detection("dog", 0.8, BBox(0.4, 0.6, 0.5, 0.7))]
    result = tally(seen, [Thing("dog", LEFT), Thing("dog", RIGHT)])
    assert result == Tally(found=1, missed=1, false=1)
    assert (result.precision, result.recall) == (0.5, 0.5)


def test_an_object_is_found_once_and_by_its_best_detection() -> None:
    seen = [Detection("dog", 0.6, LEFT), Detection("dog", 0.9, NEAR_LEFT)]
    assert tally(seen, [Thing("dog", LEFT)]) == Tally(found=1, missed=0, false=1)


def test_the_wrong_label_is_both_a_miss_and_false() -> None:
    assert tally([Detection("cat", 0.9, LEFT)], [Thing("dog", LEFT)]) == Tally(found=0, missed=1, false=1)


def test_a_difficult_object_counts_neither_way() -> None:
    hidden = Thing("dog", LEFT, difficult=True)
    assert tally([], [hidden]) == Tally()
    assert tally([Detection("dog", 0.9, LEFT)], [hidden]) == Tally()


def test_nothing_seen_where_nothing_is_there_is_perfect() -> None:
    assert (Tally().precision, Tally().recall) == (1.0, 1.0)


boxes = st.builds(
    lambda x, y, w, h: BBox(x, y, min(1.0, x + w), min(1.0, y + h)),
    *(st.floats(0, 0.9) for _ in range(2)),
    *(st.floats(0.05, 0.5) for _ in range(2)),
)


@given(
    truths=st.lists(st.builds(Thing, st.sampled_from(["cat", "dog"]), boxes, st.booleans()), max_size=6), data=st.data()
)
def test_every_object_and_detection_is_accounted_for(truths: list[Thing], data: st.DataObject) -> None:
    seen = data.draw(
        st.lists(st.builds(Detection, st.sampled_from(["cat", "dog"]), st.floats(0, 1), boxes), max_size=6)
    )
    result = tally(seen, truths)
    assert result.found + result.missed == sum(not truth.difficult for truth in truths)
    assert result.found + result.false <= len(seen)


@given(truths=st.lists(st.builds(Thing, st.just("dog"), boxes), max_size=6))
def test_the_truth_itself_is_perfect(truths: list[Thing]) -> None:
    seen = [Detection(truth.label, 0.9, truth.bbox) for truth in truths]
    assert tally(seen, truths) == Tally(found=len(truths))
