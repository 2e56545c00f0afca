"""Clips and what is known of them go together, and come to agree again after whatever happened."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from clip_shelf import NOON, Shelf
from clip_stories import growing_clip, known_packets

from edgecam.clip_files import INTERRUPTED, Sweep, Swept, clip_file, delete, settle_interrupted
from edgecam.clip_store import ClipRow, ClipStore
from edgecam.errors import SinkError

pytestmark = pytest.mark.any_runtime

DAY = 86_400.0


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "data")


@pytest.fixture
def store(shelf: Shelf) -> Iterator[ClipStore]:
    with ClipStore(shelf.journal) as opened:
        yield opened


def swept(store: ClipStore, shelf: Shelf, missing: frozenset[str] = frozenset(), now: float = NOON) -> Swept:
    sweep = Sweep(store, shelf.data, now, missing)
    for _ in sweep.steps():
        pass
    return sweep.found


def test_a_clip_is_deleted_with_its_boxes_and_its_row(shelf: Shelf, store: ClipStore) -> None:
    first, second = shelf.store(store, "a"), shelf.store(store, "b", 60)
    boxes = shelf.data / first.path.with_suffix(".vtt")
    boxes.write_text("WEBVTT")
    assert delete(store, shelf.data, store.claim(["a"])) == first.size_bytes + 6
    assert shelf.files() == [second.path.name]
    assert list(store.clips()) == [second]
    assert store.claimed() == []


def test_a_favourite_is_not_claimed_unless_asked_for_nor_is_what_grows(shelf: Shelf, store: ClipStore) -> None:
    store.begun(replace(shelf.write("kept"), kept=True))
    store.begun(replace(shelf.write("grows"), end=None))
    store.begun(shelf.write("other"))
    assert [each.clip_id for each in store.claim(["kept", "grows", "other", "unknown"])] == ["other"]
    assert [each.clip_id for each in store.clips()] == ["kept", "grows"]
    assert not store.keep("other", True), "too late"
    assert [each.clip_id for each in store.claim(["kept"], favourites=True)] == ["kept"]


def test_a_deletion_that_was_interrupted_is_completed_by_the_next_sweep(shelf: Shelf, store: ClipStore) -> None:
    for clip_id in ("a", "b"):
        shelf.store(store, clip_id)
    claimed = store.claim(["a", "b"])
    clip_file(shelf.data, claimed[0]).unlink()
    assert list(store.clips()) == []
    assert swept(store, shelf) == Swept()
    assert shelf.files() == []
    assert store.claimed() == []


def test_a_path_that_leads_elsewhere_is_not_followed(shelf: Shelf, store: ClipStore, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("x")
    for path in (Path("../precious"), precious):
        store.begun(ClipRow("a", "front", path, 0.0, 1.0))
        with pytest.raises(SinkError, match="leads out of"):
            delete(store, shelf.data, store.claim(["a"]))
    assert precious.exists()


def test_where_all_agree_a_sweep_changes_nothing(shelf: Shelf, store: ClipStore) -> None:
    clips = [shelf.store(store, str(number), number * 40_000.0) for number in range(5)]
    assert swept(store, shelf) == Swept(clips=5)
    assert list(store.clips()) == clips


def test_a_sweep_of_nothing_at_all_is_fine(shelf: Shelf, store: ClipStore) -> None:
    assert swept(store, shelf) == Swept()


def test_a_file_that_nobody_knows_becomes_known_as_what_it_is(shelf: Shelf, store: ClipStore) -> None:
    lost = shelf.write("0123456789ab", 61)
    assert swept(store, shelf) == Swept(clips=1, adopted=1)
    assert list(store.clips()) == [lost]
    assert swept(store, shelf) == Swept(clips=1)


def test_a_broken_file_that_nobody_knows_becomes_known_and_so_will_go_some_day(shelf: Shelf, store: ClipStore) -> None:
    lost = shelf.write("a")
    os.truncate(shelf.data / lost.path, 10)
    assert swept(store, shelf).adopted == 1
    assert list(store.clips()) == [replace(lost, end=lost.start, frames=0, size_bytes=10)]


def test_what_is_no_clip_of_ours_is_left_alone(shelf: Shelf, store: ClipStore) -> None:
    known = shelf.store(store, "a")
    folder = shelf.data / known.path.parent
    strangers = [
        folder / "holiday.mp4",
        folder / "99-99-99-x.mp4",
        folder / f"copy-of-{known.path.name}",
        folder.parent / known.path.name,
        folder.with_name("no date") / "12-00-00-b.mp4",
        folder.with_name("2026-02-01") / known.path.name,
    ]
    for stranger in strangers:
        stranger.parent.mkdir(exist_ok=True)
        shutil.copyfile(shelf.data / known.path, stranger)
    (folder / "notes.txt").write_text("mine")
    found = swept(store, shelf)
    assert sorted(found.strangers) == sorted(map(str, strangers))
    assert list(store.clips()) == [known]
    assert len(shelf.files()) == 2 + len(strangers)


def test_a_clip_without_a_file_is_forgotten(shelf: Shelf, store: ClipStore) -> None:
    clips = [shelf.store(store, str(number), number, "e") for number in range(3)]
    (shelf.data / clips[1].path).unlink()
    assert swept(store, shelf) == Swept(clips=2, forgotten=1)
    assert list(store.clips()) == [clips[0], clips[2]]
    assert [each.clip_id for each in store.of_event("e")] == ["0", "2"]


def test_a_disk_that_is_not_mounted_costs_nothing_that_is_known(shelf: Shelf, store: ClipStore) -> None:
    clips = [shelf.store(store, str(number), number) for number in range(12)]
    store.keep("3", True)
    away = shelf.data / "away"
    (shelf.data / "clips").rename(away)
    first = swept(store, shelf)
    assert first == Swept(clips=12, missing=frozenset(each.clip_id for each in clips))
    assert len(list(store.clips())) == 12
    away.rename(shelf.data / "clips")
    assert swept(store, shelf, first.missing) == Swept(clips=12)
    assert [each.clip_id for each in store.clips() if each.kept] == ["3"]


def test_many_clips_that_stay_away_are_forgotten_at_the_next_sweep(shelf: Shelf, store: ClipStore) -> None:
    for number in range(12):
        store.begun(ClipRow(str(number), "front", shelf.path(str(number)), NOON, NOON + 1))
    missing = swept(store, shelf).missing
    store.begun(ClipRow("new", "front", shelf.path("new"), NOON, NOON + 1))
    assert swept(store, shelf, missing) == Swept(clips=1, forgotten=12, missing=frozenset({"new"}))
    assert [each.clip_id for each in store.clips()] == ["new"]


def test_sizes_are_those_on_the_disk_boxes_included(shelf: Shelf, store: ClipStore) -> None:
    clip = shelf.store(store, "a")
    (shelf.data / clip.path).with_suffix(".vtt").write_text("WEBVTT")
    assert swept(store, shelf) == Swept(clips=1, resized=1)
    assert list(store.clips()) == [replace(clip, size_bytes=clip.size_bytes + 6)]


def test_what_grows_is_left_alone(shelf: Shelf, store: ClipStore) -> None:
    stream, packets = known_packets()
    path = shelf.path("grows")
    growing = ClipRow("grows", "front", path, NOON)
    begun = replace(growing, clip_id="begun", path=shelf.path("begun"))
    (shelf.data / path).parent.mkdir(parents=True)
    growing_clip(shelf.data / path, packets[:40], stream)
    for each in (growing, begun):
        store.begun(each)
    (shelf.data / path).with_suffix(".vtt").write_text("WEBVTT")
    assert swept(store, shelf, now=NOON + 1e9) == Swept(clips=2)
    assert list(store.clips()) == [growing, begun]
    assert shelf.files() == [f"{path.name}.part", path.with_suffix(".vtt").name]


def test_boxes_without_a_clip_and_empty_folders_go_after_a_day(shelf: Shelf, store: ClipStore) -> None:
    clip = shelf.store(store, "a")
    folder = shelf.data / clip.path.parent
    boxes, empty = folder / "12-00-00-gone.vtt", folder.with_name("2026-02-01")
    boxes.write_text("WEBVTT")
    empty.mkdir()
    made = boxes.stat().st_mtime
    swept(store, shelf, now=made + DAY / 2)
    assert boxes.exists()
    assert empty.exists()
    swept(store, shelf, now=made + 2 * DAY)
    assert not boxes.exists()
    assert not empty.exists()
    assert shelf.files() == [clip.path.name]


def test_clips_that_a_crash_left_growing_are_settled(shelf: Shelf, store: ClipStore) -> None:
    stream, packets = known_packets()
    whole = shelf.write("whole")
    store.begun(replace(whole, end=None, frames=0, size_bytes=0))
    store.begun(ClipRow("never", "front", shelf.path("never"), NOON))
    unfinished = ClipRow("part", "front", shelf.path("part"), NOON)
    growing_clip(shelf.data / unfinished.path, packets[:40], stream)
    store.begun(unfinished)
    assert settle_interrupted(store, shelf.data) == 2
    assert list(store.clips()) == [replace(whole, cut=INTERRUPTED), unfinished]
    assert settle_interrupted(store, shelf.data) == 0


def test_a_sweep_beside_a_recorder_adopts_nothing_that_it_finishes(shelf: Shelf, store: ClipStore) -> None:
    """A clip that gets its name after its folder was looked at."""
    shelf.store(store, "a")
    sweep = Sweep(store, shelf.data, NOON)
    steps = sweep.steps()
    next(steps)
    with ClipStore(shelf.journal) as recorder:
        clip = shelf.write("late", 5)
        recorder.begun(replace(clip, end=None))
        next(steps)
        recorder.finished("late", clip.end or 0.0, clip.frames, clip.size_bytes)
    for _ in steps:
        pass
    assert sweep.found == Swept(clips=2)
