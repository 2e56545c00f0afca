"""The plug is pulled at random instants: whoever could read an event reads it still, and every clip plays to its end.

The data folder is on an ext4 image that lies on another file system. To freeze that one stops every write to the image,
between any two of them and in the midst of a commit, without the image's own file system being told: a copy made
then is what a disk has in it when its power goes. That takes root and Linux. Three instants; 30 with EDGECAM_LABS=1.
EDGECAM_SEED repeats a run.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic, time_ns

import pytest
from disk_rig import FIFREEZE, FITHAW, FPS, Rig, Steps, ext4_image, freezable, mounted, unmount

from edgecam.clip_files import Sweep, settle_interrupted
from edgecam.clip_store import ClipStore
from edgecam.journal import Journal
from edgecam.recording.adoption import adopt
from edgecam.recording.checking import check
from edgecam.recording.walking import contents

LABS = os.environ.get("EDGECAM_LABS") == "1"
INSTANTS = 30 if LABS else 3
SEED = int(os.environ.get("EDGECAM_SEED", time_ns() % 10**6))
MOST_LOST = 1.5
"""Seconds: half a second waits for its fragment, and as much at most for the encoder of a busy machine; and the frame
that the encoder holds, and a write."""

pytestmark = [
    pytest.mark.any_runtime,
    pytest.mark.timeout(900),
]


@dataclass(frozen=True)
class Cut:
    """What was known at the instant of a power cut: the last frame's timestamp, and each event as far as a reader of
    the journal could see it, which is what can have gone to a broker."""

    image: Path
    at: float
    events: dict[str, float]
    clips: set[str]


def seen(journal: Path) -> tuple[dict[str, float], set[str]]:
    """The events that a reader sees, with the time of their last message, and the clips that are whole."""
    with Journal(journal, read_only=True) as reader, ClipStore(journal, read_only=True) as store:
        events = {each["id"]: each["frame_time"] for each in reader.events()}
        return events, {clip.clip_id for clip in store.clips() if clip.end is not None}


@contextmanager
def on_disk(image: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    mounted("-o", "loop", image, folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def is_clean(image: Path) -> bool:
    """Whether a full check finds nothing at all."""
    return subprocess.run(["e2fsck", "-f", "-n", image], capture_output=True, check=False).returncode == 0


def check_cut(cut: Cut, folder: Path) -> float:
    """All that must be so after the power comes back; returns how many seconds of a growing clip were lost, 0 for none
    where nothing grew."""
    with on_disk(cut.image, folder):
        pass  # the kernel replays its journal
    assert is_clean(cut.image)
    with on_disk(cut.image, folder) as disk:
        database = disk / "edgecam.db"
        with Journal(database) as journal, ClipStore(database) as store:
            growing = {clip.clip_id for clip in store.growing()}
            assert not cut.clips & growing, "what was whole is whole"
            journal.close_open_events("power cut")
            repaired = adopt(disk / "clips", store)
            settle_interrupted(store, disk)
            sweep = Sweep(store, disk, 0.0)
            for _ in sweep.steps():
                pass
            assert (sweep.found.adopted, sweep.found.forgotten, sweep.found.strangers) == (0, 0, ())
            events = {each["id"]: each for each in journal.events()}
            clips = {clip.clip_id: clip for clip in store.clips()}
        assert cut.events.keys() <= events.keys(), "every event that anyone could know of is there"
        assert all(events[event_id]["frame_time"] >= time for event_id, time in cut.events.items())
        assert all(event["end_time"] is not None for event in events.values())
        assert cut.clips <= clips.keys()
        for clip in clips.values():
            verdict = check(disk / clip.path)
            assert verdict.ok, verdict
            assert (verdict.frames, clip.end is not None) == (clip.frames, True)
        assert [path for path in (disk / "clips").rglob("*") if path.is_file() and path.suffix != ".mp4"] == []
        assert [
            path for path in disk.rglob("*") if path.is_file() and path.suffix == ".mp4" and not path.stat().st_size
        ] == []
        return max((cut.at - ended(disk / clip.path) for clip in repaired), default=0.0)


def ended(path: Path) -> float:
    """When the last frame of a clip disappeared, in monotonic seconds of the machine that recorded it."""
    with path.open("rb") as file:
        found = contents(file)
    return found.header.start + found.duration


@pytest.fixture
def outer(tmp_path: Path) -> Iterator[Path]:
    """A file system for images, that can be frozen."""
    image = tmp_path / "outer.img"
    with image.open("wb") as file:
        file.truncate(256 * 2**20)
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("no mkfs.ext4 to make a disk with")
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    folder = tmp_path / "outer"
    folder.mkdir()
    with ExitStack() as stack:
        mounted("-o", "loop,noatime", image, folder)
        stack.callback(unmount, folder)
        yield folder


def test_the_power_fails_while_recording(outer: Path, tmp_path: Path) -> None:
    random = Random(SEED)
    image = ext4_image(outer / "image")
    disk = tmp_path / "disk"
    disk.mkdir()
    cuts: list[Cut] = []
    with ExitStack() as stack:
        mounted("-o", "loop", image, disk)
        stack.callback(unmount, disk)
        set_to = stack.enter_context(freezable(outer))
        rig = Rig(disk, video=False)

        def cut() -> Cut:
            events, clips = seen(disk / "edgecam.db")
            at = rig.watching.newest
            copy = tmp_path / f"cut-{len(cuts)}.img"
            set_to(FIFREEZE)
            try:
                subprocess.run(["cp", "--sparse=always", image, copy], check=True)
            finally:
                set_to(FITHAW)
            return Cut(copy, at, events, clips)

        def steps() -> Steps:
            yield from rig.frames(2 * FPS)
            for _ in range(INSTANTS):
                end = monotonic() + random.uniform(0.3, 2.5)
                yield from rig.until(lambda end=end: monotonic() >= end, "the instant comes")  # type: ignore[misc]
                cuts.append(cut())

        rig.run(steps())
        subprocess.run(["umount", disk], check=True)
    lost = []
    for each in cuts:
        lost.append(check_cut(each, tmp_path / "after"))
        each.image.unlink()
    grew = [seconds for seconds in lost if seconds]
    sys.stdout.write(
        f"seed {SEED}: {len(cuts)} cuts, {len(grew)} while a clip grew; lost of it"
        f" {statistics.median(grew or [0]):.2f} s, at most {max(grew, default=0):.2f}; events lost 0\n"
    )
    assert max(lost) <= MOST_LOST, f"seed {SEED}: {lost}"
