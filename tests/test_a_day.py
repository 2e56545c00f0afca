"""A day in seconds, with a clock that starts in 1970, is set, jumps, is slewed and changes to winter time."""

from __future__ import annotations

import json
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from machine_time import MachineTime

from edgecam.clock import STEP, SystemClock
from edgecam.errors import EndOfStream, SinkError
from edgecam.events import EventRules, frigate_event_id
from edgecam.journal import Journal
from edgecam.outbox import Outbox, moment
from edgecam.outlet import Outlet
from edgecam.sinks.journal import JournalSink
from edgecam.sinks.snapshot import SnapshotSink
from edgecam.tracker import Tracker
from edgecam.types import AnnotatedFrame, BBox, Detection, Event, Frame
from edgecam.worker import Worker

pytestmark = pytest.mark.any_runtime

HOUR, DAY = 3600.0, 86400.0
BOOT = 20.0
"""Monotonic time of the first analysis."""
SYNC, FORWARD, BACK, SLEW, SLEWED = (BOOT + hour * HOUR for hour in (1, 5, 9, 15, 19))
"""When the clock is first set, jumps an hour ahead and back, and while it is slewed."""
NOON = datetime(2026, 10, 24, 12, 0, tzinfo=UTC).timestamp()
"""The right time of BOOT: in Berlin, ten hours before midnight and thirteen before summer time ends."""
MIDNIGHT, WINTER = BOOT + 10 * HOUR, BOOT + 13 * HOUR
MOMENTS = (SYNC, FORWARD, BACK, MIDNIGHT, WINTER)
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
BUSY, IDLE, BEAT_LIMIT = 0.2, 5.0, 6.0
"""Seconds between analyses where somebody is or was just there, and else; and how old a beat may be."""
DISK_FULL = (FORWARD - 60.0, FORWARD + 60.0)
"""While the journal takes nothing."""


@dataclass(frozen=True)
class Visit:
    """Somebody in one half of the picture, whose label is nobody else's; walks from the left to the right."""

    label: str
    begins: float
    ends: float
    top: float

    def box(self, now: float) -> BBox:
        left = 0.1 + 0.7 * (now - self.begins) / (self.ends - self.begins)
        return BBox(left, self.top, left + 0.1, self.top + 0.3)


def visits() -> list[Visit]:
    """One every ten minutes or so in the upper half, one across each moment in the lower half."""
    random = Random(5)
    starts = [BOOT + 300 + 600 * n + random.uniform(0, 400) for n in range(142)]
    usual = [Visit(f"visitor {n}", start, start + random.uniform(4, 40), 0.1) for n, start in enumerate(starts)]
    across = [Visit(f"across {moment:g}", moment - 15, moment + 25, 0.6) for moment in MOMENTS]
    return sorted([*usual, *across], key=lambda visit: visit.begins)


class FullDisk(JournalSink):
    """A journal on a disk that is full for a while."""

    def __init__(self, path: Path, clock: SystemClock, *, snapshots: Path) -> None:
        super().__init__(path, snapshots=snapshots, outbox=True, clock=clock)
        self.now = clock.monotonic

    def publish(self, event: Event) -> None:
        if DISK_FULL[0] <= self.now() < DISK_FULL[1]:
            raise SinkError("the disk is full")
        super().publish(event)


class Day(Worker):
    """Detection and output of a camera, one analysis a turn, with the machine's time moved on by the turn itself."""

    def __init__(self, folder: Path, machine: MachineTime) -> None:
        super().__init__("day", lambda: None)
        self.machine = machine
        self.clock = SystemClock()
        self.script = visits()
        self._coming = deque(self.script)
        self.times: list[float] = []
        self.offsets: list[float] = []
        self.seen: dict[str, list[float]] = defaultdict(list)
        self.oldest_beat = 0.0
        snapshots = folder / "snapshots"
        journal = FullDisk(folder / "edgecam.db", self.clock, snapshots=snapshots)
        self.outlets = [Outlet(sink, self.clock) for sink in (SnapshotSink(snapshots), journal)]
        self.outbox = Outbox(folder / "edgecam.db")
        self._tracker = Tracker()
        random = Random(1)
        self._rules = EventRules(
            "front", clock=self.clock, new_id=lambda wall: frigate_event_id(wall, random), update_interval=5.0
        )
        self._pixels = np.full((72, 64), 128, np.uint8)
        self._lores = np.zeros((2, 2, 3), np.uint8)

    def setup(self) -> None:
        for outlet in self.outlets:
            outlet.open()
        self.outbox.open()

    def step(self) -> None:
        now = self.clock.monotonic()
        if now >= BOOT + DAY:
            raise EndOfStream("the day is over")
        while self._coming and self._coming[0].ends + 3 <= now:
            self._coming.popleft()
        near = [visit for visit in islice(self._coming, 4) if visit.begins <= now]
        self._analyse(now, [visit for visit in near if now < visit.ends])
        self._pass_time(BUSY if near else IDLE)
        self.oldest_beat = max(self.oldest_beat, self.clock.monotonic() - self.beat)

    def teardown(self) -> None:
        self._publish(self._rules.finish(self.clock.monotonic()))
        for outlet in reversed(self.outlets):
            outlet.close()
        self.outbox.close()

    def _analyse(self, now: float, present: list[Visit]) -> None:
        sequence = len(self.times)
        self.times.append(now)
        self.offsets.append(self.machine.time() - now)
        for visit in present:
            self.seen[visit.label].append(now)
        found = [Detection(visit.label, 0.8, visit.box(now)) for visit in present]
        events = self._rules.update(sequence, now, self._tracker.update(now, self._rules.accept(found)), (64, 48))
        if present:
            frame = Frame(sequence, now, self._pixels, self._lores)
            self.outlets[0].write(AnnotatedFrame(frame, self._pixels, (), None))
        self._publish(events)
        for outlet in self.outlets:
            outlet.flush()
        if sequence % 600 == 0:
            self.outbox.trim(moment(self.clock), messages=100_000, age=1.5 * DAY)

    def _publish(self, events: tuple[Event, ...]) -> None:
        for event in events:
            for outlet in self.outlets:
                outlet.publish(event)

    def _pass_time(self, seconds: float) -> None:
        """Move on, at most to the next moment at which something happens, and let it happen."""
        before = self.machine.monotonic()
        moments = (SYNC, FORWARD, BACK, *(visit.begins for visit in islice(self._coming, 4)))
        self.machine.advance(min([seconds, *(moment - before for moment in moments if moment > before)]))
        now = self.machine.monotonic()
        if before < SYNC <= now:
            self.machine.step(NOON - BOOT + now - self.machine.time())
            self.machine.timesyncd.touch()
        if before < FORWARD <= now:
            self.machine.step(HOUR)
        if before < BACK <= now:
            self.machine.step(-HOUR)
        if SLEW <= now < SLEWED:
            self.machine.step(500e-6 * (now - before) * (1 if now < (SLEW + SLEWED) / 2 else -1))


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", BERLIN)
        time.tzset()
        yield
    time.tzset()


def test_a_day_with_a_clock_that_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_berlin: None) -> None:
    day = Day(tmp_path, MachineTime(tmp_path, monotonic=BOOT, wall=10.0).used_by(monkeypatch))
    day.run()
    assert day.fault is None
    assert day.oldest_beat < BEAT_LIMIT, "a watchdog would have fired"
    assert [outlet.events_lost for outlet in day.outlets] == [0, 0]
    stories = told(tmp_path)
    assert list(stories) == [visit.label for visit in day.script], "one event each, in the order of their coming"
    for label, story in stories.items():
        check_story(day, day.seen[label], story)
    ids = [story[0]["after"]["id"] for story in stories.values()]
    assert len(set(ids)) == len(ids)
    starts = [story[0]["after"]["start_time"] for story in stories.values()]
    assert any(later < earlier for earlier, later in pairwise(starts)), "the wall clock went back, the order did not"
    check_journal(tmp_path, stories)
    check_ages(day)


def told(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The messages of each visit, as the outbox has them for the broker: in the order of their frames."""
    with Outbox(folder / "edgecam.db") as outbox:
        waiting = outbox.pending(0, 100_000)
    assert [each.sequence for each in waiting] == list(range(1, len(waiting) + 1))
    messages = [json.loads(each.payload) for each in waiting]
    frames = [message["after"]["frame"] for message in messages]
    assert frames == sorted(frames)
    stories: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for message in messages:
        stories[message["after"]["label"]].append(message)
    return stories


def check_story(day: Day, seen: list[float], story: list[dict[str, Any]]) -> None:
    """All messages about one visit, which was seen at these monotonic times."""
    assert [message["type"] for message in story] == ["new", *["update"] * (len(story) - 2), "end"]
    first = story[0]["after"]
    announced = first["frame"]
    assert first["start_time"] == pytest.approx(seen[0] + day.offsets[announced], abs=STEP + 0.001)
    assert first["id"].startswith(f"{first['start_time']:.6f}-")
    if not SYNC <= day.times[announced] < SYNC + 10:
        assert first["clock_synced"] is (day.times[announced] >= SYNC)
    told_before = None
    for message in story:
        before, after = message["before"], message["after"]
        assert told_before in (None, before)
        told_before = after
        for side in (before, after):
            assert [side[key] for key in ("id", "start_time", "clock_synced")] == [
                first[key] for key in ("id", "start_time", "clock_synced")
            ]
            assert side["frame_time"] - side["start_time"] == pytest.approx(
                day.times[side["frame"]] - seen[0], abs=0.001
            )
        assert after["has_snapshot"]
        best = after["snapshot"]["frame_time"] - after["start_time"]
        assert any(abs(best - (when - seen[0])) < 0.001 for when in seen)
    assert story[-1]["after"]["end_time"] - first["start_time"] == pytest.approx(seen[-1] - seen[0], abs=0.001)


def check_journal(folder: Path, stories: dict[str, list[dict[str, Any]]]) -> None:
    """One row and one picture for each event, in the folder of the local day of its start."""
    with Journal(folder / "edgecam.db", read_only=True) as journal:
        documents = list(journal.events())
    assert [document["label"] for document in documents] == list(stories), "in the order of announcement"
    last = {label: story[-1]["after"] for label, story in stories.items()}
    for document in documents:
        after = last[document["label"]]
        assert [document[key] for key in ("start_time", "end_time")] == [after["start_time"], after["end_time"]]
    pictures = sorted((folder / "snapshots").rglob("*.jpg"))
    assert pictures == sorted(Path(document["snapshot"]) for document in documents)
    assert {picture.parent.name for picture in pictures} == {"1970-01-01", "2026-10-24", "2026-10-25"}
    days = {document["label"]: Path(document["snapshot"]).parent.name for document in documents}
    assert days[f"across {SYNC:g}"] == "1970-01-01"
    assert days[f"across {MIDNIGHT:g}"] == "2026-10-24"


def check_ages(day: Day) -> None:
    """No message was ever too old; half a day's are those of half a day, whatever the wall clock did."""
    now = moment(day.clock)
    with day.outbox as outbox:
        assert outbox.lost() == 0
        recorded = [each.recorded.monotonic for each in outbox.pending(0, 100_000)]
        old = sum(now.monotonic - each > DAY / 2 for each in recorded)
        assert 0 < old < len(recorded)
        while outbox.trim(now, messages=100_000, age=DAY / 2):
            pass
        assert outbox.lost() == old
        assert [each.recorded.monotonic for each in outbox.pending(0, 100_000)] == recorded[old:]
