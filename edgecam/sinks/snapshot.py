"""Snapshots: a JPEG of each event's best moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgecam.errors import SinkError
from edgecam.ports import Sink
from edgecam.sinks.faults import as_sink_error
from edgecam.sinks.jpeg import Snapshot, save_jpeg
from edgecam.sinks.names import snapshot_path
from edgecam.switches import Switches
from edgecam.types import AnnotatedFrame, Event, EventType

RECENT_FRAMES = 8
"""Frames kept to find the best one among: an event is announced some frames after its object's first look."""
OPEN_EVENTS = 16
"""Events whose best frame is kept at a time; the one untouched for longest is saved and let go."""


@dataclass(slots=True)
class _Best:
    """The best look so far at one open event. `saved` is the sequence that is in the file, -1 for none."""

    event: Event
    shot: AnnotatedFrame
    saved: int = -1


class SnapshotSink(Sink):
    """Saves the annotated picture of each event's best frame as FOLDER/CAMERA/2026-11-30/EVENT.jpg, local date.

    A first picture is there as soon as the event is announced, the best one when it ends; in between it is kept in
    memory. Of a best frame that came too long before its announcement, the nearest that is known is taken. Files are
    whole or not there. `saved` counts files written, `missed` events whose frames were all lost.

    What is kept survives `close`, so that an event which the disk refused can be saved after the sink is opened again.
    `on_saved` is called with each picture that was saved. While the switch `snapshots` is off events pass by.
    """

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
        self._recent: deque[AnnotatedFrame] = deque(maxlen=RECENT_FRAMES)
        self._best: dict[str, _Best] = {}

    def open(self) -> None:
        with as_sink_error(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._is_open = True

    def write(self, annotated: AnnotatedFrame) -> None:
        self._require_open()
        self._recent.append(annotated)

    def publish(self, event: Event) -> None:
        self._require_open()
        if not self._switches["snapshots"]:
            self._best.pop(event.event_id, None)
            return
        best = self._remember(event)
        if best is None:
            self.missed += event.type is EventType.END
            return
        if event.type is not EventType.UPDATE:
            self._save(best)
        if event.type is EventType.END:
            del self._best[event.event_id]
        elif len(self._best) > OPEN_EVENTS:
            oldest = next(iter(self._best))
            self._save(self._best[oldest])
            del self._best[oldest]

    def close(self) -> None:
        self._is_open = False

    def _remember(self, event: Event) -> _Best | None:
        """Keep the frame that is nearest to the event's best; None where there is none."""
        before = self._best.pop(event.event_id, None)
        known = [*self._recent] if before is None else [before.shot, *self._recent]
        if event.type is not EventType.NEW and before is None:
            known = [shot for shot in known if shot.frame.sequence == event.best_sequence]
        if not known:
            return None
        shot = min(known, key=lambda each: abs(each.frame.sequence - event.best_sequence))
        best = _Best(event, shot, -1 if before is None else before.saved)
        self._best[event.event_id] = best
        return best

    def _save(self, best: _Best) -> None:
        event, shot, frame = best.event, best.shot, best.shot.frame
        if best.saved == frame.sequence:
            return
        path, taken = snapshot_path(self._folder, event), event.unix(frame.timestamp)
        jpeg = save_jpeg(path, shot.image, self.quality)
        best.saved = frame.sequence
        self.saved += 1
        self._on_saved(Snapshot(event.camera, path, jpeg, frame.sequence, taken, event.event_id, event.label))

    def _require_open(self) -> None:
        if not self._is_open:
            raise SinkError(f"{self._folder}: the snapshot folder is not open")
