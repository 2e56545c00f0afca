"""Class-wise suppression: of boxes of one class that overlap too much only the best is kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: So many candidates are compared at most, the best ones: a table of n x n overlaps is made.
LIMIT = 500


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
    stifles = np.triu(_overlaps(boxes[order]) > max_overlap, k=1)
    stifles &= classes[order][:, None] == classes[order]
    return order[_greedy(stifles)][:max_kept]


def best(scores: NDArray[np.generic], limit: int) -> NDArray[np.intp]:
    """The positions of the `limit` highest scores, in no order; all where there are no more."""
    if len(scores) <= limit:
        return np.arange(len(scores))
    return np.argpartition(scores, -limit)[-limit:]


def _overlaps(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of each box with each, 0 for empty ones."""
    low, high = np.maximum(boxes[:, None, :2], boxes[:, :2]), np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    common = np.maximum(high - low, 0.0).prod(axis=2)
    areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0).prod(axis=1)
    union = areas[:, None] + areas - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def _greedy(stifles: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which boxes are kept; `stifles[i, j]` (i before j): if i is kept, j is not.

    The kept boxes are the one set that answers to itself. Starting from all of them and asking again, each turn settles
    one more link of every chain of overlaps (Cluster-NMS, Zheng et al. 2020, arXiv:2005.03572): a few turns do.
    """
    kept: NDArray[np.bool_] = np.ones(len(stifles), dtype=bool)
    while True:
        settled = np.asarray(~stifles[kept].any(axis=0))
        if (settled == kept).all():
            return kept
        kept = settled
