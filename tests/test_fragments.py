"""Growing clips: what is in the file at any moment, what the finished file says, and what a failing disk leaves."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from clip_stories import SMALL, encoded, evenly, known_packets, shown, times, write_clip

from edgecam.preroll import Packet
from edgecam.recording.checking import check
from edgecam.recording.fragments import FragmentWriter, part_of
from edgecam.recording.h264 import StreamInfo
from edgecam.recording.mp4 import FTYP, INDEX_BYTES, INDEX_ENTRIES, Index, index
from edgecam.recording.repair import repair
from edgecam.recording.walking import contents

pytestmark = pytest.mark.any_runtime


def boxes_of(path: Path) -> list[str]:
    """The top-level boxes of an MP4 file (ISO/IEC 14496-12, 4.2)."""
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        found.append(data[at + 4 : at + 8].decode("ascii"))
        at += int.from_bytes(data[at : at + 4], "big")
    assert at == len(data)
    return found


def stamped(packets: tuple[Packet, ...], stamps: list[float]) -> list[Packet]:
    """The packets, under other timestamps."""
    return [Packet(each.data, at, 0.1, each.keyframe) for each, at in zip(packets, stamps, strict=True)]


@pytest.mark.parametrize("fps", [5.0, 15.0, 30.0])
def test_a_finished_clip_plays_whole_and_says_truly_how_long_it_is(tmp_path: Path, fps: float) -> None:
    stream, packets = encoded(evenly(round(3.5 * fps), fps))
    info = write_clip(tmp_path / "a.mp4", packets, stream)
    assert (info.path, info.frames, info.bytes) == (tmp_path / "a.mp4", len(packets), info.path.stat().st_size)
    assert (info.start, info.cut) == (1000.0, "")
    assert info.duration == pytest.approx(len(packets) / fps, abs=0.001)
    frames = shown(info.path)
    assert times(frames) == pytest.approx([each.timestamp - 1000 for each in packets], abs=2e-5)
    with av.open(str(info.path)) as container:
        assert container.duration == pytest.approx(info.duration * 1e6, abs=200)
        assert container.start_time == 0
    assert check(info.path).ok


def test_frames_that_come_as_they_like_keep_their_times(tmp_path: Path) -> None:
    stream, packets = known_packets()
    gaps = np.random.default_rng(2).choice([0.00002, 0.01, 0.033, 0.4, 7.0], len(packets))
    stamps = [float(at) for at in np.cumsum(gaps)]
    info = write_clip(tmp_path / "a.mp4", stamped(packets, stamps), stream)
    assert times(shown(info.path)) == pytest.approx([at - stamps[0] for at in stamps], abs=2e-5)
    assert info.duration == pytest.approx(stamps[-1] - stamps[0] + 0.1, abs=2e-5)
    assert check(info.path).ok


def test_the_header_comes_first_and_one_can_begin_at_each_keyframe(tmp_path: Path) -> None:
    stream, packets = known_packets(150)
    info = write_clip(tmp_path / "a.mp4", packets, stream)
    kinds = boxes_of(info.path)
    assert kinds[:5] == ["ftyp", "moov", "uuid", "sidx", "free"]
    assert kinds[5:] == ["moof", "mdat"] * 10
    with av.open(str(info.path)) as container:
        for wanted in (4.5, 1.2, 3.0, 0.0):
            container.seek(round(wanted * 1e6))
            frame = next(container.decode(video=0))
            assert frame.key_frame
            assert frame.time == pytest.approx(int(wanted))


def test_a_stream_that_is_cut_off_after_the_header_can_be_played_meanwhile(tmp_path: Path) -> None:
    stream, packets = known_packets()
    info = write_clip(tmp_path / "a.mp4", packets, stream)
    (tmp_path / "half.mp4").write_bytes(info.path.read_bytes()[: info.bytes * 2 // 3])
    with av.open(str(tmp_path / "half.mp4")) as container:
        count = 0
        try:
            for _ in container.decode(video=0):
                count += 1
        except av.error.FFmpegError:
            pass
    assert count >= 40


def test_a_growing_clip_has_all_but_the_last_half_second_in_the_file(tmp_path: Path) -> None:
    stream, packets = known_packets()
    writer = FragmentWriter(tmp_path / "a.mp4", stream)
    for number, packet in enumerate(packets, 1):
        writer.write([packet])
        if number <= 15:
            assert not list(tmp_path.iterdir())  # there is never an empty file
            continue
        with part_of(tmp_path / "a.mp4").open("rb") as file:
            found = contents(file)
            assert found.end == file.seek(0, os.SEEK_END) == writer.bytes
        assert 0 <= number - found.frames <= 16
    writer.abandon()
    writer.abandon()
    assert not list(tmp_path.iterdir())


def test_what_comes_before_the_first_keyframe_is_left_out(tmp_path: Path) -> None:
    stream, packets = known_packets()
    info = write_clip(tmp_path / "a.mp4", packets[10:], stream)
    assert (info.start, info.frames) == (1001.0, 60)
    assert len(shown(info.path)) == 60


def test_a_clip_without_pictures_is_no_file(tmp_path: Path) -> None:
    stream, packets = known_packets()
    writer = FragmentWriter(tmp_path / "folder" / "a.mp4", stream)
    writer.write([])
    writer.write(packets[1:5])
    assert writer.finish() is None
    assert not list(tmp_path.rglob("*.mp4*"))


def test_a_clip_of_one_picture_plays(tmp_path: Path) -> None:
    stream, packets = known_packets()
    info = write_clip(tmp_path / "new folder" / "a.mp4", packets[:1], stream)
    assert info.duration == pytest.approx(1 / 30, abs=1e-4)
    assert len(shown(info.path)) == 1


def test_a_finished_writer_takes_no_more_and_its_clip_stays(tmp_path: Path) -> None:
    stream, packets = known_packets()
    writer = FragmentWriter(tmp_path / "a.mp4", stream)
    writer.write(packets)
    assert writer.finish() is not None
    with pytest.raises(OSError, match="it is finished"):
        writer.write(packets)
    writer.abandon()
    assert len(shown(tmp_path / "a.mp4")) == 90


@pytest.mark.parametrize("taken", ["a.mp4", "a.mp4.part"])
def test_another_clip_of_the_same_name_is_never_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_bytes(b"precious")
    stream, packets = known_packets()
    writer = FragmentWriter(tmp_path / "a.mp4", stream)
    with pytest.raises(FileExistsError):
        writer.write(packets)
    assert writer.finish() is None
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(taken, b"precious")]


def test_players_are_told_when_it_was(tmp_path: Path) -> None:
    stream, packets = known_packets()
    writer = FragmentWriter(tmp_path / "a.mp4", stream, started=1_767_225_600.4)
    writer.write(packets)
    writer.finish()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.metadata["creation_time"].startswith("2026-01-01T00:00:00")


def test_timestamps_that_stand_still_do_not_fill_the_memory(tmp_path: Path) -> None:
    stream, packets = known_packets()
    frozen = [Packet(each.data, 5.0, 0.1, keyframe=False) for each in packets]
    writer = FragmentWriter(tmp_path / "a.mp4", stream, sync=False)
    writer.write(packets[:1])
    for _ in range(6):
        writer.write(frozen)
    assert writer.frames >= 500
    assert writer.finish() is not None
    assert check(tmp_path / "a.mp4").frames == 541


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: as on a disk that is full, the last write is taken in part."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(writer: FragmentWriter, packets: tuple[Packet, ...]) -> OSError | None:
    for packet in packets:
        try:
            writer.write([packet])
        except OSError as error:
            return error
    return None


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.77, 0.95, 0.999])
def test_a_disk_that_fills_up_leaves_what_plays(tmp_path: Path, share: float) -> None:
    stream, packets = known_packets()
    whole = write_clip(tmp_path / "whole.mp4", packets, stream)
    writer = FragmentWriter(tmp_path / "a.mp4", stream)
    part = part_of(tmp_path / "a.mp4")
    with room_for(round(whole.bytes * share)):
        error = fill(writer, packets)
        if part.exists():
            assert check(part).ok  # no torn tail is left
        with pytest.raises(OSError, match="nothing more is taken") if error else _nothing():
            writer.write(packets[-1:])
        info = writer.finish()
    assert not part.exists()
    if info is None:
        assert share < 0.2
        return
    assert info.cut
    assert info.bytes == info.path.stat().st_size <= whole.bytes * share
    assert (len(shown(info.path)), check(info.path).ok) == (info.frames, True)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def test_a_real_full_disk_leaves_what_plays_and_never_an_empty_file(tmp_path: Path) -> None:
    mounted = tmp_path / "small"
    mounted.mkdir()
    options = ["-t", "tmpfs", "-o", "size=48k"]
    mount = subprocess.run(["mount", *options, "tmpfs", str(mounted)], check=False, capture_output=True)
    if mount.returncode:
        pytest.skip("needs root and a mount: run in a container with CAP_SYS_ADMIN")
    try:
        stream, packets = known_packets()
        writer = FragmentWriter(mounted / "a.mp4", stream)
        error = fill(writer, packets)
        assert error is not None
        assert error.errno == errno.ENOSPC
        info = writer.finish()
        assert info is not None
        assert check(info.path).ok
        (mounted / "rest").write_bytes(bytes(4 * (shutil.disk_usage(mounted).free // 4)))
        second = FragmentWriter(mounted / "b.mp4", stream)
        assert fill(second, packets) is not None
        assert second.finish() is None
        assert {path.name for path in mounted.iterdir()} == {"rest", "a.mp4"}
    finally:
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def test_finishing_can_be_tried_again_when_the_disk_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, packets = known_packets()
    writer = FragmentWriter(tmp_path / "a.mp4", stream)
    writer.write(packets)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", _refuse)
        with pytest.raises(OSError, match="Read-only"):
            writer.finish()
    assert check(tmp_path / "a.mp4.part").ok
    info = writer.finish()
    assert info is not None
    assert (info.frames, len(shown(info.path))) == (90, 90)


def _refuse(*_: object) -> int:
    raise OSError(errno.EROFS, "Read-only file system")


def test_no_file_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    stream, packets = known_packets()
    for number in range(5):
        write_clip(tmp_path / f"{number}.mp4", packets, stream)
        writer = FragmentWriter(tmp_path / "b.mp4", stream)
        with room_for(20_000):
            fill(writer, packets)
        writer.abandon()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_index_of_a_clip_of_any_length_fits_its_place() -> None:
    entries = Index()
    for number in range(20_000):
        entries.add(1000 + number % 7, 45_000, keyframe=number % 2 == 0)
        assert len(entries.entries) <= INDEX_ENTRIES
    assert len(entries.entries) > INDEX_ENTRIES // 3
    assert sum(entry.ticks for entry in entries.entries) == entries.ticks == 20_000 * 45_000
    assert sum(entry.bytes for entry in entries.entries) == sum(1000 + number % 7 for number in range(20_000))
    assert len(index(entries.entries)) == len(index([])) == INDEX_BYTES


def test_a_long_clip_has_a_coarser_index_that_still_leads_to_keyframes(tmp_path: Path) -> None:
    stream, packets = known_packets(30, 30.0)
    key = packets[0]
    many = [Packet(key.data, float(number), 1.0, keyframe=True) for number in range(INDEX_ENTRIES * 2 + 100)]
    info = write_clip(tmp_path / "a.mp4", many, stream)
    with av.open(str(info.path)) as container:
        assert container.duration == len(many) * 1_000_000
        container.seek(500_000_000)
        assert 400 < float(next(container.decode(video=0)).time or 0) <= 500
    assert check(info.path).frames == len(many)


def test_the_smallest_header_is_understood(tmp_path: Path) -> None:
    stream = StreamInfo("h264", SMALL, known_packets()[0].extradata)
    write_clip(tmp_path / "a.mp4", known_packets()[1], stream)
    assert (tmp_path / "a.mp4").read_bytes().startswith(FTYP)
    with pytest.raises(ValueError, match="not an unfinished clip"):
        repair(tmp_path / "a.mp4")
