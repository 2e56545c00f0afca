"""The housekeeping thread keeps the real store within its bounds, says what it did, and gives up on nothing."""

from __future__ import annotations

import shutil
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from clip_shelf import NOON, Shelf, event_message

from edgecam import housekeeping
from edgecam.clip_files import Swept
from edgecam.clip_store import ClipKind, ClipRow, ClipStore
from edgecam.config.retention import RetentionSection
from edgecam.housekeeping import HousekeepingWorker, Ledger
from edgecam.retention import Policy
from edgecam.testing import ManualClock
from edgecam.thinning import Thinning

pytestmark = pytest.mark.any_runtime

DAY = 86_400.0
MINUTE = 60.0
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "data")


@pytest.fixture
def store(shelf: Shelf) -> Iterator[ClipStore]:
    with ClipStore(shelf.journal) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(wall_at_zero=datetime.fromtimestamp(NOON + 30 * DAY, UTC))


@pytest.fixture
def house(shelf: Shelf, clock: ManualClock) -> Iterator[Callable[[Policy], HousekeepingWorker]]:
    """Makes a housekeeper of the shelf."""
    made: list[HousekeepingWorker] = []

    def make(policy: Policy) -> HousekeepingWorker:
        policies = {ClipKind.EVENT: policy}
        made.append(HousekeepingWorker(shelf.data, ClipStore(shelf.journal), policies, clock, written=Path("/none")))
        return made[-1]

    yield make
    for worker in made:
        worker.teardown()


def rested(worker: HousekeepingWorker) -> HousekeepingWorker:
    """Let it take turns until there is nothing more to do."""
    for _ in range(50):
        worker.turn()
    return worker


def fill(shelf: Shelf, store: ClipStore, count: int) -> int:
    """Store so many clips of one size; returns that."""
    return max([shelf.store(store, str(number), number).size_bytes for number in range(count)])


def left(store: ClipStore) -> list[str]:
    return [clip.clip_id for clip in store.clips()]


class Disk:
    """A disk of which as much is free as the clips leave free."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shelf: Shelf, size: int, others: int = 0) -> None:
        self.size, self.others, self._shelf = size, others, shelf
        monkeypatch.setattr(shutil, "disk_usage", lambda _folder: Usage(self.size, self.used, self.size - self.used))

    @property
    def used(self) -> int:
        clips = self._shelf.data / "clips"
        return self.others + sum(path.stat().st_size for path in clips.rglob("*") if path.is_file())


def test_clips_go_by_age_each_label_by_its_own(
    shelf: Shelf, store: ClipStore, house: Callable[[Policy], HousekeepingWorker]
) -> None:
    shelf.tell(event_message("p"), event_message("d", label="dog"))
    for number, day in enumerate((0, 5, 25)):
        shelf.store(store, f"p{number}", day * DAY, "p")
        shelf.store(store, f"d{number}", day * DAY, "d")
    facts = rested(house(Policy(max_age=10 * DAY, label_max_age={"person": 28 * DAY}))).facts
    assert left(store) == ["p1", "p2", "d2"]
    assert len(shelf.files()) == 3
    assert (facts.deleted, facts.sweeps, facts.swept, facts.trouble) == (3, 1, Swept(clips=6), "")
    assert facts.stored_bytes == store.total_bytes() > 0
    assert facts.deleted_bytes == facts.stored_bytes


def test_the_oldest_go_beyond_the_total_size_and_favourites_stay(
    shelf: Shelf, store: ClipStore, house: Callable[[Policy], HousekeepingWorker]
) -> None:
    size = fill(shelf, store, 8)
    store.keep("1", True)
    worker = rested(house(Policy(max_bytes=3 * size)))
    assert left(store) == ["1", "6", "7"]
    assert worker.facts.trouble == ""


def test_clips_make_room_where_the_disk_runs_short(
    shelf: Shelf, store: ClipStore, house: Callable[[Policy], HousekeepingWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = fill(shelf, store, 8)
    disk = Disk(monkeypatch, shelf, size=20 * size)
    worker = rested(house(Policy(min_free_bytes=12 * size)))
    assert left(store) == [str(number) for number in range(8)]
    disk.others = 3 * size
    assert worker.facts.deleted == 0
    worker._clock.advance(MINUTE)  # type: ignore[attr-defined]
    rested(worker)
    assert left(store) == ["3", "4", "5", "6", "7"]


def test_what_cannot_be_kept_is_told_and_nothing_that_must_stay_goes(
    shelf: Shelf, store: ClipStore, house: Callable[[Policy], HousekeepingWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = fill(shelf, store, 4)
    store.keep("0", True)
    Disk(monkeypatch, shelf, size=20 * size, others=14 * size)
    worker = rested(house(Policy(min_free_bytes=10 * size)))
    assert left(store) == ["0"]
    assert worker.facts.over_bytes == 5 * size
    assert "what is left are favourites, or files that are not clips" in worker.facts.trouble


def test_a_bound_larger_than_the_disk_deletes_nothing(
    shelf: Shelf, store: ClipStore, house: Callable[[Policy], HousekeepingWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = shelf.store(store, "a").size_bytes
    Disk(monkeypatch, shelf, size=20 * size)
    worker = rested(house(Policy(min_free_bytes=21 * size)))
    assert left(store) == ["a"]
    assert worker.facts.trouble == (
        f"retention.min_free_bytes is {21 * size}, and the whole disk has {20 * size}: nothing is deleted for it;"
        " set it lower"
    )


def test_what_grows_counts_and_stays(
    shelf: Shelf, store: ClipStore, house: Callable[[Policy], HousekeepingWorker]
) -> None:
    size = fill(shelf, store, 4)
    path = shelf.path("grows")
    store.begun(ClipRow("grows", "front", path, NOON))
    (shelf.data / path).with_name(path.name + ".part").write_bytes(bytes(2 * size))
    rested(house(Policy(max_bytes=4 * size)))
    assert left(store) == ["2", "3", "grows"]


def test_segments_of_continuous_recording_have_bounds_of_their_own_and_make_room_first(
    shelf: Shelf, store: ClipStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 0
    for number in range(4):
        size = shelf.store(store, f"e{number}", number).size_bytes
        store.begun(replace(shelf.write(f"c{number}", number), kind=ClipKind.CONTINUOUS))
    disk = Disk(monkeypatch, shelf, size=20 * size)
    least = Policy(min_free_bytes=12 * size)
    thinning = Thinning(store, shelf.data, {ClipKind.EVENT: least, ClipKind.CONTINUOUS: replace(least, max_bytes=size)})
    list(thinning.steps(None))
    assert left(store) == ["e0", "e1", "e2", "e3", "c3"]
    disk.others = 5 * size
    list(thinning.steps(None))
    assert left(store) == ["e1", "e2", "e3"]
    assert (thinning.is_short, thinning.over_bytes) == (False, 0)


def test_while_the_clock_is_wrong_nothing_goes_by_age(shelf: Shelf, store: ClipStore, clock: ManualClock) -> None:
    shelf.store(store, "a")
    thinning = Thinning(store, shelf.data, {ClipKind.EVENT: Policy(max_age=DAY)})
    list(thinning.steps(None))
    assert left(store) == ["a"]
    list(thinning.steps(NOON + 2 * DAY))
    assert left(store) == []


def test_a_favourite_of_the_last_moment_stays(shelf: Shelf, store: ClipStore) -> None:
    """It became one after it was decided what goes, and before it went."""
    for number in range(30):
        shelf.store(store, str(number), number, frames=2)
    steps = Thinning(store, shelf.data, {ClipKind.EVENT: Policy(max_bytes=1)}).steps(None)
    for _ in range(2):
        next(steps)
    with ClipStore(shelf.journal) as user:
        assert user.keep("25", True)
        assert not user.keep("5", True)
    for _ in steps:
        pass
    assert left(store) == ["25"]
    assert len(shelf.files()) == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_random_history_keeps_within_its_bounds_on_the_disk(
    shelf: Shelf, store: ClipStore, clock: ManualClock, seed: int
) -> None:
    """Clips come and go for a month, with retention between; files and rows agree all the time."""
    random = Random(seed)
    policy = Policy(max_age=random.choice([None, 7 * DAY]), max_bytes=random.choice([None, 60_000, 200_000]))
    thinning = Thinning(store, shelf.data, {ClipKind.EVENT: policy})
    kept: set[str] = set()
    for number in range(60):
        at = number * DAY / 2
        clip = ClipRow(f"c{number}", "front", shelf.path(f"c{number}", at), NOON + at, NOON + at + 10)
        clip = replace(clip, size_bytes=random.randint(0, 30_000), kept=random.random() < 0.1)
        (shelf.data / clip.path).parent.mkdir(parents=True, exist_ok=True)
        (shelf.data / clip.path).write_bytes(bytes(clip.size_bytes))
        store.begun(clip)
        kept |= {clip.clip_id} if clip.kept else set()
        list(thinning.steps(NOON + at))
        stored = list(store.clips())
        assert shelf.files() == sorted(each.path.name for each in stored)
        assert kept <= {each.clip_id for each in stored}
        others = [each for each in stored if not each.kept]
        if policy.max_bytes is not None and others:
            assert sum(each.size_bytes for each in stored) <= policy.max_bytes
        assert all(NOON + at - each.start <= (policy.max_age or float("inf")) for each in others)


def test_a_look_at_the_bounds_writes_nothing(
    shelf: Shelf, store: ClipStore, house: Callable[[Policy], HousekeepingWorker], clock: ManualClock
) -> None:
    for number in range(20):
        shelf.store(store, str(number), number, frames=2)
    worker = rested(house(Policy(max_bytes=10**9, max_age=90 * DAY)))
    before = {path: path.stat().st_mtime_ns for path in shelf.data.rglob("*") if not path.name.endswith("-shm")}
    watching = sqlite3.connect(shelf.journal)
    version = watching.execute("PRAGMA data_version").fetchone()
    for _ in range(26):
        clock.advance(3600)
        rested(worker)
    assert worker.facts.sweeps == 2
    assert watching.execute("PRAGMA data_version").fetchone() == version
    watching.close()
    after = {path: path.stat().st_mtime_ns for path in shelf.data.rglob("*") if not path.name.endswith("-shm")}
    assert after == before


def test_a_journal_that_cannot_be_opened_is_told_and_tried_again(
    shelf: Shelf, house: Callable[[Policy], HousekeepingWorker], clock: ManualClock
) -> None:
    shelf.data.mkdir()
    shelf.journal.write_bytes(b"no database" * 100)
    worker = rested(house(Policy(max_age=DAY)))
    assert "damaged, or no database" in worker.facts.trouble
    shelf.journal.unlink()
    with ClipStore(shelf.journal) as store:
        shelf.store(store, "a")
        rested(worker)
        assert left(store) == ["a"]
        clock.advance(housekeeping.RETRY_AFTER)
        assert rested(worker).facts.trouble == ""
        assert left(store) == []


def test_a_file_that_cannot_be_deleted_is_told_and_tried_again(
    shelf: Shelf, store: ClipStore, house: Callable[[Policy], HousekeepingWorker], clock: ManualClock
) -> None:
    clip = shelf.store(store, "a")
    path = shelf.data / clip.path
    path.unlink()
    (path / "in the way").mkdir(parents=True)
    worker = rested(house(Policy(max_age=DAY)))
    assert str(path) in worker.facts.trouble
    shutil.rmtree(path)
    clock.advance(housekeeping.RETRY_AFTER)
    facts = rested(worker).facts
    assert facts.trouble == ""
    assert store.claimed() == []


def test_a_disk_that_is_away_is_told_and_its_clips_are_not_forgotten(
    shelf: Shelf, store: ClipStore, house: Callable[[Policy], HousekeepingWorker], clock: ManualClock
) -> None:
    for number in range(12):
        shelf.store(store, str(number), number, frames=2)
    away = shelf.data / "away"
    (shelf.data / "clips").rename(away)
    worker = rested(house(Policy(max_age=DAY)))
    assert worker.facts.trouble == "12 of 12 clips have no file: is their disk mounted?"
    assert len(left(store)) == 12
    away.rename(shelf.data / "clips")
    clock.advance(DAY)
    assert rested(worker).facts.trouble == ""
    assert left(store) == []


def test_it_runs_as_a_thread_and_stops_in_the_middle_of_its_work(
    shelf: Shelf, store: ClipStore, house: Callable[[Policy], HousekeepingWorker]
) -> None:
    for number in range(50):
        shelf.store(store, str(number), number, frames=2)
    worker = house(Policy(max_age=DAY))
    worker.start()
    assert worker.ready.wait(30)
    worker.stopping.set()
    worker.join_within(30)
    assert worker.fault is None
    assert len(shelf.files()) == len(left(store))


def test_what_is_written_is_counted_by_the_day(tmp_path: Path) -> None:
    source = tmp_path / "io"

    def write(count: int, cancelled: int = 0) -> None:
        source.write_text(f"rchar: 5\nwrite_bytes: {count}\ncancelled_write_bytes: {cancelled}\n")

    ledger = Ledger(source)
    ledger.count(0.0)
    assert (ledger.total, ledger.per_day) == (None, None)
    write(1000)
    ledger.count(60.0)
    assert (ledger.total, ledger.per_day) == (0, None)
    write(3500, cancelled=500)
    ledger.count(120.0)
    assert (ledger.total, ledger.per_day) == (2000, 2000 * 1440)
    for hour in range(1, 50):
        write(1000 + hour * 100)
        ledger.count(60.0 + hour * 3600)
    assert ledger.total == 4900
    assert ledger.per_day == 2400


def test_where_the_kernel_does_not_say_what_is_written_nothing_is_claimed() -> None:
    ledger = Ledger(Path("/none"))
    ledger.count(0.0)
    ledger.count(1e6)
    assert (ledger.total, ledger.per_day) == (None, None)


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        ({}, Policy(max_age=10 * DAY, min_free_bytes=10**9)),
        ({"max_age": 0.0, "max_bytes": 0, "min_free_bytes": 0}, Policy()),
        ({"labels": {"fox": 0.0, "cat": DAY}}, Policy(10 * DAY, None, 10**9, {"fox": None, "cat": DAY})),
    ],
)
def test_nought_in_the_configuration_is_no_bound(options: dict[str, Any], policy: Policy) -> None:
    assert Policy(**RetentionSection(**options).bounds()) == policy


@pytest.mark.parametrize(
    "options", [{"max_age": -1.0}, {"max_bytes": -1}, {"min_free_bytes": -1}, {"labels": {"": 1.0}}]
)
def test_impossible_bounds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        RetentionSection(**options)
