"""Snapshots: a JPEG of each event's best moment."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.errors import SinkError
from edgecam.ports import Sink
from edgecam.sinks.faults import as_sink_error, write_whole
from edgecam.sinks.names import snapshot_path
from edgecam.types import AnnotatedFrame, Event, EventType

RECENT_FRAMES = 8
"""Frames kept to find the best one among: an event is announced some frames after its object's first look."""
OPEN_EVENTS = 16
"""Events whose best frame is kept at a time; the one untouched for longest is saved and let go."""


@dataclass(slots=True)
class _Best:
    """The best look so far of one open event. `saved` is the sequence that is in the file, -1 for none."""

    path: Path
    sequence: int
    image: NDArray[np.uint8]
    saved: int = -1


class SnapshotSink(Sink):
    """Saves the annotated picture of each event's best frame as FOLDER/CAMERA/2026-11-30/EVENT.jpg, local date.

    A first picture is there as soon as the event is announced, the best one when it ends; in between it is kept in
    memory. Of a best frame that came too long before its announcement, the nearest that is known is taken. Files are
    whole or not there. `saved` counts files written, `missed` events whose frames were all lost.

    What is kept survives `close`, so that an event which the disk refused can be saved after the sink is opened again.
    """

    def __init__(self, folder: Path, *, quality: int = 85) -> None:
        self.saved = 0
        self.missed = 0
        self._folder = Path(folder)
        self._quality = quality
        self._is_open = False
        self._recent: deque[tuple[int, NDArray[np.uint8]]] = deque(maxlen=RECENT_FRAMES)
        self._best: dict[str, _Best] = {}

    def open(self) -> None:
        with as_sink_error(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._is_open = True

    def write(self, annotated: AnnotatedFrame) -> None:
        self._require_open()
        self._recent.append((annotated.frame.sequence, annotated.image))

    def publish(self, event: Event) -> None:
        self._require_open()
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
        best = self._best.pop(event.event_id, None)
        known = [*self._recent] if best is None else [(best.sequence, best.image), *self._recent]
        if event.type is not EventType.NEW and best is None:
            known = [(sequence, image) for sequence, image in known if sequence == event.best_sequence]
        if not known:
            return None
        sequence, image = min(known, key=lambda each: abs(each[0] - event.best_sequence))
        if best is None:
            best = _Best(snapshot_path(self._folder, event), sequence, image)
        best.sequence, best.image = sequence, image
        self._best[event.event_id] = best
        return best

    def _save(self, best: _Best) -> None:
        if best.saved == best.sequence:
            return
        encoded, data = cv2.imencode(
            ".jpg", cv2.cvtColor(best.image, cv2.COLOR_YUV2BGR_I420), (cv2.IMWRITE_JPEG_QUALITY, self._quality)
        )
        if not encoded:
            raise SinkError(f"{best.path}: OpenCV does not write this picture as JPEG")
        with as_sink_error(best.path):
            best.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(best.path, data.tobytes())
        best.saved = best.sequence
        self.saved += 1

    def _require_open(self) -> None:
        if not self._is_open:
            raise SinkError(f"{self._folder}: the snapshot folder is not open")
