"""`edgecam clips`: what was recorded, and that one broken clip is told and ends nothing."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from clip_shelf import NOON, Shelf
from clip_stories import known_packets
from command_line import Edgecam, Outcome, command_line

from edgecam.clip_store import ClipRow, ClipStore
from edgecam.recording.fragments import FragmentWriter


@pytest.fixture
def clips(capfd: pytest.CaptureFixture[str]) -> Edgecam:
    return command_line(capfd, "clips")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Three clips of half a second, and one that grows."""
    shelf = Shelf(tmp_path / "data")
    with ClipStore(shelf.journal) as store:
        for number, clip_id in enumerate("abc"):
            shelf.store(store, clip_id, number * 60.0, f"event-{clip_id}")
        store.begun(ClipRow("grows", "front", shelf.path("grows", 300), NOON + 300))
    return shelf


def test_list(clips: Edgecam, shelf: Shelf) -> None:
    with ClipStore(shelf.journal) as store:
        store.keep("b", True)
    lines = clips("list", "--journal", shelf.journal).out.splitlines()
    assert lines[0].split() == ["CLIP", "CAMERA", "KIND", "START", "LASTS", "SIZE", "KEPT", "PATH"]
    start = f"{datetime.fromtimestamp(NOON).astimezone():%Y-%m-%d %H:%M:%S}"
    assert lines[1].split() == [
        "a",
        "front",
        "event",
        *start.split(),
        "0.5",
        "s",
        "0.0",
        "MB",
        shelf.path("a").as_posix(),
    ]
    assert "kept" in lines[2]
    assert "growing" in lines[4]
    documents = clips("list", "--json", "--limit", "2", "--journal", shelf.journal).document
    assert [each["id"] for each in documents] == ["c", "grows"]
    assert documents[0]["events"] == ["event-c"]
    assert documents[1]["end_time"] is None
    early = clips("list", "--json", "--until", "2026-03-01T12:01Z", "--journal", shelf.journal).document
    assert [each["id"] for each in early] == ["a"]


def test_whole_clips_are_fine(clips: Edgecam, shelf: Shelf) -> None:
    assert clips("check", "--journal", shelf.journal) == Outcome(
        0, "", "edgecam: 3 clips checked, 45 frames: none broken\n"
    )
    assert clips("check", "--json", "--journal", shelf.journal).document == {"clips": 3, "frames": 45, "broken": []}


def test_every_broken_clip_is_told_and_the_others_are_checked(clips: Edgecam, shelf: Shelf) -> None:
    first, second = shelf.path("a"), shelf.path("b", 60)
    os.truncate(shelf.data / first, (shelf.data / first).stat().st_size - 100)
    (shelf.data / second).unlink()
    with ClipStore(shelf.journal) as store:
        store.begun(replace(shelf.write("noise", 400), frames=9))
        store.begun(replace(shelf.write("long", 500), end=NOON + 520))
        store.begun(ClipRow("evil", "front", Path("../../etc/passwd"), NOON, NOON + 1))
        store.begun(ClipRow("folder", "front", Path("clips"), NOON, NOON + 1))
        store.begun(shelf.write("text", 600))
    (shelf.data / shelf.path("text", 600)).write_text("no video")
    outcome = clips("check", "--journal", shelf.journal)
    lines = outcome.out.splitlines()
    assert outcome.code == 1
    assert outcome.err == "edgecam: 8 clips checked, 59 frames: 7 broken\n"
    said = dict(line.split(": ", 1) for line in lines)
    assert "torn or damaged at byte" in said[str(first)]
    assert said[str(second)] == "the file is missing"
    assert said[str(shelf.path("noise", 400))] == "it has 15 frames, the journal says 9"
    assert said[str(shelf.path("long", 500))] == "it lasts 0.50 s, the journal says 20.00 s"
    assert "leads out of" in said["../../etc/passwd"]
    assert len(lines) == 7
    document = clips("check", "--json", "--journal", shelf.journal)
    assert document.code == 1
    assert [each["clip"] for each in document.document["broken"]] == [
        "a",
        "b",
        "noise",
        "long",
        "evil",
        "folder",
        "text",
    ]


def test_a_clip_that_was_cut_is_fine_as_far_as_it_goes(clips: Edgecam, shelf: Shelf) -> None:
    stream, packets = known_packets()
    path = shelf.path("cut", 700)
    writer = FragmentWriter(shelf.data / path, stream, sync=False)
    writer.write(packets[:50])
    info = writer.finish()
    assert info is not None
    with ClipStore(shelf.journal) as store:
        store.begun(
            ClipRow("cut", "front", path, NOON, NOON + info.duration, True, info.frames, info.bytes, cut="power")
        )
    assert clips("check", "--journal", shelf.journal).code == 0


def test_checking_changes_nothing_and_needs_a_journal(clips: Edgecam, shelf: Shelf, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in shelf.data.rglob("*.mp4")}
    clips("check", "--journal", shelf.journal)
    assert {path: path.stat().st_mtime_ns for path in shelf.data.rglob("*.mp4")} == before
    outcome = clips("check", "--journal", tmp_path / "none.db")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert "no journal here" in outcome.err
