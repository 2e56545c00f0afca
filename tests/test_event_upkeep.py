"""Old events go with their pictures, and neither is left without the other; files of others stay."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from clip_shelf import NOON, Shelf, event_message

from edgecam.clip_store import ClipKind, ClipStore
from edgecam.errors import SinkError
from edgecam.event_store import EventStore
from edgecam.event_upkeep import EventUpkeep, Pictures
from edgecam.housekeeping import HousekeepingWorker
from edgecam.journal import Journal
from edgecam.retention import Policy
from edgecam.testing import ManualClock

pytestmark = pytest.mark.any_runtime

DAY = 86_400.0


@dataclass
class Memory:
    """A journal with events and their pictures."""

    shelf: Shelf

    @property
    def data(self) -> Path:
        return self.shelf.data

    def event_id(self, at: float, name: str = "a") -> str:
        return f"{NOON + at:.6f}-{name}"

    def picture(self, at: float, name: str = "a", ending: str = ".jpg", age: float = 30 * DAY) -> Path:
        """A picture, last touched `age` seconds before the day of the test."""
        date = f"{datetime.fromtimestamp(NOON + at, UTC):%Y-%m-%d}"
        path = self.data / "snapshots" / "front" / date / f"{self.event_id(at, name)}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a picture")
        os.utime(path, (NOON + 100 * DAY - age,) * 2)
        return path

    def event(self, at: float, name: str = "a", *, pictured: bool = True, **changes: Any) -> str:
        """An event, and its picture; its id."""
        event_id = self.event_id(at, name)
        path = self.picture(at, name) if pictured else None
        with Journal(self.shelf.journal) as journal:
            journal.record(event_message(event_id, at, **changes), path)
        return event_id

    def many(self, ats: Iterable[float]) -> list[str]:
        """Events with pictures, in one go; their ids."""
        told = [(event_message(self.event_id(at), at), self.picture(at)) for at in ats]
        with Journal(self.shelf.journal) as journal:
            journal.record_all(told)
        return [str(message["id"]) for message, _ in told]

    def clip(self, clip_id: str, at: float, *events: str) -> None:
        with ClipStore(self.shelf.journal) as store:
            self.shelf.store(store, clip_id, at, *events)

    def events(self) -> dict[str, str | None]:
        """What is left, and the picture of each."""
        with Journal(self.shelf.journal, read_only=True) as journal:
            return {str(event["id"]): event["snapshot"] for event in journal.events()}

    def pictures(self) -> list[str]:
        return sorted(path.name for path in (self.data / "snapshots").rglob("*") if path.is_file())

    def upkeep(self, max_age: float | None = 90 * DAY) -> EventUpkeep:
        return EventUpkeep(EventStore(self.shelf.journal), self.data, max_age)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(Shelf(tmp_path / "data"))


NOW = NOON + 100 * DAY


def thinned(memory: Memory, now: float | None = NOW, max_age: float | None = 90 * DAY) -> EventUpkeep:
    upkeep = memory.upkeep(max_age)
    list(upkeep.thin(now))
    upkeep.close()
    return upkeep


def swept(memory: Memory, upkeep: EventUpkeep | None = None, now: float = NOW) -> Pictures:
    upkeep = upkeep or memory.upkeep()
    list(upkeep.sweep(now))
    upkeep.close()
    return upkeep.found


def test_an_old_event_goes_with_its_picture_and_a_newer_one_stays(memory: Memory) -> None:
    old = memory.many(number * 60.0 for number in range(120))
    new = memory.event(20 * DAY)
    assert thinned(memory).deleted == len(old)
    assert list(memory.events()) == [new]
    assert memory.pictures() == [f"{new}.jpg"]


def test_an_event_stays_as_long_as_a_clip_shows_it(memory: Memory) -> None:
    shown, alone = memory.event(0.0, "shown"), memory.event(60.0, "alone")
    memory.clip("clip", 0.0, shown)
    thinned(memory)
    assert alone not in memory.events()
    assert memory.pictures() == [f"{shown}.jpg"]
    with ClipStore(memory.shelf.journal) as store:
        store.removed(["clip"])
    thinned(memory)
    assert memory.events() == {}
    assert memory.pictures() == []


def test_what_goes_on_stays_and_so_does_all_while_the_clock_is_wrong_or_there_is_no_bound(memory: Memory) -> None:
    memory.event(0.0, end_time=None, type="update")
    memory.event(60.0, "b", end_time=NOON + 20 * DAY)
    memory.event(90.0, "c")
    assert thinned(memory, None).deleted == thinned(memory, NOW, None).deleted == 0
    assert thinned(memory).deleted == 1
    assert len(memory.events()) == 2


def test_events_of_a_wrong_clock_go_with_those_recorded_after_them(memory: Memory) -> None:
    of_1970 = memory.event(-NOON, "early", end_time=5.0)
    of_2060 = memory.event(12_000 * DAY, "late", end_time=NOON + 12_000 * DAY + 5)
    assert thinned(memory).deleted == 0
    memory.event(20 * DAY, "new")
    assert thinned(memory).deleted == 0
    later = memory.event(-1000 * DAY + 1000 * DAY + 1.0, "old")
    assert later in memory.events()
    assert thinned(memory).deleted == 3
    assert not {of_1970, of_2060, later} & memory.events().keys()


def test_no_file_outside_the_snapshots_is_deleted_whatever_the_journal_says(memory: Memory, tmp_path: Path) -> None:
    stranger = tmp_path / "snapshots" / "front" / "2026-03-01" / f"{memory.event_id(0.0)}.jpg"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"not ours")
    own = memory.picture(60.0, "b").with_name("holiday.jpg")
    own.write_bytes(b"mine")
    with Journal(memory.shelf.journal) as journal:
        journal.record(event_message(memory.event_id(0.0)), stranger)
        journal.record(event_message(memory.event_id(30.0, "c"), 30.0), own)
        journal.record(event_message(memory.event_id(40.0, "d"), 40.0), Path("snapshots/../../x.jpg"))
    assert thinned(memory).deleted == 3
    assert stranger.is_file()
    assert own.is_file()


def test_a_picture_of_no_event_goes_once_it_is_a_day_old_and_strangers_stay(memory: Memory) -> None:
    event = memory.event(0.0)
    memory.picture(60.0, "lost")
    fresh = memory.picture(99 * DAY, "fresh", age=60.0)
    memory.picture(0.0, "a", ending=".jpg.part")
    strangers = [memory.data / "snapshots" / "front" / "me.png", memory.data / "snapshots" / "1.0-a.jpg"]
    for stranger in strangers:
        stranger.write_bytes(b"mine")
        os.utime(stranger, (NOON, NOON))
    found = swept(memory)
    assert (found.pictures, found.removed, found.lonely, found.repaired) == (4, 2, 0, 0)
    assert sorted(found.strangers) == sorted(map(str, strangers))
    assert memory.pictures() == sorted([f"{event}.jpg", fresh.name, "me.png", "1.0-a.jpg"])


def test_pictures_that_somebody_asked_for_go_by_their_age(memory: Memory) -> None:
    def requested(at: float) -> Path:
        path = memory.picture(at)
        return path.rename(path.with_name(f"{NOON + at:.3f}-requested.jpg"))

    memory.event(0.0)
    requested(1.0)
    newer = requested(20 * DAY)
    swept(memory)
    assert newer.name in memory.pictures()
    assert len(memory.pictures()) == 2


def test_many_pictures_without_an_event_may_be_all_there_is_left_and_go_by_age(memory: Memory) -> None:
    for number in range(30):
        memory.picture(number * DAY, "x")
    found = swept(memory)
    assert (found.removed, found.lonely) == (10, 20)
    assert swept(memory, now=NOW + 50 * DAY).lonely == 0


def test_an_event_whose_picture_is_gone_says_so_no_more(memory: Memory) -> None:
    lost, whole = memory.event(0.0, "lost"), memory.event(60.0, "whole")
    just = memory.event(100 * DAY - 60.0, "just", pictured=False)
    with Journal(memory.shelf.journal) as journal:
        journal.record(event_message(just, 100 * DAY - 60.0), memory.data / "coming.jpg")
    next((memory.data / "snapshots").rglob(f"{lost}.jpg")).unlink()
    assert swept(memory).repaired == 1
    left = memory.events()
    assert left[lost] is None
    assert left[whole] is not None
    assert left[just] is not None, "its picture may be under way"


def test_a_disk_that_is_not_mounted_costs_no_event_its_picture_at_once(memory: Memory) -> None:
    memory.many(number * DAY for number in range(30))
    folder = memory.data / "snapshots"
    folder.rename(memory.data / "away")
    upkeep = memory.upkeep()
    assert (swept(memory, upkeep).repaired, len(upkeep.found.missing)) == (0, 30)
    (memory.data / "away").rename(folder)
    assert swept(memory, upkeep) == Pictures(pictures=30)
    folder.rename(memory.data / "away")
    swept(memory, upkeep)
    assert swept(memory, upkeep).repaired == 30


def test_a_copy_of_the_data_folder_has_its_pictures(memory: Memory, tmp_path: Path) -> None:
    memory.event(0.0)
    memory.data.rename(tmp_path / "copy")
    copy = Memory(Shelf(tmp_path / "copy"))
    assert swept(copy).repaired == 0
    assert thinned(copy).deleted == 1
    assert copy.pictures() == []


def test_the_housekeeping_does_it(memory: Memory) -> None:
    old, new = memory.event(0.0), memory.event(20 * DAY, "new")
    memory.picture(30.0, "lost")
    clock = ManualClock(wall_at_zero=datetime.fromtimestamp(NOW, UTC))
    store, policies = ClipStore(memory.shelf.journal), {ClipKind.EVENT: Policy()}
    worker = HousekeepingWorker(memory.data, store, policies, clock, events=memory.upkeep(), written=Path("/none"))
    for _ in range(20):
        worker.turn()
    facts = worker.facts
    worker.teardown()
    assert old not in memory.events()
    assert memory.pictures() == [f"{new}.jpg"]
    assert (facts.deleted_events, facts.pictures.removed, facts.trouble) == (1, 1, "")
    assert {"deleted_events"} <= facts.summary().keys()
    assert "pictures" not in facts.summary()


def test_a_picture_that_cannot_be_deleted_is_told(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.event(0.0)

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(SinkError, match="read-only"):
        list(memory.upkeep().thin(NOW))
    assert len(memory.events()) == 1
