"""The tracker: detections in, the same objects under the same numbers out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress, count
from math import isfinite
from statistics import median

import numpy as np
from numpy.typing import NDArray

from edgecam import kalman
from edgecam.assignment import best_pairs
from edgecam.types import BBox, Detection, Track

Floats = NDArray[np.float64]

#: 99 % of the boxes of an object fall within this squared Mahalanobis distance of its prediction.
_FARTHEST = 9.21
#: A box more than this many times larger or smaller (by the root of the area) is another object.
_GREATEST_RESIZE = 2.5
#: A box under another label is the same object at this IoU.
_CROSS_LABEL_IOU = 0.6
#: A detection that covers a live track this well is a second look at the same object and starts no track. At 0.6
#: COCO SSD v1 gave one of six passers-by two ids, and the demo had 24 events for 17 objects; at 0.4 none, and 20.
_SAME_OBJECT_IOU = 0.4
#: A prediction with less than this part inside the frame has left the picture.
_LEAST_INSIDE = 0.2
#: A narrower or lower box is none, whatever the resolution.
_SMALLEST = 1e-4
#: Bounds on tracks, and on detections of one frame.
_MOST = 64


@dataclass(slots=True)
class _Identity:
    """What is known of an object beside its motion."""

    track_id: int
    label: str
    seen: BBox
    last_hit: float
    recent_scores: deque[float]
    recent_hits: deque[bool]
    hits: int = 0
    misses: int = 0
    confirmed: bool = False
    votes: dict[str, float] = field(default_factory=dict)

    def hit(self, timestamp: float, detection: Detection, confirm_hits: int) -> None:
        self.seen, self.last_hit = detection.bbox, timestamp
        self.hits += 1
        self.misses = 0
        self.recent_hits.append(True)
        self.recent_scores.append(detection.score)
        self.votes[detection.label] = self.votes.get(detection.label, 0.0) + detection.score
        if self.votes[detection.label] > self.votes.get(self.label, 0.0):
            self.label = detection.label
        self.confirmed = self.confirmed or sum(self.recent_hits) >= confirm_hits

    def miss(self) -> None:
        self.misses += 1
        self.recent_hits.append(False)

    def track(self, predicted: list[float], velocity: list[float]) -> Track:
        """The track as it stands: where it was seen, or else where it must be."""
        return Track(
            track_id=self.track_id,
            label=self.label,
            score=median(self.recent_scores),
            bbox=BBox(*predicted) if self.misses else self.seen,
            hits=self.hits,
            misses=self.misses,
            velocity=BBox(*velocity),
            confirmed=self.confirmed,
            predicted=self.misses > 0,
        )


class Tracker:
    """Follows objects over analyses. Pure: time comes in with the detections, also where there are none.

    Every object has a constant-velocity Kalman filter (`edgecam.kalman`), so analyses may be any time apart. As in
    ByteTrack (Zhang et al., ECCV 2022), confirmed tracks choose first among the detections of at least `high_score`,
    then among the weaker ones; only the former confirm a track or start one. A detection can belong to a track where
    they overlap by `iou_threshold`, or where it is as near as the motion seen so far allows, which small and fast
    objects need; under another label only where they overlap by more. A track bears the label with the most votes,
    weighted by score. Its box is the detection's own, or the prediction where it was missed.

    A track is confirmed by `confirm_hits` hits in `confirm_window` analyses, and given up as soon as that is out of
    reach. A confirmed one lives `max_age` seconds without a hit, and up to twice as long where analyses are so rare
    that it was missed only once, but not outside the picture. There are at most 64. Ids count from 1 and never return.
    """

    def __init__(
        self,
        *,
        iou_threshold: float = 0.3,
        max_age: float = 1.0,
        confirm_hits: int = 3,
        confirm_window: int = 5,
        score_window: int = 10,
        high_score: float = 0.5,
    ) -> None:
        self._iou_threshold = iou_threshold
        self._max_age = max_age
        self._confirm_hits = confirm_hits
        self._confirm_window = confirm_window
        self._score_window = score_window
        self._high_score = high_score
        self._ids = count(1)
        self._now = float("-inf")
        self._identities: list[_Identity] = []
        self._states = kalman.started(np.empty((0, 4)))

    def update(self, timestamp: float, detections: Sequence[Detection]) -> tuple[Track, ...]:
        """Take the detections of one frame, return all live tracks as they stand in it, in the order of their ids.

        `timestamp` is in monotonic seconds; one before the last counts as the last. Detections that are empty or not
        finite are passed over, as are all but the best 64.
        """
        self._advance(timestamp)
        candidates = _usable(detections)
        boxes = _boxes(candidates)
        hits = self._match(candidates, boxes) if candidates and self._identities else {}
        self._record(hits, candidates, boxes)
        self._give_up()
        self._begin([n for n in range(len(candidates)) if n not in hits.values()], candidates, boxes)
        predicted = np.clip(kalman.to_edges(self._states[kalman.VALUE]), 0, 1).tolist()
        velocities = kalman.to_edges(self._states[kalman.VELOCITY]).tolist()
        return tuple(i.track(p, v) for i, p, v in zip(self._identities, predicted, velocities, strict=True))

    def _advance(self, timestamp: float) -> None:
        """Move all tracks on to `timestamp`; after a gap so long that anything would fit, they end."""
        dt = max(0.0, timestamp - self._now)
        self._now = max(self._now, timestamp)
        self._keep([self._now - identity.last_hit <= 2 * self._max_age for identity in self._identities])
        if self._identities:
            self._states = kalman.predicted(self._states, dt)

    def _match(self, candidates: list[Detection], boxes: Floats) -> dict[int, int]:
        """Row of a track to number of its detection, in three rounds, each among what the ones before left."""
        gains = self._gains(candidates, boxes)
        strong = [n for n, detection in enumerate(candidates) if detection.score >= self._high_score]
        weak = [n for n, detection in enumerate(candidates) if detection.score < self._high_score]
        sure = [row for row, identity in enumerate(self._identities) if identity.confirmed]
        unsure = [row for row, identity in enumerate(self._identities) if not identity.confirmed]
        hits: dict[int, int] = {}
        for rows, numbers in ((sure, strong), (sure, weak), (unsure, strong)):
            taken = set(hits.values())
            rows_left, numbers_left = [r for r in rows if r not in hits], [n for n in numbers if n not in taken]
            if rows_left and numbers_left:
                pairs = best_pairs(gains[np.ix_(rows_left, numbers_left)])
                hits.update((rows_left[row], numbers_left[column]) for row, column in pairs)
        return hits

    def _gains(self, candidates: list[Detection], boxes: Floats) -> Floats:
        """What it is worth to give each track (row) each detection (column); 0: not possible.

        1 to 2 by overlap; 0 to 1 by nearness where there is too little of it, and by overlap across labels.
        """
        predicted = self._states[kalman.VALUE]
        overlaps = _overlaps(predicted, boxes)
        nearness = 1 - kalman.centre_distances(self._states, boxes) / _FARTHEST
        areas, others = _areas(predicted)[:, None], _areas(boxes)[None, :]
        alike = np.maximum(areas, others) <= _GREATEST_RESIZE**2 * np.minimum(areas, others)
        labels = np.array([identity.label for identity in self._identities], dtype=object)
        same = labels[:, None] == np.array([detection.label for detection in candidates], dtype=object)[None, :]
        within = np.where(overlaps >= self._iou_threshold, 1 + overlaps, nearness * alike)
        gains: Floats = np.where(same, within, overlaps * (overlaps >= _CROSS_LABEL_IOU))
        return gains

    def _record(self, hits: dict[int, int], candidates: list[Detection], boxes: Floats) -> None:
        for row, identity in enumerate(self._identities):
            if row in hits:
                identity.hit(self._now, candidates[hits[row]], self._confirm_hits)
            else:
                identity.miss()
        if hits:
            rows, numbers = list(hits), list(hits.values())
            self._states[:, rows] = kalman.corrected(self._states[:, rows], boxes[numbers])

    def _give_up(self) -> None:
        edges = kalman.to_edges(self._states[kalman.VALUE])
        inside = kalman.from_edges(np.clip(edges, 0, 1))
        present = _areas(inside) >= _LEAST_INSIDE * _areas(self._states[kalman.VALUE])
        self._keep([self._lives(i) and (p or not i.misses) for i, p in zip(self._identities, present, strict=True)])

    def _lives(self, identity: _Identity) -> bool:
        if not identity.confirmed:
            return identity.recent_hits.count(False) <= self._confirm_window - self._confirm_hits
        return identity.misses < 2 or self._now - identity.last_hit <= self._max_age

    def _keep(self, lives: list[bool]) -> None:
        if not all(lives):
            self._identities = list(compress(self._identities, lives))
            self._states = self._states[:, lives]

    def _begin(self, left: Iterable[int], candidates: list[Detection], boxes: Floats) -> None:
        """Start a track for each strong detection that none has taken, where there is not one already."""
        for n in left:
            if candidates[n].score < self._high_score or len(self._identities) >= _MOST:
                break
            box = boxes[n : n + 1]
            if (_overlaps(self._states[kalman.VALUE], box) < _SAME_OBJECT_IOU).all():
                self._states = np.concatenate([self._states, kalman.started(box)], axis=1)
                self._identities.append(self._identity(candidates[n]))

    def _identity(self, detection: Detection) -> _Identity:
        identity = _Identity(
            next(self._ids),
            detection.label,
            detection.bbox,
            self._now,
            recent_scores=deque(maxlen=self._score_window),
            recent_hits=deque(maxlen=self._confirm_window),
        )
        identity.hit(self._now, detection, self._confirm_hits)
        return identity


def _usable(detections: Iterable[Detection]) -> list[Detection]:
    """The detections that can be tracked, cut to the frame, best first."""
    finite = [_inside(detection) for detection in detections if isfinite(detection.score + sum(detection.bbox))]
    usable = [detection for detection in finite if min(detection.bbox.width, detection.bbox.height) >= _SMALLEST]
    return sorted(usable, key=lambda detection: -detection.score)[:_MOST]


def _inside(detection: Detection) -> Detection:
    if min(detection.bbox) >= 0 and max(detection.bbox) <= 1:
        return detection
    return replace(detection, bbox=detection.bbox.clipped())


def _boxes(detections: list[Detection]) -> Floats:
    """Centres and sides, float64 [n, 4]."""
    edges = np.array([detection.bbox for detection in detections], dtype=np.float64)
    return kalman.from_edges(edges.reshape(-1, 4))


def _areas(boxes: Floats) -> Floats:
    areas: Floats = boxes[:, 2] * boxes[:, 3]
    return areas


def _overlaps(boxes: Floats, others: Floats) -> Floats:
    """IoU [n, m] of boxes [n, 4] and [m, 4], given by centres and sides; none is empty."""
    edges, other_edges = kalman.to_edges(boxes), kalman.to_edges(others)
    low = np.maximum(edges[:, None, :2], other_edges[None, :, :2])
    high = np.minimum(edges[:, None, 2:], other_edges[None, :, 2:])
    sides = np.maximum(high - low, 0)
    shared = sides[..., 0] * sides[..., 1]
    overlaps: Floats = shared / (_areas(boxes)[:, None] + _areas(others)[None, :] - shared)
    return overlaps
