"""SIGKILL at any instant: what was finished plays whole, what was not plays to within a second, and the journal agrees.

The instants come from seeds: 30, ten processes at a time, or with EDGECAM_LABS=1 100.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from clip_stories import growing_clip, known_packets, write_clip
from clip_victim import NOTES

from edgecam.clip_files import settle_interrupted
from edgecam.clip_store import ClipRow, ClipStore
from edgecam.journal import Journal
from edgecam.recording.adoption import adopt
from edgecam.recording.checking import check
from edgecam.recording.walking import contents

pytestmark = pytest.mark.any_runtime

LABS = os.environ.get("EDGECAM_LABS") == "1"
VICTIM = Path(__file__).with_name("clip_victim.py")
LONGEST = 4.0
"""Seconds from the first event to the last kill: more than a clip, and what is between two."""
PATIENCE = 60.0


@pytest.fixture(scope="module")
def forge() -> Iterator[subprocess.Popen[str]]:
    """Makes victims: takes the path of a data folder, answers with a process that records there."""
    with subprocess.Popen(
        [sys.executable, str(VICTIM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as forge:
        yield forge
        assert forge.stdin is not None
        forge.stdin.close()


@dataclass
class Victim:
    """A process that records in a folder, to be killed so many seconds after its first event."""

    data: Path
    process: int
    after: float

    @property
    def notes(self) -> tuple[float, float]:
        """The timestamp of the last frame that the clips got, and when the first event was announced, 0 before."""
        newest, announced = NOTES.unpack((self.data / "notes").read_bytes())
        return newest, announced

    @property
    def is_due(self) -> bool:
        announced = self.notes[1]
        return bool(announced) and time.monotonic() - announced >= self.after

    @property
    def lives(self) -> bool:
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        return True


def killed(forge: subprocess.Popen[str], folder: Path, seeds: Iterable[int]) -> list[Victim]:
    """Record, ten at once, and kill each at its instant."""
    assert forge.stdin is not None
    assert forge.stdout is not None
    victims = []
    for seed in seeds:
        data = folder / str(seed)
        data.mkdir()
        (data / "notes").write_bytes(NOTES.pack(0.0, 0.0))
        forge.stdin.write(f"{data}\n")
        victims.append(Victim(data, int(forge.stdout.readline()), Random(seed).uniform(0.0, LONGEST)))
    left, end = list(victims), time.monotonic() + PATIENCE
    while left:
        for victim in [each for each in left if each.is_due]:
            os.kill(victim.process, signal.SIGKILL)
            left.remove(victim)
        assert all(victim.lives for victim in left)
        assert time.monotonic() < end, [victim.notes for victim in left]
        time.sleep(0.002)
    while any(victim.lives for victim in victims):
        time.sleep(0.002)
    return victims


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
@pytest.mark.parametrize("batch", range(10 if LABS else 3))
def test_killed_at_any_instant(
    tmp_path: Path, forge: subprocess.Popen[str], batch: int, record_property: Callable[[str, object], None]
) -> None:
    victims = killed(forge, tmp_path, range(10 * batch, 10 * batch + 10))
    figures = [what_is_left(victim) for victim in victims]
    record_property("killed", figures)
    sys.stdout.write("".join(f"{json.dumps(each)}\n" for each in figures))


def what_is_left(victim: Victim) -> dict[str, object]:
    """Check all that a killed process has left, before and after the next start."""
    data, (last, _) = victim.data, victim.notes
    parts = list((data / "clips").rglob("*.part"))
    cut = start_again(data)
    rows = assert_agreement(data)
    assert len(cut) <= len(parts) <= 1
    lost = [last - end_of(data / row.path) for row in cut]
    assert all(each <= 1.0 for each in lost), lost
    assert all(row.cut for row in cut)
    assert sum(row.cut is not None for row in rows) <= 1
    again = start_again(data)
    assert again == []
    assert known_clips(data) == rows
    return {"seed": victim.data.name, "clips": len(rows), "cut": len(cut), "lost": lost}


def known_clips(data: Path) -> list[ClipRow]:
    with ClipStore(data / "edgecam.db", read_only=True) as store:
        return list(store.clips())


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
