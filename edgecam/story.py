"""Stories: what is known of one object, from its first look to its last message."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from edgecam.lines import Path
from edgecam.marks import Marks
from edgecam.stationary import Stillness
from edgecam.types import BBox, Event, EventType, Track
from edgecam.zones import Presence, foot

#: A look this many times better than the best one so far is the new best one.
_BETTER = 1.1
#: An object cut off by the edge of the frame (nearer to it than this) makes half as good a picture.
_EDGE = 0.005
_CUT = 0.5


@dataclass(frozen=True, slots=True)
class Opening:
    """What an event keeps from its announcement to its end."""

    event_id: str
    label: str
    started: float
    clock_synced: bool
    frame_size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at an object, and how good a picture it makes."""

    sequence: int
    timestamp: float
    score: float
    bbox: BBox
    worth: float


class Story:
    """One object: its looks, and the messages about it.

    It becomes an event with `open`; from then on `told` is the last message.
    """

    __slots__ = (
        "_best",
        "_path",
        "_presence",
        "first_seen",
        "last_hit",
        "opening",
        "still",
        "told",
        "top_score",
        "track",
    )

    def __init__(self, marks: Marks, stationary_after: float, timestamp: float, track: Track) -> None:
        self.first_seen = self.last_hit = timestamp
        self.track = track
        self.opening: Opening | None = None
        self.told: Event | None = None
        self.top_score = 0.0
        self.still = Stillness(stationary_after, timestamp, track.bbox)
        self._presence = Presence(marks.zones)
        self._path = Path(marks.lines)
        self._best: _Look | None = None

    @property
    def entered_zones(self) -> tuple[str, ...]:
        """All zones that the object has been in."""
        return self._presence.entered

    def adopt(self, marks: Marks, stationary_after: float) -> None:
        """Go by other marks from now on."""
        self._presence.adopt(marks.zones)
        self._path.adopt(marks.lines)
        self.still.after = stationary_after

    def look(self, timestamp: float, track: Track) -> bool:
        """Take a look at the object, a hit; True where that is news: a zone, a line, standing still or no more.

        What stands still is where it stands, however its box shakes.
        """
        self.track, self.last_hit = track, timestamp
        self.top_score = max(self.top_score, track.score)
        label = self.opening.label if self.opening else track.label
        turned = self.still.look(timestamp, track.bbox)
        box = self.still.place if self.still.stationary else track.bbox
        went = self._presence.look(timestamp, foot(box), label, track.score)
        crossed = self._path.look(timestamp, box, label)
        return turned or went or crossed

    def open(self, opening: Opening) -> None:
        """It is an event from now on."""
        self.opening = opening
        self.top_score = self.track.score

    def looks_better(self) -> bool:
        """Whether the last look is a better one than the best that was told."""
        return self._best is None or _worth(self.track) >= _BETTER * self._best.worth

    def tell(self, kind: EventType, camera: str, sequence: int, timestamp: float) -> Event:
        """The message about the last look, in the frame of this sequence and timestamp. The story is open."""
        opening, track, still = self.opening, self.track, self.still
        assert opening
        if kind is not EventType.END and self.looks_better():
            self._best = _Look(sequence, timestamp, track.score, track.bbox, _worth(track))
        best = self._best
        assert best, "announced before its end"
        self.told = Event(
            type=kind,
            event_id=opening.event_id,
            camera=camera,
            track_id=track.track_id,
            label=opening.label,
            score=track.score,
            top_score=self.top_score,
            bbox=track.bbox,
            sequence=sequence,
            timestamp=timestamp,
            start=self.first_seen,
            end=self.last_hit if kind is EventType.END else None,
            best_sequence=best.sequence,
            best_bbox=best.bbox,
            best_timestamp=best.timestamp,
            best_score=best.score,
            started=opening.started,
            clock_synced=opening.clock_synced,
            frame_size=opening.frame_size,
            current_zones=self._presence.current,
            entered_zones=self._presence.entered,
            crossings=self._path.crossings,
            stationary=still.stationary,
            motionless_count=still.motionless_count,
            position_changes=still.position_changes,
        )
        return self.told


def _worth(track: Track) -> float:
    """How good a picture of the object this is."""
    cut = min(track.bbox) <= _EDGE or max(track.bbox) >= 1 - _EDGE
    return track.score * sqrt(track.bbox.area) * (_CUT if cut else 1.0)
