"""SIGKILL at any instant: what was finished plays whole, what was not plays to within a second, and the journal agrees.

The instants come from the seeds that name the tests: 10, or with EDGECAM_LABS=1 100.
"""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from clip_stories import growing_clip, known_packets, write_clip

from edgecam.clip_files import settle_interrupted
from edgecam.clip_store import ClipRow, ClipStore
from edgecam.journal import Journal
from edgecam.recording.adoption import adopt
from edgecam.recording.checking import check
from edgecam.recording.walking import contents

pytestmark = pytest.mark.any_runtime

LABS = os.environ.get("EDGECAM_LABS") == "1"
VICTIM = Path(__file__).with_name("clip_victim.py")


def killed_after(data: Path, seconds: float) -> float:
    """Record, and be killed so long after the first event. Returns the timestamp of the last frame the clips got."""
    data.mkdir(exist_ok=True)
    with subprocess.Popen([sys.executable, str(VICTIM), str(data)], stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "recording\n"
        time.sleep(seconds)
        assert victim.poll() is None
        victim.kill()
    return float(struct.unpack("d", (data / "newest").read_bytes())[0])


def start_again(data: Path) -> list[ClipRow]:
    """What edgecam does before it runs again. Returns the clips that were cut."""
    with Journal(data / "edgecam.db", outbox=True) as journal, ClipStore(data / "edgecam.db") as store:
        adopted = adopt(data / "clips", store)
        settle_interrupted(store, data)
        journal.close_open_events("edgecam had stopped without ending it")
    return adopted


def end_of(path: Path) -> float:
    """The timestamp up to which a clip shows something."""
    with path.open("rb") as file:
        found = contents(file)
    return found.header.start + found.duration


def assert_agreement(data: Path) -> list[ClipRow]:
    """Journal and disk say the same, and all of it plays."""
    with ClipStore(data / "edgecam.db", read_only=True) as store:
        rows = list(store.clips())
        shown = {event_id for row in rows for event_id in store.events_of(row.clip_id)}
    with Journal(data / "edgecam.db", read_only=True) as journal:
        events = list(journal.events())
    with closing(sqlite3.connect(data / "edgecam.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    files = sorted(path.relative_to(data) for path in (data / "clips").rglob("*") if path.is_file())
    assert files == sorted(row.path for row in rows)
    for row in rows:
        verdict = check(data / row.path)
        assert verdict.ok, verdict.errors
        assert row.end is not None
        assert row.end - row.start == pytest.approx(verdict.duration, abs=0.001)
        assert (row.frames, row.size_bytes) == (verdict.frames, (data / row.path).stat().st_size)
    assert all(event["end_time"] is not None for event in events)
    known = {str(event["id"]) for event in events}
    assert len(known ^ shown) <= 1, "but for the one that was just announced, each event has a clip"
    assert all(Path(event["snapshot"]).stat().st_size for event in events if event["snapshot"])
    return rows


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(100 if LABS else 10))
def test_killed_at_any_instant(tmp_path: Path, seed: int, record_property: Callable[[str, object], None]) -> None:
    last = killed_after(tmp_path, Random(seed).uniform(0.0, 6.0))
    parts = list((tmp_path / "clips").rglob("*.part"))
    cut = start_again(tmp_path)
    rows = assert_agreement(tmp_path)
    assert len(cut) <= len(parts) <= 1
    lost = [last - end_of(tmp_path / row.path) for row in cut]
    record_property("seconds_lost", lost)
    sys.stdout.write(json.dumps({"seed": seed, "clips": len(rows), "cut": len(cut), "lost": lost}) + "\n")
    assert all(each <= 1.0 for each in lost)
    assert all(row.cut for row in cut)
    assert sum(row.cut is not None for row in rows) <= 1
    again = start_again(tmp_path)
    assert again == []
    assert assert_agreement(tmp_path) == rows


def left_behind(data: Path, clip_id: str, packets: int) -> Path:
    """What a crash leaves of a clip with so many packets; its path, once it is finished."""
    stream, known = known_packets()
    clip = data / "clips" / "front" / "2026-11-30" / f"18-30-05-{clip_id}.mp4"
    clip.parent.mkdir(parents=True, exist_ok=True)
    growing_clip(clip, known[:packets], stream)
    return clip


def row_of(data: Path, clip: Path) -> ClipRow:
    return ClipRow(clip.stem.split("-", 3)[-1], "front", clip.relative_to(data), 1_790_000_000.0)


def test_what_a_crash_left_becomes_a_clip_of_its_events(tmp_path: Path) -> None:
    clip = left_behind(tmp_path, "abc", 80)
    with ClipStore(tmp_path / "edgecam.db") as store:
        store.begun(row_of(tmp_path, clip), ["1.0-a"])
        (adopted,) = adopt(tmp_path / "clips", store)
        verdict = check(clip)
        assert verdict.ok
        assert (adopted.clip_id, adopted.frames, adopted.cut) == (
            "abc",
            verdict.frames,
            "the recording was interrupted",
        )
        assert adopted.end == pytest.approx(adopted.start + verdict.duration)
        assert store.of_event("1.0-a") == [adopted]
        assert adopt(tmp_path / "clips", store) == []


def test_what_never_became_a_clip_is_removed_and_forgotten(tmp_path: Path) -> None:
    empty = left_behind(tmp_path, "abc", 80).with_name("18-30-06-def.mp4")
    empty.with_name(empty.name + ".part").write_bytes(b"")
    with ClipStore(tmp_path / "edgecam.db") as store:
        store.begun(row_of(tmp_path, empty), ["1.0-a"])
        assert [row.clip_id for row in adopt(tmp_path / "clips", store)] == ["abc"]
        assert [row.clip_id for row in store.clips()] == ["abc"]
    assert [path.name for path in empty.parent.iterdir()] == ["18-30-05-abc.mp4"]


def test_what_the_journal_does_not_know_becomes_known(tmp_path: Path) -> None:
    clip = left_behind(tmp_path, "abc-def", 80)
    part = clip.with_name(clip.name + ".part")
    os.utime(part, (1_790_000_010.0, 1_790_000_010.0))
    with ClipStore(tmp_path / "edgecam.db") as store:
        (adopted,) = adopt(tmp_path / "clips", store)
    assert (adopted.clip_id, adopted.camera, adopted.path) == ("abc-def", "front", clip.relative_to(tmp_path))
    assert adopted.end == pytest.approx(1_790_000_010.0)
    assert not adopted.clock_synced


def test_what_cannot_be_repaired_is_left_alone_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = left_behind(tmp_path, "abc", 80)
    strange = clip.with_name("18-30-06-def.mp4.part")
    strange.write_bytes(b"something else entirely" * 1000)
    with ClipStore(tmp_path / "edgecam.db") as store:
        assert [row.clip_id for row in adopt(tmp_path / "clips", store)] == ["abc"]
    assert strange.is_file()
    assert len(caplog.messages) == 1
    assert str(strange) in caplog.messages[0]


def test_without_a_folder_there_is_nothing_to_adopt(tmp_path: Path) -> None:
    stream, packets = known_packets()
    with ClipStore(tmp_path / "edgecam.db") as store:
        assert adopt(tmp_path / "clips", store) == []
        (tmp_path / "clips").mkdir()
        whole = write_clip(tmp_path / "clips" / "a.mp4", packets, stream)
        assert adopt(tmp_path / "clips", store) == []
    assert whole.path.is_file()
