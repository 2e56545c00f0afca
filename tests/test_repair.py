"""Clips that were cut: by a kill at any instant, at any byte, by blocks that never reached the disk, by noise."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from clip_stories import growing_clip, known_packets, shown, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from made_videos import video_bytes

from edgecam.errors import InputError
from edgecam.recording import repair as repairing
from edgecam.recording.checking import check
from edgecam.recording.fragments import ClipInfo, FragmentWriter, part_of
from edgecam.recording.repair import repair
from edgecam.recording.walking import contents

pytestmark = pytest.mark.any_runtime

LABS = os.environ.get("EDGECAM_LABS") == "1"
KILLS = 100 if LABS else 8
CUTS = 300
CLIP_FRAMES = 100

RECORDER = """
import sys
from itertools import count
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from clip_stories import SMALL, street
from edgecam.recording.encoder import Encoder
from edgecam.recording.fragments import FragmentWriter
pictures = street(60)
with Encoder(SMALL) as encoder:
    sequence = 0
    for clip in count():
        encoder.close(), encoder.open()
        writer = FragmentWriter(Path(sys.argv[2]) / f"{clip}.mp4", encoder.stream)
        for _ in range(int(sys.argv[3])):
            print(clip, sequence / 30, flush=True)
            writer.write(encoder.encode(pictures[sequence % 60], sequence / 30))
            sequence += 1
        writer.write(encoder.flush())
        writer.finish()
"""


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a writer left that had written three seconds: fragments of half a second, each of 15 frames."""
    stream, packets = known_packets()
    return growing_clip(tmp_path_factory.mktemp("growing") / "a.mp4", packets, stream).read_bytes()


def ends_of_fragments(data: bytes, folder: Path) -> list[int]:
    """The bytes at which the file is whole: after its header and after each fragment."""
    (folder / "ends.part").write_bytes(data)
    with (folder / "ends.part").open("rb") as file:
        ends = [contents(file).header.fragments_at]
    (folder / "ends.part").unlink()
    while ends[-1] < len(data):
        at = ends[-1] + int.from_bytes(data[ends[-1] :][:4], "big")
        ends.append(at + int.from_bytes(data[at:][:4], "big"))
    return ends


def test_a_recorder_that_is_killed_at_any_instant_loses_less_than_a_second(tmp_path: Path) -> None:
    """Frames are taken as fast as they are encoded, so that the kill falls into writing, syncing and renaming too."""
    seed = random.randrange(10**6)
    sys.stdout.write(f"seed {seed}\n")
    instants, lost = random.Random(seed), []
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        clip, last = recorded_and_killed(folder, instants.randrange(1, 400))
        assert [check(finished).frames for finished in folder.glob("*.mp4")] == [CLIP_FRAMES] * len(
            [*folder.glob("*.mp4")]
        )
        end = clip * CLIP_FRAMES / 30
        for part in folder.glob("*.part"):
            info = repair(part)
            assert info is not None
            verdict = check(info.path)
            assert (verdict.ok, verdict.frames) == (True, info.frames)
            assert verdict.duration == pytest.approx(info.duration, abs=0.001)
            end = max(end, info.end)
        assert {path.suffix for path in folder.iterdir()} <= {".mp4"}
        lost.append(last - end)
    sys.stdout.write(f"{len(lost)} kills, lost at most {max(lost):.3f} s\n")
    assert max(lost) < 1.0


def recorded_and_killed(folder: Path, frames: int) -> tuple[int, float]:
    """Kill a recorder once it has taken so many frames; the clip and the time of the last frame it then had."""
    arguments = [sys.executable, "-c", RECORDER, str(Path(__file__).parent), str(folder), str(CLIP_FRAMES)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as recorder:
        assert recorder.stdout is not None
        taken = [recorder.stdout.readline() for _ in range(frames)]
        recorder.send_signal(signal.SIGKILL)
        taken += recorder.stdout.readlines()
    clip, timestamp = [line for line in taken if line.endswith("\n")][-1].split()
    return int(clip), float(timestamp)


def test_a_file_cut_at_any_byte_is_repaired_or_removed(tmp_path: Path, growing: bytes) -> None:
    """At bytes of its last two fragments, and a few of its header; with EDGECAM_LABS=1 at each."""
    ends = ends_of_fragments(growing, tmp_path)
    seed = random.randrange(10**6)
    sys.stdout.write(f"seed {seed}\n")
    tail = range(ends[-3], len(growing) + 1)
    cuts = [*tail] if LABS else random.Random(seed).sample(tail, CUTS)
    part = tmp_path / "a.mp4.part"
    for cut in [0, 1, 27, 28, 700, ends[0] - 1, ends[0], ends[1] - 1, ends[1], *ends[-3:], *cuts]:
        part.write_bytes(growing[:cut])
        whole = max((number for number, end in enumerate(ends) if end <= cut), default=0)
        info = repair(part)
        if whole == 0:
            assert (info, [*tmp_path.iterdir()]) == (None, [])
            continue
        assert info is not None
        assert (info.frames, info.bytes) == (15 * whole, ends[whole])
        assert info.duration == pytest.approx(whole / 2, abs=1e-4)
        assert info.cut
        verdict = check(info.path)
        assert (verdict.ok, verdict.frames) == (True, info.frames), verdict
        info.path.unlink()


@pytest.mark.parametrize("block", [512, 4096])
def test_blocks_that_never_reached_the_disk_are_not_taken_for_pictures(
    tmp_path: Path, growing: bytes, block: int
) -> None:
    """A power cut may leave a file its full length, with zeros where blocks were not written yet."""
    ends = ends_of_fragments(growing, tmp_path)
    part = tmp_path / "a.mp4.part"
    for at in range(ends[-2] // block + 1, len(growing) // block):
        part.write_bytes(growing[: at * block] + bytes(block) + growing[(at + 1) * block :])
        info = repair(part)
        assert info is not None
        assert info.frames == 15 * (len(ends) - 2)
        assert check(info.path).ok
        info.path.unlink()


def test_a_whole_fragment_that_does_not_follow_is_not_taken(tmp_path: Path, growing: bytes) -> None:
    """A file system that lost its way may give back blocks of another file."""
    ends = ends_of_fragments(growing, tmp_path)
    part = tmp_path / "a.mp4.part"
    part.write_bytes(growing[: ends[2]] + growing[ends[1] :])
    info = repair(part)
    assert info is not None
    assert (info.frames, info.bytes) == (30, ends[2])


def test_a_repaired_clip_says_truly_how_long_it_is(tmp_path: Path, growing: bytes) -> None:
    part = tmp_path / "a.mp4.part"
    part.write_bytes(growing[:-100])
    info = repair(part)
    assert info is not None
    assert (info.path, info.start, info.frames) == (tmp_path / "a.mp4", 1000.0, 60)
    assert info.duration == pytest.approx(2.0)
    assert len(shown(info.path)) == 60
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


class Killed(BaseException):
    """The repairing process was killed."""


@pytest.mark.parametrize("step", ["truncate", "seal", "publish"])
@pytest.mark.parametrize("done", [False, True])
def test_killed_itself_it_leaves_what_a_second_call_completes(
    tmp_path: Path, growing: bytes, monkeypatch: pytest.MonkeyPatch, step: str, *, done: bool
) -> None:
    part = tmp_path / "a.mp4.part"
    part.write_bytes(growing[:-100])
    owner = os if step == "truncate" else repairing
    real = getattr(owner, step)

    def killed(*arguments: object) -> None:
        if done:
            real(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, killed)
        with pytest.raises(Killed):
            repair(part)
    if part.exists():
        info = repair(part)
        assert info is not None
        assert info.frames == 60
    assert check(tmp_path / "a.mp4").frames == 60
    assert check(tmp_path / "a.mp4").ok


def test_a_torn_index_is_written_again(tmp_path: Path, growing: bytes) -> None:
    part = tmp_path / "a.mp4.part"
    stream, packets = known_packets()
    sealed = write_clip(tmp_path / "b.mp4", packets, stream).path.read_bytes()
    (tmp_path / "b.mp4").unlink()
    at = sealed.index(b"sidx") - 4
    part.write_bytes(sealed[: at + 60] + os.urandom(500) + sealed[at + 560 :])
    info = repair(part)
    assert info is not None
    assert info.path.read_bytes() == sealed


@settings(max_examples=400 if LABS else 150)
@given(st.data())
def test_no_damage_crashes_it_and_what_it_makes_plays(
    tmp_path_factory: pytest.TempPathFactory, growing: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(growing)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1) | st.integers(0, 900))
        content = data.draw(st.binary(min_size=1, max_size=20) | st.sampled_from([bytes(4), b"\xff" * 8]))
        cut = data.draw(st.sampled_from([0, len(content), 3000]))
        damaged[at : at + cut] = content
    part = tmp_path_factory.mktemp("damaged") / "a.mp4.part"
    part.write_bytes(damaged)
    info, complaint = repaired(part)
    if complaint:
        assert "\n" not in complaint
        assert part.read_bytes() == damaged  # not ours to remove
        return
    assert not part.exists()
    if info is not None:
        verdict = check(info.path)
        assert (verdict.ok, verdict.frames) == (True, info.frames), verdict


def repaired(part: Path) -> tuple[ClipInfo | None, str]:
    """What became of it, and the complaint, "" where there was none."""
    try:
        return repair(part), ""
    except InputError as error:
        return None, str(error)


FOREIGN = {
    "text": b"hello\n" * 100,
    "short text": b"hi",
    "noise": random.Random(1).randbytes(20_000),
    "mp4 of another's": video_bytes("mp4", "libx264"),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(500),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_ours_is_left_alone(tmp_path: Path, name: str) -> None:
    part = tmp_path / "a.mp4.part"
    part.write_bytes(FOREIGN[name])
    with pytest.raises(InputError, match=r"a\.mp4\.part: cannot be repaired: it is not a clip of edgecam's; .* alone"):
        repair(part)
    assert part.read_bytes() == FOREIGN[name]


@pytest.mark.parametrize("content", [b"", bytes(3), bytes(100_000)])
def test_what_has_nothing_in_it_is_removed(tmp_path: Path, content: bytes) -> None:
    part = tmp_path / "a.mp4.part"
    part.write_bytes(content)
    assert repair(part) is None
    assert not part.exists()


def test_only_unfinished_files_are_repaired(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "folder.part").mkdir()
    (tmp_path / "link.part").symlink_to(tmp_path / "a.mp4")
    os.mkfifo(tmp_path / "pipe.part")
    for name in ("a.mp4", "folder.part", "link.part", "pipe.part", "missing.part"):
        with pytest.raises(InputError, match="not an unfinished clip"):
            repair(tmp_path / name)
    assert len([*tmp_path.iterdir()]) == 4


def test_a_finished_clip_is_never_replaced(tmp_path: Path, growing: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(b"precious")
    (tmp_path / "a.mp4.part").write_bytes(growing)
    with pytest.raises(FileExistsError) as caught:
        repair(tmp_path / "a.mp4.part")
    assert caught.value.errno == errno.EEXIST
    assert (tmp_path / "a.mp4").read_bytes() == b"precious"
    assert check(tmp_path / "a.mp4.part").ok


def test_a_writer_that_failed_and_was_forgotten_leaves_what_can_be_repaired(tmp_path: Path) -> None:
    stream, packets = known_packets()
    writer = FragmentWriter(tmp_path / "a.mp4", stream)
    writer.write(packets)
    info = repair(part_of(tmp_path / "a.mp4"))
    assert info is not None
    assert info.frames == 75
    writer.abandon()
    assert len(shown(tmp_path / "a.mp4")) == 75
