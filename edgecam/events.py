"""The event rules: which tracks are announced, when they are spoken of again, and when they are over."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from random import Random
from typing import Any

from edgecam.ports import Clock
from edgecam.types import BBox, Detection, Event, EventType, Track

EDGE = 0.005
"""A box nearer than this to the edge of the frame is taken to be cut by it."""

CUT_WORTH = 0.5
"""What a look at an object cut by the frame's edge is worth, of one at the whole object."""

BETTER = 1.1
"""A look must be so many times better than the best so far to take its place: no new snapshot for a flicker."""


@dataclass(slots=True)
class _Open:
    """An event under way: its last message, and how good its best look was."""

    last: Event
    worth: float
    told: float


class EventRules:
    """Turns the tracks of one camera into events.

    An event begins when its track is confirmed (found N times in M analyses: the tracker's business) and its score, the
    median of its recent ones, reaches the label's threshold. It is updated every `update_interval` seconds while the
    track is found, and at once when a better look at the object came by. It ends when the track is gone.
    """

    def __init__(
        self,
        camera: str,
        *,
        new_id: Callable[[float], str],
        threshold: float = 0.5,
        thresholds: Mapping[str, float] | None = None,
        labels: Sequence[str] = (),
        update_interval: float = 1.0,
    ) -> None:
        self._camera = camera
        self._new_id = new_id
        self._threshold = threshold
        self._thresholds = dict(thresholds or {})
        self._labels = frozenset(labels)
        self._update_interval = update_interval
        self._open: dict[int, _Open] = {}

    def accept(self, detections: Iterable[Detection]) -> list[Detection]:
        """The detections worth tracking: labels that count, from half of their threshold on.

        Weak ones keep the track of an object that was seen well before; alone they begin no event.
        """
        return [
            detection
            for detection in detections
            if (not self._labels or detection.label in self._labels)
            and detection.score >= self.threshold(detection.label) / 2
        ]

    def threshold(self, label: str) -> float:
        """The least score of an event with this label."""
        return self._thresholds.get(label, self._threshold)

    def update(self, sequence: int, timestamp: float, tracks: Sequence[Track]) -> tuple[Event, ...]:
        """The messages that one analysed frame gives rise to; ends first, then the tracks in their order."""
        alive = {track.track_id for track in tracks}
        gone = [track_id for track_id in self._open if track_id not in alive]
        events = [self._end(track_id, sequence, timestamp) for track_id in gone]
        for track in tracks:
            event = self._speak_of(track, sequence, timestamp)
            if event is not None:
                events.append(event)
        return tuple(events)

    def finish(self, timestamp: float) -> tuple[Event, ...]:
        """End all open events; nothing more will be seen."""
        return tuple(self._end(track_id, None, timestamp) for track_id in list(self._open))

    def _speak_of(self, track: Track, sequence: int, timestamp: float) -> Event | None:
        under_way = self._open.get(track.track_id)
        if track.misses:
            return None
        if under_way is None:
            return self._begin(track, sequence, timestamp)
        better = worth(track) > under_way.worth * BETTER
        event = self._next(under_way.last, track, sequence, timestamp, better=better)
        if better:
            under_way.worth = worth(track)
        if better or timestamp - under_way.told >= self._update_interval:
            under_way.told = timestamp
            under_way.last = event
            return event
        under_way.last = event
        return None

    def _begin(self, track: Track, sequence: int, timestamp: float) -> Event | None:
        if not track.confirmed or track.score < self.threshold(track.label):
            return None
        event = Event(
            EventType.NEW,
            self._new_id(timestamp),
            self._camera,
            track.track_id,
            track.label,
            track.score,
            track.score,
            track.bbox,
            sequence,
            timestamp,
            start=timestamp,
            end=None,
            best_sequence=sequence,
            best_bbox=track.bbox,
        )
        self._open[track.track_id] = _Open(event, worth(track), timestamp)
        return event

    def _next(self, last: Event, track: Track, sequence: int, timestamp: float, *, better: bool) -> Event:
        return Event(
            EventType.UPDATE,
            last.event_id,
            last.camera,
            last.track_id,
            track.label,
            track.score,
            max(last.top_score, track.score),
            track.bbox,
            sequence,
            timestamp,
            start=last.start,
            end=None,
            best_sequence=sequence if better else last.best_sequence,
            best_bbox=track.bbox if better else last.best_bbox,
        )

    def _end(self, track_id: int, sequence: int | None, timestamp: float) -> Event:
        """The last message: the object as it was last seen, ended now."""
        last = self._open.pop(track_id).last
        return Event(
            EventType.END,
            last.event_id,
            last.camera,
            last.track_id,
            last.label,
            last.score,
            last.top_score,
            last.bbox,
            last.sequence if sequence is None else sequence,
            timestamp,
            start=last.start,
            end=timestamp,
            best_sequence=last.best_sequence,
            best_bbox=last.best_bbox,
        )


def worth(track: Track) -> float:
    """How good a look at an object is: its score times the root of its area; less where the frame cuts it."""
    box = track.bbox
    cut = min(box.xmin, box.ymin) < EDGE or max(box.xmax, box.ymax) > 1 - EDGE
    return track.score * sqrt(box.clipped().area) * (CUT_WORTH if cut else 1.0)


def frigate_event_id(wall: datetime, random: Random) -> str:
    """An event's id in Frigate's form: unix seconds with six decimals, a dash, six lower-case letters or digits."""
    tail = "".join(random.choices(string.ascii_lowercase + string.digits, k=6))
    return f"{wall.timestamp():.6f}-{tail}"


def event_document(event: Event, clock: Clock) -> dict[str, Any]:
    """An event as JSON: Frigate's field names where it has them; times in unix seconds, boxes in fractions."""
    return {
        "type": str(event.type),
        "id": event.event_id,
        "camera": event.camera,
        "label": event.label,
        "score": round(event.score, 4),
        "top_score": round(event.top_score, 4),
        "box": _rounded(event.bbox),
        "frame": event.sequence,
        "track_id": event.track_id,
        "frame_time": _unix(clock, event.timestamp),
        "start_time": _unix(clock, event.start),
        "end_time": None if event.end is None else _unix(clock, event.end),
        "best": {"frame": event.best_sequence, "box": _rounded(event.best_bbox)},
    }


def _rounded(box: BBox) -> list[float]:
    return [round(edge, 5) for edge in box]


def _unix(clock: Clock, timestamp: float) -> float:
    return round(clock.wall(timestamp).timestamp(), 3)
