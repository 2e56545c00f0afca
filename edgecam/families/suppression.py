"""Class-wise suppression: of boxes of one class that overlap too much only the best is kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: So many candidates are compared at most, the best ones: every pair of one class is.
LIMIT = 300


def suppressed(
    boxes: NDArray[np.float64],
    classes: NDArray[np.int64] | NDArray[np.intp],
    scores: NDArray[np.float64],
    max_overlap: float,
    max_kept: int = LIMIT,
) -> NDArray[np.intp]:
    """The candidates that are kept, as positions in the lists, best score first (of equal ones, the earlier first).

    Going from the best score down, a box [xmin, ymin, xmax, ymax] is kept unless it overlaps one of its class that is
    kept already by more than `max_overlap` (intersection over union). Only the `LIMIT` best candidates are looked at,
    and `max_kept` kept.
    """
    order = np.argsort(-scores, kind="stable")[:LIMIT]
    kinds = classes[order]
    first, second = np.nonzero(np.triu(kinds[:, None] == kinds, k=1))
    stifling = _overlaps(boxes[order], first, second) > max_overlap
    return order[_greedy(len(order), first[stifling], second[stifling])][:max_kept]


def best(scores: NDArray[np.generic], limit: int) -> NDArray[np.intp]:
    """The positions of the `limit` highest scores, in no order; all where there are no more."""
    if len(scores) <= limit:
        return np.arange(len(scores))
    return np.argpartition(scores, -limit)[-limit:]


def _overlaps(boxes: NDArray[np.float64], first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float64]:
    """Intersection over union of pairs of boxes, by their places, 0 for empty ones."""
    left, top, right, bottom = np.ascontiguousarray(boxes.T)
    width = np.maximum(np.minimum(right[first], right[second]) - np.maximum(left[first], left[second]), 0.0)
    height = np.maximum(np.minimum(bottom[first], bottom[second]) - np.maximum(top[first], top[second]), 0.0)
    areas = np.maximum(right - left, 0.0) * np.maximum(bottom - top, 0.0)
    common = width * height
    union = areas[first] + areas[second] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def _greedy(count: int, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which of `count` boxes are kept; of each pair `first` is better, and if it is kept, `second` is not.

    The kept boxes are the one set that answers to itself. Starting from all of them and asking again, each turn settles
    one more link of every chain of overlaps (Cluster-NMS, Zheng et al. 2020, arXiv:2005.03572): a few turns do.
    """
    kept: NDArray[np.bool_] = np.ones(count, dtype=bool)
    while True:
        settled: NDArray[np.bool_] = np.ones(count, dtype=bool)
        settled[second[kept[first]]] = False
        if (settled == kept).all():
            return kept
        kept = settled
