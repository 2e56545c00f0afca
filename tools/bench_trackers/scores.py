"""CLEAR-MOT and identity figures of what a tracker showed, by TrackEval."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench_trackers.contenders import Shown
from bench_trackers.stages import Moments, Sight
from edgecam.assignment import best_pairs

IOU = 0.5
"""A box is right where it covers the object by this much."""


@dataclass(frozen=True, slots=True)
class Score:
    """MOTA and IDF1 as in Bernardin and Stiefelhagen 2008 and Ristani et al. 2016; the rest are counts."""

    mota: float
    idf1: float
    switches: int
    fragments: int
    false: int
    missed: int
    objects: int
    ids: int


class Counted(NamedTuple):
    """What counts in one moment: numbers of objects and of tracks, and their IoU [objects, tracks]."""

    objects: list[int]
    tracks: list[int]
    overlaps: NDArray[np.float64]


def counted(sights: Sequence[Sight], boxes: Sequence[Shown]) -> Counted:
    """A box that is best paired with a difficult object is left out together with it, as MOTChallenge does."""
    table = overlaps(sights, boxes)
    gains = {(int(row), int(n)): float(table[row, n]) for row, n in np.argwhere(table >= IOU)}
    ignored = {n for row, n in best_pairs(gains) if sights[row].difficult}
    rows = [row for row, one in enumerate(sights) if not one.difficult]
    columns = [n for n in range(len(boxes)) if n not in ignored]
    kept = table[np.ix_(rows, columns)]
    return Counted([sights[row].object_id for row in rows], [boxes[n].track_id for n in columns], kept)


def overlaps(sights: Sequence[Sight], boxes: Sequence[Shown]) -> NDArray[np.float64]:
    """IoU [sights, boxes]."""
    here = np.array([sight.bbox for sight in sights], np.float64).reshape(-1, 1, 4)
    there = np.array([box.bbox for box in boxes], np.float64).reshape(1, -1, 4)
    sides = np.maximum(np.minimum(here[..., 2:], there[..., 2:]) - np.maximum(here[..., :2], there[..., :2]), 0)
    shared = sides.prod(axis=2)
    areas = [np.maximum(one[..., 2:] - one[..., :2], 0).prod(axis=2) for one in (here, there)]
    table: NDArray[np.float64] = shared / np.maximum(areas[0] + areas[1] - shared, 1e-12)
    return table


Told = tuple[Moments, list[list[Shown]]]
"""Truth and what was shown, moment by moment."""


def score(films: Iterable[Told]) -> Score:
    """The figures of several films together."""
    from trackeval.metrics import CLEAR, Identity

    quiet = {"PRINT_CONFIG": False, "THRESHOLD": IOU}
    clear, identity = CLEAR(quiet), Identity(quiet)
    sequences = [_sequence(*film) for film in films]
    with contextlib.redirect_stdout(io.StringIO()):
        clears = clear.combine_sequences({str(n): clear.eval_sequence(one) for n, one in enumerate(sequences)})
        names = identity.combine_sequences({str(n): identity.eval_sequence(one) for n, one in enumerate(sequences)})
    return Score(
        mota=float(clears["MOTA"]),
        idf1=float(names["IDF1"]),
        switches=int(clears["IDSW"]),
        fragments=int(clears["Frag"]),
        false=int(clears["CLR_FP"]),
        missed=int(clears["CLR_FN"]),
        objects=sum(one["num_gt_ids"] for one in sequences),
        ids=sum(one["num_tracker_ids"] for one in sequences),
    )


def _sequence(moments: Moments, shown: Sequence[Sequence[Shown]]) -> dict[str, Any]:
    """One film in TrackEval's form: ids counted from 0."""
    told = [counted(sights, boxes) for sights, boxes in zip(moments, shown, strict=True)]
    objects: dict[int, int] = {}
    tracks: dict[int, int] = {}
    truth = [np.array([objects.setdefault(n, len(objects)) for n in one.objects], int) for one in told]
    found = [np.array([tracks.setdefault(n, len(tracks)) for n in one.tracks], int) for one in told]
    return {
        "num_timesteps": len(told),
        "num_gt_dets": sum(map(len, truth)),
        "num_tracker_dets": sum(map(len, found)),
        "num_gt_ids": len(objects),
        "num_tracker_ids": len(tracks),
        "gt_ids": truth,
        "tracker_ids": found,
        "similarity_scores": [one.overlaps for one in told],
    }
