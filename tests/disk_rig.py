"""A live pipeline that stores all it can on a disk, and disks to store it on that can be filled, frozen and cut off."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from time import monotonic

import av
import numpy as np
import pytest

from edgecam import sinks
from edgecam.app import App
from edgecam.clip_store import ClipStore
from edgecam.clock import SystemClock
from edgecam.events import EventRules
from edgecam.journal import Journal
from edgecam.pipeline import Pipeline, PipelineParts
from edgecam.ports import Camera, Sink
from edgecam.recording.checking import check
from edgecam.recording.encoder import EncoderOptions
from edgecam.sinks.clips import ClipSink
from edgecam.testing import ScriptedDetector
from edgecam.tracker import Tracker
from edgecam.types import AnnotatedFrame, BBox, Detection, Event, EventType, Frame

FPS = 30
STALL = float(os.environ.get("EDGECAM_STALL_SECONDS", "8"))
PATIENCE = 30.0
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878  # linux/fs.h

Steps = Iterator[None]


class LiveCamera(Camera):
    """Noise, 30 times a second: it can be made as small as nothing by no encoder."""

    def __init__(self) -> None:
        random = np.random.default_rng(1)
        self._pictures = [random.integers(16, 235, (360, 320), np.uint8) for _ in range(8)]
        self._clock = SystemClock()
        self._sequence = 0
        self._due = 0.0

    def open(self) -> None:
        self._due = self._clock.monotonic()

    def read(self, timeout: float) -> Frame | None:
        self._due += 1 / FPS
        self._clock.sleep(self._due - self._clock.monotonic())
        frame = Frame(
            self._sequence, self._due, self._pictures[self._sequence % 8].copy(), np.zeros((24, 32, 3), np.uint8)
        )
        self._sequence += 1
        return frame


class WatchingSink(Sink):
    """A sink without a disk, as the display and MQTT are."""

    def __init__(self) -> None:
        self.frames = 0
        self.newest = 0.0
        self.told: list[Event] = []

    def write(self, annotated: AnnotatedFrame) -> None:
        self.frames += 1
        self.newest = annotated.frame.timestamp

    def publish(self, event: Event) -> None:
        self.told.append(event)


def appearances() -> Iterator[list[Detection]]:
    """What is in one picture after the other: a dog, for 20 of each 30, each time in the next of eight places."""
    for place in count():
        xmin = place % 8 * 0.12
        yield from [[Detection("dog", 0.9, BBox(xmin, 0.1, xmin + 0.1, 0.5))]] * 20
        yield from [[]] * 10


class Rig:
    """A live pipeline that stores all it can on a disk, and one sink that does not need it.

    Something comes and goes, so that events begin and end all the time.
    """

    def __init__(self, disk: Path, *, video: bool = True) -> None:
        self.disk = disk
        self.watching = WatchingSink()
        clock, numbers = SystemClock(), count(1)
        rules = EventRules(
            "front",
            update_interval=0.2,
            clock=clock,
            new_id=lambda started: f"{started.timestamp():.6f}-{next(numbers)}",
        )
        stored: list[Sink] = [
            sinks.create("journal", path=disk / "edgecam.db", snapshots=disk / "snapshots"),
            sinks.create("jsonl", path=disk / "events.jsonl"),
            sinks.create("snapshot", folder=disk / "snapshots"),
            ClipSink(
                disk / "clips",
                "front",
                ClipStore(disk / "edgecam.db"),
                clock,
                encoder=EncoderOptions(max_bitrate=2_000_000, preset="ultrafast"),
                pre_roll=1.0,
                post_roll=0.5,
                max_length=8.0,
            ),
        ]
        if video:
            stored.append(sinks.create("video", path=disk / "video" / "a.mp4", keyframe_interval=0.5))
        detector = ScriptedDetector(appearances())
        parts = PipelineParts("front", LiveCamera(), detector, Tracker(), rules, [*stored, self.watching], None, clock)
        changed = threading.Event()
        self.app = App([Pipeline(parts, changed.set)], changed)
        self.pipeline = self.app.pipelines[0]
        self.row: dict[str, object] = {}

    def run(self, steps: Steps) -> None:
        """Run until the steps are over; they are taken from the main thread, some times a second."""

        def tick() -> None:
            if next(steps, steps) is steps:
                self.app.stop()

        self.app.run(tick)

    def until(self, condition: Callable[[], bool], what: str) -> Steps:
        """Steps that last until something is so."""
        end = monotonic() + PATIENCE + STALL
        while not condition():
            assert monotonic() < end, f"{what}: {self.troubles()}"
            yield

    def frames(self, number: int) -> Steps:
        """Steps that last for so many frames at the sink that needs no disk."""
        end = self.watching.frames + number
        yield from self.until(lambda: self.watching.frames >= end, f"{number} frames")

    def ended(self) -> Steps:
        """Steps that last until one more event has ended."""
        before = len(self.ends())
        yield from self.until(lambda: len(self.ends()) > before, "an event ends")

    def ends(self) -> list[Event]:
        return [event for event in self.watching.told if event.type is EventType.END]

    def troubles(self) -> dict[str, str]:
        return {outlet.name: outlet.trouble for outlet in self.pipeline.output.outlets if outlet.trouble}

    def trouble(self, begin: Callable[[], None], end: Callable[[], None], lasting: Callable[[], Steps]) -> Steps:
        """The story of each test: all well, trouble, all well again. What went on meanwhile is counted."""
        yield from self.frames(60)
        yield from self.ended()
        before, started = self.app.counters()["front"], monotonic()
        watched, told = self.watching.frames, len(self.watching.told)
        begin()
        yield from lasting()
        during, lasted = self.app.counters()["front"], monotonic() - started
        captured = during.frames_captured - before.frames_captured
        self.row |= {
            "seconds": round(lasted, 1),
            "captured": captured,
            "analysed": during.frames_analysed - before.frames_analysed,
            "watched": self.watching.frames - watched,
            "told": len(self.watching.told) - told,
            "found": sorted({text.partition(": ")[2].rpartition(": ")[0] or text for text in self.troubles().values()}),
        }
        end()
        cured = monotonic()
        yield from self.until(lambda: not self.troubles(), "all is well again")
        self.row["back_after"] = round(monotonic() - cured, 1)
        yield from self.ended()
        yield from self.frames(60)

    def assert_all_else_went_on(self) -> None:
        """Detection and the sink without a disk lost nothing; nothing is unaccounted for; no event is lost."""
        counters = self.app.counters()["front"]
        row = self.row | {
            "refused": {store.name: store.frames_refused for store in self.pipeline.stores if store.frames_refused},
            "events": counters.events,
            "events_lost": counters.events_lost,
        }
        sys.stdout.write(f"{json.dumps(row)}\n")
        captured = row["captured"]
        assert isinstance(captured, int)
        assert counters.frames_captured == counters.frames_written + counters.frames_dropped
        assert self.watching.frames == counters.frames_captured - self.pipeline.output.missed
        assert self.pipeline.output.missed <= counters.frames_captured // 50
        for of_them in ("analysed", "watched"):
            part = row[of_them]
            assert isinstance(part, int)
            assert part >= 0.9 * captured - 10, f"{of_them} {part} of {captured}"
        assert row["told"], "events went on"
        assert counters.events_lost == 0

    def assert_journal_is_whole(self, *journals: Path) -> None:
        """Every event that the sink without a disk was told of is in one of the journals, and ended where it did."""
        known: dict[str, object] = {}
        for path in journals or (self.disk / "edgecam.db",):
            with Journal(path) as journal:
                for document in journal.events(limit=10**6):
                    known[str(document["id"])] = document["end_time"]
        assert known.keys() == {event.event_id for event in self.watching.told}
        assert all(known[event.event_id] is not None for event in self.ends())

    def assert_lines_are_whole(self) -> None:
        """Every message is a line, in order."""
        lines = (self.disk / "events.jsonl").read_text().splitlines()
        ids = [(line["type"], line["id"]) for line in map(json.loads, lines)]
        assert ids == [(str(event.type), event.event_id) for event in self.watching.told]

    def assert_files_are_whole(self) -> None:
        """No file is empty, none unfinished, and every video plays to its end."""
        stored = [path for path in self.disk.rglob("*") if path.is_file() and path.suffix in {".mp4", ".jpg", ".part"}]
        assert [path.name for path in stored if not path.stat().st_size] == []
        assert [path.name for path in stored if path.suffix == ".part"] == []
        videos = [path for path in stored if path.suffix == ".mp4" and "video" in path.parts]
        assert len(videos) >= 2, "recording went on in another file"
        for path in videos:
            with av.open(str(path)) as video:
                assert sum(1 for _ in video.decode(video=0)) > 0

    def assert_clips_are_whole(self) -> None:
        """Every clip has a row and a file that says the same, and plays to its end; there was more than one."""
        with ClipStore(self.disk / "edgecam.db", read_only=True) as store:
            rows = {clip.path: clip for clip in store.clips()}
        files = {path.relative_to(self.disk) for path in (self.disk / "clips").rglob("*.mp4")}
        assert len(rows) >= 2
        assert files == rows.keys()
        for path, clip in rows.items():
            verdict = check(self.disk / path)
            assert verdict.ok, verdict
            assert (clip.frames, clip.end is not None) == (verdict.frames, True), clip


def mounted(*arguments: str | Path) -> None:
    """Mount, or skip the test where that is not permitted."""
    if os.geteuid() != 0:
        pytest.skip("disks of their own can only be mounted by root")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")


def unmount(folder: Path) -> None:
    """Unmount, if it is mounted."""
    subprocess.run(["umount", "-l", folder], capture_output=True, check=False)


def ext4_image(path: Path) -> Path:
    """A file with an empty ext4 file system."""
    with path.open("wb") as file:
        file.truncate(96 * 2**20)
    try:
        subprocess.run(["mkfs.ext4", "-q", path], check=True)
    except FileNotFoundError:
        pytest.skip("no mkfs.ext4 to make a disk with")
    return path


@contextmanager
def freezable(folder: Path) -> Iterator[Callable[[int], None]]:
    """Gives what freezes and thaws the file system; it is thawed at the end, whatever happens."""
    handle = os.open(folder, os.O_RDONLY)

    def set_to(request: int) -> None:
        fcntl.ioctl(handle, request, 0)

    try:
        yield set_to
    finally:
        with suppress(OSError):
            set_to(FITHAW)
        os.close(handle)
