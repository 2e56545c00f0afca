"""The check of a clip: what is fine passes, what is not is named, and nothing crashes it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from clip_stories import growing_clip, known_packets, street, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from made_videos import FRAMES, make_video, video_bytes

from edgecam.errors import InputError
from edgecam.preroll import Packet
from edgecam.recording.checking import MOST_ERRORS, check

pytestmark = pytest.mark.any_runtime

LABS = os.environ.get("EDGECAM_LABS") == "1"


@pytest.fixture(scope="module")
def finished_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    stream, packets = known_packets()
    return write_clip(tmp_path_factory.mktemp("finished") / "a.mp4", packets, stream).path


@pytest.fixture(scope="module")
def finished(finished_path: Path) -> bytes:
    return finished_path.read_bytes()


def verdict_of(folder: Path, content: bytes) -> tuple[int, str]:
    path = folder / "a.mp4"
    path.write_bytes(content)
    verdict = check(path)
    assert verdict.ok == (not verdict.errors and verdict.frames > 0)
    assert all("\n" not in error for error in verdict.errors)
    return verdict.frames, "; ".join(verdict.errors)


def test_a_good_clip_passes(tmp_path: Path, finished: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(finished)
    verdict = check(tmp_path / "a.mp4")
    assert (verdict.ok, verdict.frames, verdict.gaps, verdict.errors) == (True, 90, (), ())
    assert verdict.duration == pytest.approx(3.0, abs=1e-4)


def test_a_good_video_of_another_maker_passes(tmp_path: Path) -> None:
    assert verdict_of(tmp_path, video_bytes("mp4", "libx264")) == (FRAMES, "")


def test_a_clip_that_still_grows_passes(tmp_path: Path) -> None:
    stream, packets = known_packets()
    assert check(growing_clip(tmp_path / "a.mp4", packets, stream)).ok


def test_gaps_are_reported_and_are_no_error(tmp_path: Path) -> None:
    stream, packets = known_packets()
    late = [
        Packet(each.data, each.timestamp + 4 * (each.timestamp >= 1001.5), 1 / 30, each.keyframe) for each in packets
    ]
    verdict = check(write_clip(tmp_path / "a.mp4", late, stream).path)
    assert verdict.ok
    ((at, long),) = verdict.gaps
    assert (round(at, 3), round(long, 3)) == (1.467, 4.033)


def test_a_single_wrong_bit_anywhere_in_the_pictures_is_found(tmp_path: Path, finished: bytes) -> None:
    begin = finished.index(b"moof") + 8
    for at in random.Random(4).sample(range(begin, len(finished)), 40):
        content = bytearray(finished)
        content[at] ^= 4
        _, complaints = verdict_of(tmp_path, bytes(content))
        assert "torn or damaged at byte" in complaints


def test_a_torn_tail_is_found_and_what_is_before_it_counted(tmp_path: Path, finished: bytes) -> None:
    frames, complaints = verdict_of(tmp_path, finished[:-500])
    assert 75 <= frames < 90
    assert "torn or damaged at byte" in complaints
    assert "after 2.500 s" in complaints


def test_a_damaged_header_is_found(tmp_path: Path, finished: bytes) -> None:
    content = bytearray(finished)
    content[content.index(b"avcC") + 12] ^= 1
    assert "its header is damaged" in verdict_of(tmp_path, bytes(content))[1]


def test_a_clip_of_another_maker_that_is_damaged_is_often_found(tmp_path: Path) -> None:
    """It has no checksums: what the decoder does not stumble over stays unseen."""
    good = make_video(tmp_path / "good.mp4", street(60), options={"preset": "superfast"}).read_bytes()
    begin, found = good.index(b"mdat") + 800, 0
    for at in random.Random(4).sample(range(begin, begin + 20_000), 40):
        content = bytearray(good)
        content[at] ^= 4
        found += bool(verdict_of(tmp_path, bytes(content))[1])
    assert found > 8


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "there is nothing in it"),
        (bytes(5000), "there is nothing in it"),
        (b"hello" * 100, "cannot be read"),
        (random.Random(1).randbytes(5000), "cannot be read"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "cannot be read"),
        (b"ffconcat version 1.0\nfile a.mp4\n", "cannot be read"),
    ],
    ids=["empty", "zeros", "text", "noise", "playlist", "concat"],
)
def test_what_is_no_video_is_named_so(tmp_path: Path, content: bytes, words: str) -> None:
    frames, complaints = verdict_of(tmp_path, content)
    assert frames == 0
    assert words in complaints
    assert "nothing in it can be played" in complaints


def test_a_video_that_is_no_mp4_is_named_so(tmp_path: Path) -> None:
    frames, complaints = verdict_of(tmp_path, make_video(tmp_path / "a.mkv").read_bytes())
    assert (frames, "cannot be read" in complaints) == (0, True)


def test_what_is_no_file_is_refused_in_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("", "pipe", "missing.mp4"):
        with pytest.raises(InputError, match=r"no such clip: give the path of an MP4 file") as caught:
            check(tmp_path / name)
        assert "\n" not in str(caught.value)


damages = st.lists(
    st.tuples(
        st.integers(0, 900) | st.integers(0, 100_000),
        st.binary(min_size=1, max_size=20) | st.sampled_from([bytes(4), b"\xff" * 8]),
        st.sampled_from([0, 4, 8, 2000]),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=3000 if LABS else 150)
@given(ours=st.booleans(), holes=damages)
def test_no_damage_crashes_it(
    tmp_path_factory: pytest.TempPathFactory, finished_path: Path, *, ours: bool, holes: list[tuple[int, bytes, int]]
) -> None:
    content = bytearray(finished_path.read_bytes() if ours else video_bytes("mp4", "libx264"))
    for place, noise, length in holes:
        at = place % len(content)
        content[at : at + length] = noise
    verdict = check(_written(tmp_path_factory, bytes(content)))
    assert verdict.frames <= 200
    assert len(verdict.errors) <= MOST_ERRORS


def _written(folders: pytest.TempPathFactory, content: bytes) -> Path:
    path = folders.mktemp("damaged") / "a.mp4"
    path.write_bytes(content)
    return path
