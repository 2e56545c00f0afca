"""The event rules: which tracks are worth a message, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from random import Random
from string import ascii_lowercase, digits
from typing import Any

from edgecam.filters import Filters
from edgecam.marks import Marks
from edgecam.ports import Clock
from edgecam.story import Opening, Story
from edgecam.types import BBox, Detection, Event, EventType, Track

#: Changes worth an update: an overlap (IoU) with the box last reported below this, a score that differs by this.
_SAME_PLACE = 0.9
_SAME_SCORE = 0.05
#: Seconds after which an object that does not change, yet is not stationary, is reported all the same.
_HEARTBEAT = 60.0
#: Stationary objects out of sight that are remembered; beyond it the one unseen for longest ends.
_MOST_REMEMBERED = 64


class EventRules:
    """Turns tracks into events: one `new`, then any number of `update`, then one `end` for each.

    `new`: the track is confirmed, was hit in this frame, has a median score of at least its label's threshold and all
    else that its label's filter wants; where the marks name required zones, it has entered one of them. The event
    keeps the label of this moment.

    `update`, only in a frame in which the object was hit: at once where it entered or left a zone, went over a line,
    became stationary or moved again; unless it is stationary, also at once for a better look at it, at most every
    `update_interval` seconds where box or score have changed since the last message (IoU below 0.9, 0.05), and else
    every 60 seconds. Of what is stationary there is nothing else to say.

    `end`: the track is gone; `end`, score and box are those of the last hit. An object that is stationary, after
    `stationary_after` seconds in one place, is remembered instead for `stationary_memory` seconds from its last hit: a
    new track of the same label in that place is the same event, and goes on without a word.

    The best look is the one with the greatest score times root of the box's area, halved where the edge of the frame
    cuts the object off; it must be a tenth better than the one before. `best_sequence` always is the sequence of a
    `new` or `update` of the event, so who wants the picture need only keep the frame that was just written.
    """

    def __init__(
        self,
        camera: str,
        *,
        filters: Filters | None = None,
        marks: Marks | None = None,
        update_interval: float = 1.0,
        stationary_after: float = 10.0,
        stationary_memory: float = 300.0,
        clock: Clock,
        new_id: Callable[[datetime], str],
    ) -> None:
        """`new_id` makes an event's id from the wall time of its start."""
        self._camera = camera
        self._filters = filters or Filters()
        self._marks = marks or Marks()
        self._update_interval = update_interval
        self._stationary_after = stationary_after
        self._stationary_memory = stationary_memory
        self._clock = clock
        self._new_id = new_id
        self._stories: dict[int, Story] = {}
        self._remembered: list[Story] = []
        self._quiet_until: dict[str, float] = {}
        self._sequence = 0
        self._frame_size = (0, 0)

    @property
    def lowest_threshold(self) -> float:
        """The least score with which any label can start an event: what a tracker needs to start a track."""
        return self._filters.lowest_threshold

    def adopt(
        self,
        *,
        filters: Filters,
        marks: Marks,
        update_interval: float,
        stationary_after: float,
        stationary_memory: float,
    ) -> None:
        """Go by other settings from now on. Open events go on, and objects stay known."""
        self._filters = filters
        self._marks = marks
        self._update_interval = update_interval
        self._stationary_after = stationary_after
        self._stationary_memory = stationary_memory
        for story in (*self._stories.values(), *self._remembered):
            story.adopt(marks, stationary_after)

    def accept(self, detections: Sequence[Detection]) -> list[Detection]:
        """What the tracker should see: the labels that count, down to half their threshold, of the right size and
        shape (by the frame size of the last update), outside the masks."""
        return [detection for detection in detections if self._accepts(detection)]

    def update(
        self, sequence: int, timestamp: float, tracks: Sequence[Track], frame_size: tuple[int, int] = (0, 0)
    ) -> tuple[Event, ...]:
        """The messages of one analysed frame: ends first, then the others in the order of their tracks.

        `frame_size` is width and height of the main picture in pixels.
        """
        self._sequence = sequence
        self._frame_size = frame_size
        present = {track.track_id for track in tracks}
        gone = [self._stories.pop(track_id) for track_id in list(self._stories) if track_id not in present]
        ended = [self._end(story, timestamp) for story in self._parted(gone, timestamp)]
        told = [self._follow(track, timestamp) for track in tracks]
        return (*ended, *(event for event in told if event))

    def finish(self, timestamp: float) -> tuple[Event, ...]:
        """End all open events, at a shutdown or where nobody looks any more."""
        last = [*self._remembered, *(story for story in self._stories.values() if story.opening)]
        self._remembered, self._stories = [], {}
        return tuple(self._end(story, timestamp) for story in last)

    def _accepts(self, detection: Detection) -> bool:
        box = detection.bbox
        if min(box) < 0 or max(box) > 1:
            box = box.clipped()
        return self._filters.accept(detection, box, self._frame_size) and not self._marks.masked(box)

    def _parted(self, gone: Sequence[Story], timestamp: float) -> list[Story]:
        """The events that are over, now that these stories have lost their track; the others are remembered."""
        if not gone and not self._remembered:
            return []
        self._remembered += [story for story in gone if story.opening and story.still.stationary]
        over = [story for story in gone if story.opening and not story.still.stationary]
        surplus = len(self._remembered) - _MOST_REMEMBERED
        kept: list[Story] = []
        for number, story in enumerate(self._remembered):
            forgotten = number < surplus or timestamp - story.last_hit >= self._stationary_memory
            (over if forgotten else kept).append(story)
        self._remembered = kept
        return over

    def _follow(self, track: Track, timestamp: float) -> Event | None:
        story = self._stories.get(track.track_id)
        if story is None:
            story = self._stories[track.track_id] = Story(self._marks, self._stationary_after, timestamp, track)
        if track.misses:
            return None
        if story.opening is None and track.confirmed and self._remembered:
            story = self._stories[track.track_id] = self._found_again(track) or story
        news = story.look(timestamp, track)
        if story.opening is None:
            return self._new(story, timestamp) if self._is_worth_it(story, timestamp) else None
        if not news and (story.still.stationary or not (story.looks_better() or self._is_due(story, timestamp))):
            return None
        return story.tell(EventType.UPDATE, self._camera, self._sequence, timestamp)

    def _found_again(self, track: Track) -> Story | None:
        """The remembered story that goes on with this track."""
        fitting = [
            (overlap, story)
            for story in self._remembered
            if story.opening
            and story.opening.label == track.label
            and (overlap := story.still.found_again(track.bbox)) > 0
        ]
        if not fitting:
            return None
        story = max(fitting, key=lambda each: each[0])[1]
        self._remembered.remove(story)
        return story

    def _is_worth_it(self, story: Story, timestamp: float) -> bool:
        track, required = story.track, self._marks.required_zones
        if not track.confirmed or not self._filters.counts(track.label):
            return False
        wanted = self._filters.of(track.label)
        return (
            track.score >= wanted.threshold
            and timestamp - story.first_seen >= wanted.min_duration
            and timestamp >= self._quiet_until.get(track.label, timestamp)
            and wanted.fits(track.bbox, self._frame_size)
            and (not required or not required.isdisjoint(story.entered_zones))
        )

    def _new(self, story: Story, timestamp: float) -> Event:
        synced = self._clock.synced()  # first: the clock may be set in between, and must then not vouch for before
        started = self._clock.wall(story.first_seen)
        story.open(Opening(self._new_id(started), story.track.label, started.timestamp(), synced, self._frame_size))
        return story.tell(EventType.NEW, self._camera, self._sequence, timestamp)

    def _is_due(self, story: Story, timestamp: float) -> bool:
        told, now = story.told, story.track
        assert told
        elapsed = timestamp - told.timestamp
        if elapsed < self._update_interval:
            return elapsed >= _HEARTBEAT
        changed = abs(now.score - told.score) >= _SAME_SCORE or now.bbox.iou(told.bbox) < _SAME_PLACE
        return changed or elapsed >= _HEARTBEAT

    def _end(self, story: Story, timestamp: float) -> Event:
        event = story.tell(EventType.END, self._camera, self._sequence, timestamp)
        cooldown = self._filters.of(event.label).cooldown
        if cooldown:
            self._quiet_until[event.label] = timestamp + cooldown
        return event


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


def _rounded(box: BBox) -> list[float]:
    return [round(edge, 5) for edge in box]


def _unix(event: Event, timestamp: float) -> float:
    return round(event.unix(timestamp), 6)
