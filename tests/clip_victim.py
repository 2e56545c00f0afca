"""Live pipelines that store events, snapshots and clips, to be killed: `python clip_victim.py`.

All is loaded once. For each line on standard input, the path of a data folder, a process is forked that records there
for ever; its id is printed. DATA/notes, which is there already, has two numbers, which outlive the process: the
timestamp of the newest frame that the clips were given, and the monotonic time at which the first event was announced,
0 before. The processes end by themselves soon after this one has.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import sys
import threading
import time
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import cv2
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
SIZE = (160, 96)
NOTES = struct.Struct("dd")


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


class Notes:
    """Numbers in a file that outlives the process."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), NOTES.size)

    def note(self, place: int, number: float) -> None:
        self._map[8 * place : 8 * place + 8] = struct.pack("d", number)


class NotingClips(ClipSink):
    """Notes the newest frame before it is taken."""

    def __init__(self, notes: Notes, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._notes = notes

    def write(self, annotated: AnnotatedFrame) -> None:
        self._notes.note(0, annotated.frame.timestamp)
        super().write(annotated)


class Announcing(Sink):
    """Notes when the first event is announced."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._said = False

    def publish(self, event: Event) -> None:
        if not self._said:
            self._notes.note(1, time.monotonic())
        self._said = True


def run(data: Path) -> None:
    """Record for ever: an object comes for two thirds of a second or more, and goes."""
    clock, random, notes = SystemClock(), Random(), Notes(data / "notes")
    there = [Detection("dog", 0.9, BBox(0.1, 0.1, 0.3, 0.5))]
    script = (found for _ in count() for found in (*[there] * random.randint(20, 90), *[()] * random.randint(45, 70)))
    rules = EventRules("front", update_interval=0.2, clock=clock, new_id=lambda wall: frigate_event_id(wall, random))
    shots, journal = data / "snapshots", data / "edgecam.db"
    stored = [
        sinks.create("journal", path=journal, snapshots=shots, outbox=True),
        sinks.create("snapshot", folder=shots),
        NotingClips(
            notes, data / "clips", "front", ClipStore(journal), clock, pre_roll=1.0, post_roll=0.5,
            max_length=2.5,
        ),
        Announcing(notes),
    ]  # fmt: skip
    tracker = Tracker(max_age=0.5)
    parts = PipelineParts("front", LiveCamera(), ScriptedDetector(script), tracker, rules, stored, None, clock)
    changed = threading.Event()
    app = App([Pipeline(parts, changed.set)], changed)
    parent = os.getppid()
    app.run(lambda: None if os.getppid() == parent else app.stop())


def serve() -> None:
    """Fork a victim for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    cv2.setNumThreads(1)  # its threads would not be in the victims, and be waited for
    street(60, SIZE)
    for line in sys.stdin:
        victim = os.fork()
        if not victim:
            run(Path(line.rstrip("\n")))
            os._exit(1)
        sys.stdout.write(f"{victim}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
