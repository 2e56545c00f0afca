"""`edgecam events export|keep|delete`: events go and stay with all that belongs to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from clip_shelf import NOON, Shelf, event_message
from clip_stories import shown
from command_line import Edgecam, command_line

from edgecam.clip_store import ClipRow, ClipStore
from edgecam.journal import Journal
from edgecam.recording.boxes import BoxesWriter, boxes_path
from edgecam.types import BBox, Track


@pytest.fixture
def events(capsys: pytest.CaptureFixture[str]) -> Edgecam:
    return command_line(capsys, "events")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Four events: `both-1` and `both-2` share a clip, the latter has one of its own; `alone`; `none` has no clip."""
    shelf = Shelf(tmp_path / "data")
    shelf.data.mkdir()
    for number, (event_id, zones) in enumerate((("both-1", ["drive"]), ("both-2", []), ("alone", []), ("none", []))):
        picture = shelf.data / "snapshots" / "front" / "2026-03-01" / f"{event_id}.jpg"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(b"picture of " + event_id.encode())
        with Journal(shelf.journal) as journal:
            journal.record(event_message(event_id, number * 60.0, entered_zones=zones), snapshot=picture)
    with ClipStore(shelf.journal) as store:
        shelf.store(store, "a", 0, "both-1", "both-2")
        clip = shelf.store(store, "b", 60, "both-2")
        shelf.store(store, "c", 120, "alone")
    (shelf.data / clip.path).with_suffix(".vtt").write_text("WEBVTT")
    return shelf


def known(shelf: Shelf) -> tuple[list[str], list[str]]:
    """The ids of the events and of the clips that there are, in the journal."""
    with Journal(shelf.journal, read_only=True) as journal, ClipStore(shelf.journal, read_only=True) as store:
        return [each["id"] for each in journal.events()], [each.clip_id for each in store.clips()]


def names(shelf: Shelf, *clip_ids: str) -> list[str]:
    """The files of clips."""
    return [path.name for path in (shelf.path(clip_id, "abc".index(clip_id) * 60.0) for clip_id in clip_ids)]


def test_the_list_is_filtered_by_zone(events: Edgecam, shelf: Shelf) -> None:
    found = events("list", "--zone", "drive", "--json", "--journal", shelf.journal).document
    assert [each["id"] for each in found] == ["both-1"]


def test_show_names_the_clips(events: Edgecam, shelf: Shelf) -> None:
    shown = events("show", "both-2", "--json", "--journal", shelf.journal).document
    assert shown["clips"] == [shelf.path("a").as_posix(), shelf.path("b", 60).as_posix()]


def archive(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The documents in an archive by id, and the names of the other files, after checking that all are whole."""
    with ZipFile(path) as opened:
        assert opened.testzip() is None
        documents = json.loads(opened.read("events.json"))
        others = sorted(set(opened.namelist()) - {"events.json"})
        assert len(opened.namelist()) == len(set(opened.namelist()))
    return {each["id"]: each for each in documents}, others


def test_an_event_is_exported_with_clips_boxes_and_snapshot(events: Edgecam, shelf: Shelf, tmp_path: Path) -> None:
    out = tmp_path / "event.zip"
    outcome = events("export", "both-2", "--out", out, "--journal", shelf.journal)
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == f"edgecam: {out}: 1 events, 4 files\n"
    documents, others = archive(out)
    first, second = shelf.path("a").as_posix(), shelf.path("b", 60).as_posix()
    boxes = second.replace(".mp4", ".vtt")
    assert others == sorted([first, second, boxes, "snapshots/front/2026-03-01/both-2.jpg"])
    assert documents["both-2"]["clips"] == [first, second, boxes]
    assert documents["both-2"]["snapshot"] == "snapshots/front/2026-03-01/both-2.jpg"
    with ZipFile(out) as opened:
        assert opened.read(first) == (shelf.data / first).read_bytes()


def test_boxes_beside_a_clip_are_drawn_into_the_exported_copy(events: Edgecam, shelf: Shelf, tmp_path: Path) -> None:
    first, second = shelf.path("a").as_posix(), shelf.path("b", 60).as_posix()
    track = Track(7, "dog", 0.9, BBox(0.2, 0.2, 0.6, 0.8), 3, 0, BBox(0, 0, 0, 0), confirmed=True)
    boxes_path(shelf.data / second).unlink()
    writer = BoxesWriter(boxes_path(shelf.data / second), 0.0)
    for number in range(15):
        writer.write(number / 30, [track])
    writer.close(0.5)
    out = tmp_path / "drawn.zip"
    outcome = events("export", "both-2", "--boxes", "--out", out, "--journal", shelf.journal)
    assert (outcome.code, outcome.err) == (0, f"edgecam: {out}: 1 events, 4 files\n")
    with ZipFile(out) as opened:
        assert opened.read(first) == (shelf.data / first).read_bytes(), "what has none is as it was"
        opened.extract(second, tmp_path)
    plain, drawn = (shown(folder / second) for folder in (shelf.data, tmp_path))
    assert len(plain) == len(drawn)
    for before, after in zip(plain, drawn, strict=True):
        assert np.abs(before.to_ndarray().astype(int) - after.to_ndarray()).max() > 60
    assert sorted(path.name for path in tmp_path.glob("*")) == ["clips", "data", "drawn.zip"]
    assert (shelf.data / second).is_file()


def test_a_clip_whose_boxes_cannot_be_drawn_is_exported_as_it_is(events: Edgecam, shelf: Shelf, tmp_path: Path) -> None:
    second = shelf.path("b", 60).as_posix()
    (shelf.data / second).write_bytes(b"no video")
    out = tmp_path / "plain.zip"
    outcome = events("export", "both-2", "--boxes", "--out", out, "--journal", shelf.journal)
    assert outcome.code == 0
    assert "without its boxes: " in outcome.err
    with ZipFile(out) as opened:
        assert opened.read(second) == b"no video"


def test_all_events_are_exported_and_what_is_missing_is_said(events: Edgecam, shelf: Shelf, tmp_path: Path) -> None:
    (shelf.data / shelf.path("c", 120)).unlink()
    (shelf.data / "snapshots/front/2026-03-01/none.jpg").unlink()
    out = tmp_path / "all.zip"
    assert "4 events, 6 files, 2 missing" in events("export", "-o", out, "--journal", shelf.journal).err
    documents, others = archive(out)
    assert list(documents) == ["both-1", "both-2", "alone", "none"]
    assert (documents["alone"]["clips"], documents["none"]["snapshot"]) == ([], None)
    assert len(others) == 6


def test_a_copy_of_the_data_folder_can_be_exported(events: Edgecam, shelf: Shelf, tmp_path: Path) -> None:
    moved = shelf.data.rename(tmp_path / "copy")
    events("export", "alone", "-o", tmp_path / "a.zip", "--journal", moved / "edgecam.db")
    assert len(archive(tmp_path / "a.zip")[1]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "--boxes"], "--boxes draws into clips, which are in a zip only"),
        (["export", "--format", "zip"], "a zip needs a file: say where with --out FILE.zip"),
        (["export", "-o", "/nowhere/a.zip"], "/nowhere/a.zip: cannot be written: No such file or directory"),
        (["export", "unknown", "-o", "{tmp}/a.zip"], "no event unknown in the journal"),
        (["export", "alone", "--label", "dog"], "name events or give --label, not both"),
        (["keep", "unknown"], "no event unknown in the journal"),
        (["keep", "both"], "several ids begin so"),
        (["keep", "none"], "event none: has no clip to keep"),
        (["delete"], "which events? Name some, or choose by --camera"),
        (["delete", "unknown", "--yes"], "no event unknown in the journal"),
    ],
)
def test_refusals_are_one_clear_line(
    events: Edgecam, shelf: Shelf, tmp_path: Path, arguments: list[str], said: str
) -> None:
    before = known(shelf), shelf.files()
    outcome = events(*(each.format(tmp=tmp_path) for each in arguments), "--journal", shelf.journal)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert said in outcome.err
    assert (known(shelf), shelf.files()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_the_clips_of_an_event_are_kept_and_let_go(events: Edgecam, shelf: Shelf) -> None:
    assert events("keep", "both-2", "--journal", shelf.journal).err == "edgecam: both-2: 2 clips kept\n"
    with ClipStore(shelf.journal) as store:
        assert [clip.clip_id for clip in store.clips() if clip.kept] == ["a", "b"]
        assert events("keep", "both-1", "--undo", "--journal", shelf.journal).err == "edgecam: both-1: 1 clip let go\n"
        assert [clip.clip_id for clip in store.clips() if clip.kept] == ["b"]


def test_an_event_is_deleted_but_not_the_clip_that_shows_another(events: Edgecam, shelf: Shelf) -> None:
    assert "1 events and 1 clips deleted" in events("delete", "both-2", "--yes", "--journal", shelf.journal).err
    assert known(shelf) == (["both-1", "alone", "none"], ["a", "c"])
    assert shelf.files() == names(shelf, "a", "c")
    assert not (shelf.data / "snapshots/front/2026-03-01/both-2.jpg").exists()
    events("delete", "both-1", "--yes", "--journal", shelf.journal)
    assert shelf.files() == names(shelf, "c")


def test_events_that_share_a_clip_are_deleted_together(events: Edgecam, shelf: Shelf) -> None:
    events("delete", "--until", "2026-03-01T12:02Z", "--yes", "--journal", shelf.journal)
    assert known(shelf) == (["alone", "none"], ["c"])
    assert shelf.files() == names(shelf, "c")


def test_favourites_and_open_events_stay_unless_named(events: Edgecam, shelf: Shelf) -> None:
    events("keep", "alone", "--journal", shelf.journal)
    shelf.tell(event_message("open", 600, end_time=None))
    outcome = events("delete", "--camera", "front", "-y", "--journal", shelf.journal)
    assert "1 events are not over, and stay" in outcome.err
    assert known(shelf) == (["alone", "open"], ["c"])
    events("delete", "alone", "-y", "--journal", shelf.journal)
    assert known(shelf) == (["open"], [])
    assert "nothing to delete" in events("delete", "open", "-y", "--journal", shelf.journal).err


def test_deleting_asks_first(events: Edgecam, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(question: str, **_options: Any) -> bool:
        asked.append(question)
        return len(asked) > 1

    monkeypatch.setattr("typer.confirm", answer)
    before = known(shelf)
    assert events("delete", "alone", "--journal", shelf.journal).code == 130
    assert known(shelf) == before
    assert events("delete", "alone", "--journal", shelf.journal).code == 0
    assert asked == ["Delete 1 event with clips and snapshots?"] * 2
    assert known(shelf)[1] == ["a", "b"]


def test_a_clip_that_still_grows_stays(events: Edgecam, shelf: Shelf) -> None:
    with ClipStore(shelf.journal) as store:
        store.begun(ClipRow("grows", "front", shelf.path("grows"), NOON), ["alone"])
    events("delete", "alone", "-y", "--journal", shelf.journal)
    assert known(shelf) == (["both-1", "both-2", "none"], ["a", "b", "grows"])
