"""The tracker: detections in, the same objects under the same numbers out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress, count
from math import isfinite
from operator import attrgetter

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
#: Who chooses among what, in this order: confirmed tracks or not, among strong detections or weak ones.
_ROUNDS = ((True, True), (True, False), (False, True))
#: Bounds on tracks, and on detections of one frame.
_MOST = 64


@dataclass(slots=True)
class _Identity:
    """What is known of an object beside its motion."""

    track_id: int
    label: str
    bbox: BBox
    last_hit: float
    recent_scores: deque[float]
    recent_hits: deque[bool]
    score: float = 0.0
    hits: int = 0
    misses: int = 0
    confirmed: bool = False
    present: bool = True
    votes: dict[str, float] = field(default_factory=dict)

    def hit(self, timestamp: float, detection: Detection, confirm_hits: int) -> None:
        label, score = detection.label, detection.score
        self.bbox, self.last_hit = detection.bbox, timestamp
        self.hits += 1
        self.misses = 0
        self.recent_hits.append(True)
        self.recent_scores.append(score)
        self.score = _median(self.recent_scores)
        self.votes[label] = self.votes.get(label, 0.0) + score
        if self.votes[label] > self.votes.get(self.label, 0.0):
            self.label = label
        self.confirmed = self.confirmed or sum(self.recent_hits) >= confirm_hits

    def miss(self, x: float, y: float, width: float, height: float) -> None:
        """It must be at this centre now, with these sides."""
        self.bbox = BBox(_cut(x - width / 2), _cut(y - height / 2), _cut(x + width / 2), _cut(y + height / 2))
        self.present = self.bbox.area >= _LEAST_INSIDE * (width * height)
        self.misses += 1
        self.recent_hits.append(False)

    def track(self, velocity_x: float, velocity_y: float) -> Track:
        """The track as it stands: where it was seen, or else where it must be."""
        return Track(  # by position: by keyword it takes a third longer, and this runs for every object in every frame
            self.track_id,
            self.label,
            self.score,
            self.bbox,
            self.hits,
            self.misses,
            BBox(velocity_x, velocity_y, velocity_x, velocity_y),
            self.confirmed,
            self.misses > 0,
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
        taken = set(hits.values())
        self._begin([n for n in range(len(candidates)) if n not in taken], candidates, boxes)
        velocities = self._states[kalman.VELOCITY, :, :2].tolist()  # of the centre: sizes have none
        return tuple([i.track(*velocity) for i, velocity in zip(self._identities, velocities, strict=True)])

    def _advance(self, timestamp: float) -> None:
        """Move all tracks on to `timestamp`; after a gap so long that anything would fit, they end."""
        dt = max(0.0, timestamp - self._now)
        self._now = max(self._now, timestamp)
        self._keep([self._now - identity.last_hit <= 2 * self._max_age for identity in self._identities])
        if self._identities:
            self._states = kalman.predicted(self._states, dt)

    def _match(self, candidates: list[Detection], boxes: Floats) -> dict[int, int]:
        """Row of a track to number of its detection, in three rounds, each among what the ones before left."""
        rounds: dict[tuple[bool, bool], dict[tuple[int, int], float]] = {who: {} for who in _ROUNDS}
        for row, n, gain in self._gains(candidates, boxes):
            who = self._identities[row].confirmed, candidates[n].score >= self._high_score
            if who in rounds:
                rounds[who][row, n] = gain
        hits: dict[int, int] = {}
        for gains in rounds.values():
            taken = set(hits.values())
            left = {(row, n): gain for (row, n), gain in gains.items() if row not in hits and n not in taken}
            hits.update(best_pairs(left))
        return hits

    def _gains(self, candidates: list[Detection], boxes: Floats) -> Iterator[tuple[int, int, float]]:
        """What it is worth to give a track (row) a detection (number), for the pairs where that is possible.

        1 to 2 by overlap; 0 to 1 by nearness where there is too little of it, and by overlap across labels.
        """
        predicted = self._states[kalman.VALUE]
        areas, others = _areas(predicted), _areas(boxes)
        overlaps = _overlaps(kalman.to_edges(predicted), areas, kalman.to_edges(boxes), others)
        distances = kalman.centre_distances(self._states, boxes)
        # Most pairs cannot be, under any label: they are sorted out all at once, before the rules look at each.
        thinkable = (distances < _FARTHEST) | (overlaps >= min(self._iou_threshold, _CROSS_LABEL_IOU))
        pairs = thinkable.ravel().nonzero()[0]
        track_areas, box_areas = areas.tolist(), others.tolist()
        for pair, overlap, distance in zip(
            pairs.tolist(), overlaps.take(pairs).tolist(), distances.take(pairs).tolist(), strict=True
        ):
            row, n = divmod(pair, len(candidates))
            if self._identities[row].label != candidates[n].label:
                if overlap >= _CROSS_LABEL_IOU:
                    yield row, n, overlap
            elif overlap >= self._iou_threshold:
                yield row, n, 1 + overlap
            elif _alike(track_areas[row], box_areas[n]):
                yield row, n, 1 - distance / _FARTHEST

    def _record(self, hits: dict[int, int], candidates: list[Detection], boxes: Floats) -> None:
        for row, n in hits.items():
            self._identities[row].hit(self._now, candidates[n], self._confirm_hits)
        if len(hits) < len(self._identities):
            predicted = self._states[kalman.VALUE].tolist()
            for row, identity in enumerate(self._identities):
                if row not in hits:
                    identity.miss(*predicted[row])
        if hits:
            rows = np.array(list(hits))
            seen = boxes.take(list(hits.values()), axis=0)
            self._states[:, rows] = kalman.corrected(self._states.take(rows, axis=1), seen)

    def _give_up(self) -> None:
        self._keep([self._lives(identity) for identity in self._identities])

    def _lives(self, identity: _Identity) -> bool:
        if not identity.misses:
            return True
        if not identity.confirmed:
            return identity.present and identity.recent_hits.count(False) <= self._confirm_window - self._confirm_hits
        return identity.present and (identity.misses < 2 or self._now - identity.last_hit <= self._max_age)

    def _keep(self, lives: list[bool]) -> None:
        if not all(lives):
            self._identities = list(compress(self._identities, lives))
            self._states = self._states[:, lives]

    def _begin(self, left: Iterable[int], candidates: list[Detection], boxes: Floats) -> None:
        """Start a track for each strong detection that none has taken, where there is not one already."""
        strong = [n for n in left if candidates[n].score >= self._high_score]
        if not strong:
            return
        tracks, starts = len(self._identities), boxes.take(strong, axis=0)
        states = np.concatenate([self._states, kalman.started(starts)], axis=1)
        edges, areas = kalman.to_edges(states[kalman.VALUE]), _areas(states[kalman.VALUE])
        covers = (_overlaps(edges[tracks:], areas[tracks:], edges, areas) >= _SAME_OBJECT_IOU).tolist()
        live = list(range(tracks))
        for start, (n, covered) in enumerate(zip(strong, covers, strict=True)):
            if len(live) < _MOST and not any(covered[row] for row in live):
                live.append(tracks + start)
                self._identities.append(self._identity(candidates[n]))
        self._states = states.take(live, axis=1)

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


def _cut(edge: float) -> float:
    return min(1.0, max(0.0, edge))


def _median(numbers: Iterable[float]) -> float:
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[~middle]) / 2


def _usable(detections: Iterable[Detection]) -> list[Detection]:
    """The detections that can be tracked, cut to the frame, best first."""
    usable = []
    for found in detections:
        detection = found
        xmin, ymin, xmax, ymax = found.bbox
        if not isfinite(found.score + xmin + ymin + xmax + ymax):
            continue
        if xmin < 0 or ymin < 0 or xmax > 1 or ymax > 1:
            xmin, ymin, xmax, ymax = box = BBox(_cut(xmin), _cut(ymin), _cut(xmax), _cut(ymax))
            detection = Detection(found.label, found.score, box)
        if xmax - xmin >= _SMALLEST and ymax - ymin >= _SMALLEST:
            usable.append(detection)
    return sorted(usable, key=attrgetter("score"), reverse=True)[:_MOST]


def _alike(area: float, other: float) -> bool:
    return max(area, other) <= _GREATEST_RESIZE**2 * min(area, other)


def _boxes(detections: list[Detection]) -> Floats:
    """Centres and sides, float64 [n, 4]."""
    edges = np.array([edge for detection in detections for edge in detection.bbox], dtype=np.float64)
    return kalman.from_edges(edges.reshape(-1, 4))


def _areas(boxes: Floats) -> Floats:
    areas: Floats = boxes[:, 2] * boxes[:, 3]
    return areas


def _overlaps(edges: Floats, areas: Floats, other_edges: Floats, other_areas: Floats) -> Floats:
    """IoU [n, m] of boxes with edges [n, 4] and areas [n], and [m, 4] and [m]; none is empty."""
    # Copied with the edges first, or NumPy would loop over two numbers at a time.
    here, there = edges.T.copy()[:, :, None], other_edges.T.copy()[:, None]
    sides = np.maximum(np.minimum(here[2:], there[2:]) - np.maximum(here[:2], there[:2]), 0)
    shared = sides[0] * sides[1]
    overlaps: Floats = shared / (areas[:, None] + other_areas - shared)
    return overlaps
