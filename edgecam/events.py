"""The event rules: which tracks are worth a message, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import sqrt
from random import Random
from string import ascii_lowercase, digits
from typing import Any

from edgecam.ports import Clock
from edgecam.types import BBox, Detection, Event, EventType, Track

#: Detections down to this part of their label's threshold reach the tracker: weak looks keep a track alive.
_FLOOR = 0.5
#: A look this many times better than the best one so far is the new best one.
_BETTER = 1.1
#: An object cut off by the edge of the frame (nearer to it than this) makes half as good a picture.
_EDGE = 0.005
_CUT = 0.5
#: Changes worth an update: an overlap (IoU) with the box last reported below this, a score that differs by this.
_SAME_PLACE = 0.9
_SAME_SCORE = 0.05
#: Seconds after which an object that does not change is reported all the same.
_HEARTBEAT = 60.0


@dataclass(frozen=True, slots=True)
class _Open:
    """An event under way: the last message, what the last hit would say, and the worth of the best look."""

    told: Event
    latest: Event
    best_worth: float


class EventRules:
    """Turns tracks into events: one `new`, then any number of `update`, then one `end` for each.

    `new`: the track is confirmed, was hit in this frame and has a median score of at least its label's threshold. The
    event keeps the label of this moment.

    `update`, only in a frame in which the object was hit: at once for a better look at it; at most every
    `update_interval` seconds where box or score have changed since the last message (IoU below 0.9, 0.05); else
    every 60 seconds.

    `end`: the track is gone; `end`, score and box are those of the last hit.

    The best look is the one with the greatest score times root of the box's area, halved where the edge of the frame
    cuts the object off; it must be a tenth better than the one before. `best_sequence` always is the sequence of a
    `new` or `update` of the event, so who wants the picture need only keep the frame that was just written.
    """

    def __init__(
        self,
        camera: str,
        *,
        threshold: float = 0.5,
        thresholds: Mapping[str, float] | None = None,
        labels: Sequence[str] = (),
        update_interval: float = 1.0,
        clock: Clock,
        new_id: Callable[[datetime], str],
    ) -> None:
        """`labels` are those that count, empty: all. `new_id` makes an event's id from the wall time of its start."""
        self._camera = camera
        self._threshold = threshold
        self._thresholds = dict(thresholds or {})
        self._labels = frozenset(labels)
        self._update_interval = update_interval
        self._clock = clock
        self._new_id = new_id
        self._open: dict[int, _Open] = {}
        self._first_seen: dict[int, float] = {}
        self._sequence = 0
        self._frame_size = (0, 0)

    @property
    def lowest_threshold(self) -> float:
        """The least score with which any label can start an event: what a tracker needs to start a track."""
        return min(self._threshold, *self._thresholds.values()) if self._thresholds else self._threshold

    def accept(self, detections: Sequence[Detection]) -> list[Detection]:
        """What the tracker should see: the labels that count, down to half their threshold."""
        return [
            detection
            for detection in detections
            if self._counts(detection.label) and detection.score >= _FLOOR * self._threshold_of(detection.label)
        ]

    def update(
        self, sequence: int, timestamp: float, tracks: Sequence[Track], frame_size: tuple[int, int] = (0, 0)
    ) -> tuple[Event, ...]:
        """The messages of one analysed frame: ends first, then the others in the order of their tracks.

        `frame_size` is width and height of the main picture in pixels.
        """
        self._sequence = sequence
        self._frame_size = frame_size
        present = {track.track_id for track in tracks}
        ended = [self._end(track_id, timestamp) for track_id in list(self._open) if track_id not in present]
        self._first_seen = {track.track_id: self._first_seen.get(track.track_id, timestamp) for track in tracks}
        told = [self._tell(track, timestamp) for track in tracks if not track.misses]
        return (*ended, *(event for event in told if event))

    def finish(self, timestamp: float) -> tuple[Event, ...]:
        """End all open events, at a shutdown."""
        return tuple(self._end(track_id, timestamp) for track_id in list(self._open))

    def _threshold_of(self, label: str) -> float:
        return self._thresholds.get(label, self._threshold)

    def _counts(self, label: str) -> bool:
        return not self._labels or label in self._labels

    def _tell(self, track: Track, timestamp: float) -> Event | None:
        opened = self._open.get(track.track_id)
        if opened:
            return self._update(opened, track, timestamp)
        if track.confirmed and self._counts(track.label) and track.score >= self._threshold_of(track.label):
            return self._new(track, timestamp)
        return None

    def _new(self, track: Track, timestamp: float) -> Event:
        start = self._first_seen[track.track_id]
        started = self._clock.wall(start)
        event = Event(
            type=EventType.NEW,
            event_id=self._new_id(started),
            camera=self._camera,
            track_id=track.track_id,
            label=track.label,
            score=track.score,
            top_score=track.score,
            bbox=track.bbox,
            sequence=self._sequence,
            timestamp=timestamp,
            start=start,
            end=None,
            best_sequence=self._sequence,
            best_bbox=track.bbox,
            best_timestamp=timestamp,
            best_score=track.score,
            started=started.timestamp(),
            clock_synced=self._clock.synced(),
            frame_size=self._frame_size,
        )
        self._open[track.track_id] = _Open(event, event, _worth(track))
        return event

    def _update(self, opened: _Open, track: Track, timestamp: float) -> Event | None:
        worth, before = _worth(track), opened.latest
        better = worth >= _BETTER * opened.best_worth
        event = Event(  # not replace(), which takes three times as long, for every track of every frame
            type=EventType.UPDATE,
            event_id=before.event_id,
            camera=before.camera,
            track_id=before.track_id,
            label=before.label,
            score=track.score,
            top_score=max(before.top_score, track.score),
            bbox=track.bbox,
            sequence=self._sequence,
            timestamp=timestamp,
            start=before.start,
            end=None,
            best_sequence=self._sequence if better else before.best_sequence,
            best_bbox=track.bbox if better else before.best_bbox,
            best_timestamp=timestamp if better else before.best_timestamp,
            best_score=track.score if better else before.best_score,
            started=before.started,
            clock_synced=before.clock_synced,
            frame_size=before.frame_size,
        )
        tell = better or self._is_due(opened.told, event)
        self._open[track.track_id] = _Open(
            told=event if tell else opened.told, latest=event, best_worth=worth if better else opened.best_worth
        )
        return event if tell else None

    def _is_due(self, told: Event, now: Event) -> bool:
        elapsed = now.timestamp - told.timestamp
        if elapsed < self._update_interval:
            return elapsed >= _HEARTBEAT
        changed = abs(now.score - told.score) >= _SAME_SCORE or now.bbox.iou(told.bbox) < _SAME_PLACE
        return changed or elapsed >= _HEARTBEAT

    def _end(self, track_id: int, timestamp: float) -> Event:
        latest = self._open.pop(track_id).latest
        return replace(latest, type=EventType.END, sequence=self._sequence, timestamp=timestamp, end=latest.timestamp)


def frigate_event_id(wall: datetime, random: Random) -> str:
    """An event id in Frigate's form: Unix seconds with six decimals, a hyphen, six random characters."""
    suffix = "".join(random.choices(ascii_lowercase + digits, k=6))
    return f"{wall.timestamp():.6f}-{suffix}"


def event_document(event: Event) -> dict[str, Any]:
    """The event as JSON has it, in Frigate's names where Frigate has them.

    `type`, `id`, `camera`, `label`, `score`, `top_score`, `box`, `frame`, `frame_size`, `track_id`, `start_time`,
    `frame_time`, `end_time` (None while it lasts), `clock_synced`, `best`: {`frame`, `time`, `score`, `box`},
    `current_zones`, `entered_zones`, `crossings`: [{`line`, `direction`, `time`}], `stationary`, `motionless_count`,
    `position_changes`. Times are Unix seconds, boxes [xmin, ymin, xmax, ymax] in fractions of the frame, frames their
    sequence, `frame_size` [width, height] in pixels. These names and units do not change.
    """
    return {
        "type": str(event.type),
        "id": event.event_id,
        "camera": event.camera,
        "label": event.label,
        "score": round(event.score, 4),
        "top_score": round(event.top_score, 4),
        "box": _rounded(event.bbox),
        "frame": event.sequence,
        "frame_size": list(event.frame_size),
        "track_id": event.track_id,
        "start_time": _unix(event, event.start),
        "frame_time": _unix(event, event.timestamp),
        "end_time": None if event.end is None else _unix(event, event.end),
        "clock_synced": event.clock_synced,
        "best": {
            "frame": event.best_sequence,
            "time": _unix(event, event.best_timestamp),
            "score": round(event.best_score, 4),
            "box": _rounded(event.best_bbox),
        },
        "current_zones": list(event.current_zones),
        "entered_zones": list(event.entered_zones),
        "crossings": [
            {"line": each.line, "direction": each.direction, "time": _unix(event, each.timestamp)}
            for each in event.crossings
        ],
        "stationary": event.stationary,
        "motionless_count": event.motionless_count,
        "position_changes": event.position_changes,
    }


def _worth(track: Track) -> float:
    """How good a picture of the object this is."""
    cut = min(track.bbox) <= _EDGE or max(track.bbox) >= 1 - _EDGE
    return track.score * sqrt(track.bbox.area) * (_CUT if cut else 1.0)


def _rounded(box: BBox) -> list[float]:
    return [round(edge, 5) for edge in box]


def _unix(event: Event, timestamp: float) -> float:
    return round(event.unix(timestamp), 6)
