"""Class-wise suppression against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam.families.suppression import LIMIT, best, suppressed
from edgecam.types import BBox

pytestmark = pytest.mark.any_runtime

# Few different edges and scores, so that boxes often coincide, touch, are empty, and score the same.
edges = st.sampled_from([0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0])
candidates = st.lists(
    st.tuples(edges, edges, edges, edges, st.integers(0, 2), st.sampled_from([0.1, 0.3, 0.5, 0.9])), max_size=40
)
Table = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]


def table(rows: list[tuple[float, float, float, float, int, float]]) -> Table:
    """Boxes, classes and scores; the corners of each box put in order."""
    numbers = np.array(rows, np.float64).reshape(-1, 6)
    low, high = np.minimum(numbers[:, :2], numbers[:, 2:4]), np.maximum(numbers[:, :2], numbers[:, 2:4])
    return np.concatenate([low, high], axis=1), numbers[:, 4].astype(np.int64), numbers[:, 5]


def loop(found: Table, limit: float) -> list[int]:
    """The candidates kept, one after the other from the best."""
    boxes, classes, scores = found
    kept: list[int] = []
    for at in sorted(range(len(scores)), key=lambda at: -scores[at]):
        box = BBox(*boxes[at])
        if all(classes[at] != classes[other] or box.iou(BBox(*boxes[other])) <= limit for other in kept):
            kept.append(at)
    return kept


@given(candidates, st.sampled_from([0.0, 0.2, 0.45, 0.6, 1.0]))
def test_it_keeps_what_a_plain_loop_keeps(
    rows: list[tuple[float, float, float, float, int, float]], limit: float
) -> None:
    boxes, classes, scores = table(rows)
    assert suppressed(boxes, classes, scores, limit).tolist() == loop((boxes, classes, scores), limit)


def test_a_long_chain_of_overlaps_is_followed_to_its_end() -> None:
    left = np.arange(60) * 0.005
    boxes = np.stack([left, np.zeros(60), left + 0.02, np.ones(60)], axis=1)
    scores = np.linspace(0.9, 0.3, 60)
    classes = np.zeros(60, np.int64)
    kept = suppressed(boxes, classes, scores, 0.55).tolist()
    assert kept == loop((boxes, classes, scores), 0.55)
    assert 20 <= len(kept) < 60


def test_boxes_of_different_classes_leave_each_other_alone() -> None:
    boxes = np.tile([0.1, 0.1, 0.5, 0.5], (4, 1))
    kept = suppressed(boxes, np.array([0, 1, 0, 2]), np.array([0.5, 0.6, 0.7, 0.4]), 0.5)
    assert kept.tolist() == [2, 1, 3]


def test_the_work_is_bounded() -> None:
    count = LIMIT + 300
    left = np.linspace(0, 0.99, count)
    boxes = np.stack([left, left, left + 1e-4, left + 1e-4], axis=1)
    scores = np.linspace(0.1, 0.9, count)
    kept = suppressed(boxes, np.zeros(count, np.int64), scores, 0.5)
    assert kept.tolist() == list(range(count - 1, count - 1 - LIMIT, -1))
    assert suppressed(boxes, np.zeros(count, np.int64), scores, 0.5, 7).tolist() == kept[:7].tolist()


def test_nothing_in_nothing_out() -> None:
    nothing = np.empty((0, 4)), np.empty(0, np.int64), np.empty(0)
    assert suppressed(*nothing, 0.5).tolist() == []


@given(st.lists(st.integers(0, 255), max_size=30), st.integers(1, 40))
def test_the_best_are_the_highest(levels: list[int], limit: int) -> None:
    stored = np.array(levels, np.uint8)
    found = best(stored, limit)
    assert len(set(found.tolist())) == min(limit, len(levels))
    assert sorted(stored[found].tolist(), reverse=True) == sorted(levels, reverse=True)[:limit]
