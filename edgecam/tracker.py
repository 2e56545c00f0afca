"""The tracker: detections in, the same objects under the same numbers out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import isfinite, sqrt
from operator import attrgetter

from edgecam.assignment import best_pairs
from edgecam.kalman import BoxFilter, Measured
from edgecam.types import BBox, Detection, Track

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
    """What is known of an object."""

    track_id: int
    label: str
    bbox: BBox
    last_hit: float
    motion: BoxFilter
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

    def miss(self) -> None:
        """It must be where its motion has it."""
        due = self.due()
        self.bbox = BBox(*map(_cut, due))
        self.present = self.bbox.area >= _LEAST_INSIDE * due.area
        self.misses += 1
        self.recent_hits.append(False)

    def due(self) -> BBox:
        """Where it must be, as far as its motion is known; may reach outside the frame."""
        x, y = self.motion.x.value, self.motion.y.value
        width, height = self.motion.width.value, self.motion.height.value
        return BBox(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def track(self) -> Track:
        """The track as it stands: where it was seen, or else where it must be."""
        velocity_x, velocity_y = self.motion.x.velocity, self.motion.y.velocity  # of the centre: sizes have none
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


class _Candidate(Measured):
    """A detection of this frame: who could have it, is asked of it again and again."""

    __slots__ = ("bbox", "detection", "label", "reach_x", "reach_y", "strong")

    def __init__(self, detection: Detection, *, strong: bool) -> None:
        super().__init__(detection.bbox)
        self.detection = detection
        self.label = detection.label
        self.bbox = detection.bbox
        self.strong = strong
        self.reach_x = sqrt(_FARTHEST * self.noise_x)
        self.reach_y = sqrt(_FARTHEST * self.noise_y)


class Tracker:
    """Follows objects over analyses. Pure: time comes in with the detections, also where there are none.

    Every object has a constant-velocity Kalman filter (`edgecam.kalman`), so analyses may be any time apart. As in
    ByteTrack (Zhang et al., ECCV 2022), confirmed tracks choose first among the detections of at least `high_score`,
    then among the weaker ones; only the former confirm a track or start one. A detection can belong to a track where
    they overlap by `iou_threshold`, or where it is as near as the motion seen so far allows, which small and fast
    objects need, and likelier that object than another (a weak one only, if the track was not missed just before: most
    weak detections are of nothing); under another label only where they overlap by more. A track bears the label with
    the most votes, weighted by score. Its box is the detection's own, or the prediction where it was missed.

    A track is confirmed by `confirm_hits` hits in `confirm_window` analyses, and given up as soon as that is out of
    reach. A confirmed one lives `max_age` seconds without a hit, and up to twice as long where analyses are so rare
    that it was missed only once, but not outside the picture. There are at most 64. Ids count from 1 and never return.
    """

    def __init__(
        self,
        *,
        iou_threshold: float = 0.3,
        max_age: float = 2.0,
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
        self.high_score = high_score
        self._ids = count(1)
        self._now = float("-inf")
        self._identities: list[_Identity] = []

    def update(self, timestamp: float, detections: Sequence[Detection]) -> tuple[Track, ...]:
        """Take the detections of one frame, return all live tracks as they stand in it, in the order of their ids.

        `timestamp` is in monotonic seconds; one before the last counts as the last. Detections that are empty or not
        finite are passed over, as are all but the best 64.
        """
        self._advance(timestamp)
        candidates = [_Candidate(one, strong=one.score >= self.high_score) for one in _usable(detections)]
        hits = self._match(candidates) if candidates and self._identities else {}
        self._record(hits, candidates)
        self._identities = [identity for identity in self._identities if self._lives(identity)]
        taken = set(hits.values())
        self._begin([one for n, one in enumerate(candidates) if one.strong and n not in taken])
        return tuple([identity.track() for identity in self._identities])

    def _advance(self, timestamp: float) -> None:
        """Move all tracks on to `timestamp`; after a gap so long that anything would fit, they end."""
        dt = max(0.0, timestamp - self._now)
        self._now = max(self._now, timestamp)
        self._identities = [one for one in self._identities if self._now - one.last_hit <= 2 * self._max_age]
        for identity in self._identities:
            identity.motion.predict(dt)

    def _match(self, candidates: list[_Candidate]) -> dict[int, int]:
        """Row of a track to number of its detection, in three rounds, each among what the ones before left."""
        rounds: dict[tuple[bool, bool], dict[tuple[int, int], float]] = {who: {} for who in _ROUNDS}
        for row, n, gain in self._gains(candidates):
            who = self._identities[row].confirmed, candidates[n].strong
            if who in rounds:
                rounds[who][row, n] = gain
        hits: dict[int, int] = {}
        for gains in rounds.values():
            taken = set(hits.values())
            left = {(row, n): gain for (row, n), gain in gains.items() if row not in hits and n not in taken}
            hits.update(best_pairs(left))
        return hits

    def _gains(self, candidates: list[_Candidate]) -> Iterator[tuple[int, int, float]]:
        """What it is worth to give a track (row) a detection (number), for the pairs where that is possible.

        1 to 2 by overlap; 0 to 1 by nearness where there is too little of it, and by overlap across labels.
        """
        for row, identity in enumerate(self._identities):
            motion, due = identity.motion, identity.due()
            x, y, area = motion.x.value, motion.y.value, motion.width.value * motion.height.value
            # Farther apart than both reach, boxes neither overlap nor are near: most pairs, in few words.
            reach_x = max(motion.width.value / 2, sqrt(_FARTHEST * motion.x.variance))
            reach_y = max(motion.height.value / 2, sqrt(_FARTHEST * motion.y.variance))
            for n, one in enumerate(candidates):
                if abs(one.x - x) > reach_x + one.reach_x or abs(one.y - y) > reach_y + one.reach_y:
                    continue
                overlap = _overlap(due, area, one.bbox, one.area)
                if identity.label != one.label:
                    if overlap >= _CROSS_LABEL_IOU:
                        yield row, n, overlap
                elif overlap >= self._iou_threshold:
                    yield row, n, 1 + overlap
                elif (one.strong or not identity.misses) and _alike(area, one.area):
                    margin = min(_FARTHEST, motion.doubt(one)) - motion.distance(one)
                    if margin > 0:
                        yield row, n, margin / _FARTHEST

    def _record(self, hits: dict[int, int], candidates: list[_Candidate]) -> None:
        for row, identity in enumerate(self._identities):
            n = hits.get(row)
            if n is None:
                identity.miss()
            else:
                identity.hit(self._now, candidates[n].detection, self._confirm_hits)
                identity.motion.correct(candidates[n])

    def _lives(self, identity: _Identity) -> bool:
        if not identity.misses:
            return True
        if not identity.confirmed:
            return identity.present and identity.recent_hits.count(False) <= self._confirm_window - self._confirm_hits
        return identity.present and (identity.misses < 2 or self._now - identity.last_hit <= self._max_age)

    def _begin(self, strong: Iterable[_Candidate]) -> None:
        """Start a track for each strong detection that none has taken, where there is not one already."""
        live = [(identity.due(), identity.motion) for identity in self._identities] if strong else []
        for one in strong:
            if len(live) >= _MOST:
                return
            if all(
                _overlap(one.bbox, one.area, due, motion.width.value * motion.height.value) < _SAME_OBJECT_IOU
                for due, motion in live
            ):
                self._identities.append(self._identity(one))
                live.append((one.bbox, self._identities[-1].motion))

    def _identity(self, seen: _Candidate) -> _Identity:
        identity = _Identity(
            next(self._ids),
            seen.label,
            seen.bbox,
            self._now,
            BoxFilter(seen),
            recent_scores=deque(maxlen=self._score_window),
            recent_hits=deque(maxlen=self._confirm_window),
        )
        identity.hit(self._now, seen.detection, self._confirm_hits)
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


def _overlap(box: BBox, area: float, other: BBox, other_area: float) -> float:
    """IoU of two boxes whose areas are known; as `BBox.iou`, at a third of its time."""
    left, top, right, bottom = box
    other_left, other_top, other_right, other_bottom = other
    width = (right if right < other_right else other_right) - (left if left > other_left else other_left)
    height = (bottom if bottom < other_bottom else other_bottom) - (top if top > other_top else other_top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (area + other_area - shared)
