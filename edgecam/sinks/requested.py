"""Snapshots that somebody asks for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from edgecam.errors import SinkError
from edgecam.ports import Clock, Sink
from edgecam.sinks.jpeg import Snapshot, save_jpeg
from edgecam.sinks.names import requested_path
from edgecam.types import AnnotatedFrame

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Least time between two pictures, seconds: whoever asks without end fills no disk and costs no frames."""


class RequestedSnapshotSink(Sink):
    """Saves the next annotated picture after a request as FOLDER/CAMERA/2026-11-30/TAKEN-requested.jpg.

    Requests that come before one is served are served with it. `on_saved` and `on_failed`, which is told why, are
    called in the output thread; a disk that takes nothing costs no frames.
    """

    name = "requested snapshots"
    waits_for_disk = True

    def __init__(
        self,
        folder: Path,
        camera: str,
        clock: Clock,
        *,
        quality: int = 85,
        on_saved: Callable[[Snapshot], None] = lambda _snapshot: None,
        on_failed: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self.saved = 0
        self._folder = Path(folder)
        self._camera = camera
        self._clock = clock
        self.quality = quality
        self._on_saved = on_saved
        self._on_failed = on_failed
        self._wanted = threading.Event()
        self._served = float("-inf")

    def request(self) -> None:
        """Have a picture taken. From any thread; returns at once."""
        self._wanted.set()

    def glance(self, annotated: AnnotatedFrame) -> bool:
        return self._wanted.is_set() and annotated.frame.timestamp - self._served >= PAUSE

    def write(self, annotated: AnnotatedFrame) -> None:
        if not self.glance(annotated):
            return
        timestamp = annotated.frame.timestamp
        self._wanted.clear()
        self._served = timestamp
        taken = self._clock.wall(timestamp).timestamp()
        path = requested_path(self._folder, self._camera, taken)
        try:
            jpeg = save_jpeg(path, annotated.image, self.quality)
        except SinkError as error:
            log.error("the snapshot that was asked for: %s", error)
            self._on_failed(str(error))
            return
        self.saved += 1
        self._on_saved(Snapshot(self._camera, path, jpeg, annotated.frame.sequence, taken))
