"""A live pipeline that stores events, snapshots and clips, to be killed: `python clip_victim.py DATA`.

It prints "recording" once an event was announced. DATA/newest has the timestamp of the newest frame that the clips were
given, as eight bytes: they outlive the process.
"""

from __future__ import annotations

import mmap
import struct
import sys
import threading
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from clip_stories import street

from edgecam import sinks
from edgecam.app import App
from edgecam.clip_store import ClipStore
from edgecam.clock import SystemClock
from edgecam.events import EventRules, frigate_event_id
from edgecam.pipeline import Pipeline, PipelineParts
from edgecam.ports import Camera, Sink
from edgecam.sinks.clips import ClipSink
from edgecam.testing import ScriptedDetector
from edgecam.tracker import Tracker
from edgecam.types import AnnotatedFrame, BBox, Detection, Event, Frame

FPS = 30
SIZE = (320, 180)


class LiveCamera(Camera):
    """A street, 30 times a second."""

    def __init__(self) -> None:
        self._pictures = street(60, SIZE)
        self._lores = np.zeros((24, 32, 3), np.uint8)
        self._clock = SystemClock()
        self._sequence = 0
        self._due = 0.0

    def open(self) -> None:
        self._due = self._clock.monotonic()

    def read(self, timeout: float) -> Frame | None:
        self._due += 1 / FPS
        self._clock.sleep(self._due - self._clock.monotonic())
        turn, place = divmod(self._sequence, len(self._pictures))
        main = self._pictures[place if turn % 2 == 0 else -1 - place]
        self._sequence += 1
        return Frame(self._sequence - 1, self._due, main, self._lores)


class NotingClips(ClipSink):
    """Notes the newest frame before it is taken."""

    def __init__(self, newest: Path, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        newest.write_bytes(struct.pack("d", 0.0))
        with newest.open("r+b") as file:
            self._newest_time = mmap.mmap(file.fileno(), 8)

    def write(self, annotated: AnnotatedFrame) -> None:
        self._newest_time[:] = struct.pack("d", annotated.frame.timestamp)
        super().write(annotated)


class Announcing(Sink):
    """Says when the first event is announced."""

    def __init__(self) -> None:
        self._said = False

    def publish(self, event: Event) -> None:
        if not self._said:
            sys.stdout.write("recording\n")
            sys.stdout.flush()
        self._said = True


def run(data: Path) -> None:
    """Record for ever: an object comes for two thirds of a second or more, and goes."""
    clock, random = SystemClock(), Random()
    there = [Detection("dog", 0.9, BBox(0.1, 0.1, 0.3, 0.5))]
    script = (found for _ in count() for found in (*[there] * random.randint(20, 120), *[()] * random.randint(70, 120)))
    rules = EventRules("front", update_interval=0.2, clock=clock, new_id=lambda wall: frigate_event_id(wall, random))
    shots, journal = data / "snapshots", data / "edgecam.db"
    stored = [
        sinks.create("journal", path=journal, snapshots=shots, outbox=True),
        sinks.create("snapshot", folder=shots),
        NotingClips(
            data / "newest", data / "clips", "front", ClipStore(journal), clock, pre_roll=1.0, post_roll=0.5,
            max_length=4.0,
        ),
        Announcing(),
    ]  # fmt: skip
    tracker = Tracker(max_age=0.5)
    parts = PipelineParts("front", LiveCamera(), ScriptedDetector(script), tracker, rules, stored, None, clock)
    changed = threading.Event()
    App([Pipeline(parts, changed.set)], changed).run()


if __name__ == "__main__":
    run(Path(sys.argv[1]))
