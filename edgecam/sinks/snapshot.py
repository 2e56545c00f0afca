"""Snapshots: a JPEG of each event's best moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecam.errors import SinkError
from edgecam.ports import Sink
from edgecam.sinks.faults import as_sink_error
from edgecam.sinks.jpeg import Snapshot, save_jpeg
from edgecam.sinks.names import snapshot_path
from edgecam.switches import Switches
from edgecam.types import AnnotatedFrame, Event, EventType

RECENT_FRAMES = 6
"""Frames kept to find the best one among: an event is announced some frames after its object's first look."""
_DRAWN_AFTER = 2
"""Frames after which others have drawn theirs, if they draw it at all."""
OPEN_EVENTS = 8
"""Events whose best frame is kept at a time; the one untouched for longest is saved and let go."""


class _Shot(NamedTuple):
    """The picture of one frame."""

    sequence: int
    timestamp: float
    picture: AnnotatedFrame | NDArray[np.uint8]

    @classmethod
    def of(cls, annotated: AnnotatedFrame) -> _Shot:
        return cls(annotated.frame.sequence, annotated.frame.timestamp, annotated)

    @property
    def image(self) -> NDArray[np.uint8]:
        """The picture with the overlay."""
        return self.picture.image if isinstance(self.picture, AnnotatedFrame) else self.picture

    def lightened(self) -> _Shot:
        """The same, without what it was drawn from; what nobody has looked at is drawn when it is saved."""
        drawn = self.picture.drawn if isinstance(self.picture, AnnotatedFrame) else None
        return self if drawn is None else self._replace(picture=drawn)


@dataclass(slots=True)
class _Best:
    """The best look so far at one open event. `saved` is the sequence that is in the file, -1 for none."""

    event: Event
    shot: _Shot
    saved: int = -1


class SnapshotSink(Sink):
    """Saves the annotated picture of each event's best frame as FOLDER/CAMERA/2026-11-30/EVENT.jpg, local date.

    A first picture is there as soon as the event is announced, the best one when it ends; in between it is kept in
    memory. Of a best frame that came too long before its announcement, the nearest that is known is taken. Files are
    whole or not there. The frames are chosen in the output thread, as each event comes along; a disk that lags costs
    none of them. `saved` counts files written, `missed` events whose frames were all lost.

    What is kept survives `close`, so that an event which the disk refused can be saved after the sink is opened again.
    `on_saved` is called with each picture that was saved. While the switch `snapshots` is off events pass by.
    """

    name = "snapshots"
    waits_for_disk = True

    def __init__(
        self,
        folder: Path,
        *,
        quality: int = 85,
        switches: Switches | None = None,
        on_saved: Callable[[Snapshot], None] = lambda _snapshot: None,
    ) -> None:
        self.saved = 0
        self.missed = 0
        self._folder = Path(folder)
        self.quality = quality
        self._switches = switches or Switches()
        self._on_saved = on_saved
        self._is_open = False
        self._recent: tuple[_Shot, ...] = ()
        self._best: dict[str, _Best] = {}
        self._choosing = Lock()

    def open(self) -> None:
        with as_sink_error(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._is_open = True

    def glance(self, annotated: AnnotatedFrame) -> bool:
        older, newer = self._recent[1 - RECENT_FRAMES : -_DRAWN_AFTER], self._recent[-_DRAWN_AFTER:]
        self._recent = (*older[:-1], *(shot.lightened() for shot in older[-1:]), *newer, _Shot.of(annotated))
        return False

    def write(self, annotated: AnnotatedFrame) -> None:
        self._require_open()
        self.glance(annotated)

    def overhear(self, event: Event) -> None:
        with self._choosing:
            self._remember(event)
            if len(self._best) > 2 * OPEN_EVENTS:  # the disk stalls
                del self._best[next(iter(self._best))]

    def publish(self, event: Event) -> None:
        self._require_open()
        with self._choosing:
            best = self._remember(event)
            due = [best] if best and event.type is not EventType.UPDATE else []
            if len(self._best) > OPEN_EVENTS:
                due.append(self._best[next(iter(self._best))])
        if best is None:
            self.missed += event.type is EventType.END and self._switches["snapshots"]
            return
        for each in due:
            self._save(each)
        shot, lightened = best.shot, best.shot.lightened()
        with self._choosing:
            if best.shot is shot:
                best.shot = lightened
            for each in due:
                if each is not best or event.type is EventType.END:
                    self._best.pop(each.event.event_id, None)

    def close(self) -> None:
        self._is_open = False

    def _remember(self, event: Event) -> _Best | None:
        """Keep the frame that is nearest to the event's best; None where there is none, or it is not wanted."""
        best = self._best.pop(event.event_id, None)
        if not self._switches["snapshots"]:
            return None
        nearest = self._nearest(event.best_sequence, best.shot if best else None)
        heard_late = best is None and event.type is not EventType.NEW
        if nearest is None or (heard_late and nearest.sequence != event.best_sequence):
            return None
        if best is None:
            best = _Best(event, nearest)
        best.event, best.shot = event, nearest
        self._best[event.event_id] = best
        return best

    def _nearest(self, sequence: int, known: _Shot | None) -> _Shot | None:
        """The shot nearest to this frame, of the known one and the recent frames; None where there are none."""
        shots = (*((known,) if known else ()), *self._recent)
        return min(shots, key=lambda each: abs(each.sequence - sequence), default=None)

    def _save(self, best: _Best) -> None:
        event, shot = best.event, best.shot
        if best.saved == shot.sequence:
            return
        path, taken = snapshot_path(self._folder, event), event.unix(shot.timestamp)
        jpeg = save_jpeg(path, shot.image, self.quality)
        best.saved = shot.sequence
        self.saved += 1
        self._on_saved(Snapshot(event.camera, path, jpeg, shot.sequence, taken, event.event_id, event.label))

    def _require_open(self) -> None:
        if not self._is_open:
            raise SinkError(f"{self._folder}: the snapshot folder is not open")
