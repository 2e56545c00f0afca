"""Playing videos that are damaged, cut, or no videos at all."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_videos import FRAMES, SIZE, make_video, png_header, video_bytes
from numpy.typing import NDArray
from playing import camera_on, play, played

from edgecam.errors import CameraError, EdgecamError, InputError
from edgecam.types import Frame


def noise(count: int) -> list[NDArray[np.uint8]]:
    """Pictures that take many bytes."""
    rng = np.random.default_rng(5)
    return [rng.integers(16, 236, (SIZE[1] * 3 // 2, SIZE[0]), dtype=np.uint8) for _ in range(count)]


class TestDamage:
    @pytest.mark.parametrize(("ending", "codec"), [("avi", "mpeg4"), ("mkv", "libx264"), ("ts", "libx264")])
    def test_damaged_packets_are_counted_and_survived(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], ending: str, codec: str
    ) -> None:
        path = make_video(tmp_path / f"a.{ending}", noise(40), codec=codec)
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 3000] = bytes(np.random.default_rng(6).integers(0, 256, 3000, dtype=np.uint8))
        path.write_bytes(content)
        camera = camera_on(path)
        frames = play(camera)
        assert camera.damaged > 0
        assert 15 <= len(frames) <= 40
        assert capfd.readouterr() == ("", "")

    def test_a_whole_video_has_no_damage(self, tmp_path: Path) -> None:
        for name, codec in (("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.mkv", "libx264"), ("a.ts", "libx264")):
            camera = camera_on(make_video(tmp_path / name, codec=codec))
            assert len(play(camera)) == FRAMES
            assert camera.damaged == 0

    @pytest.mark.parametrize(("ending", "codec"), [("avi", "mpeg4"), ("mkv", "libx264")])
    def test_a_video_cut_short_plays_to_its_end(
        self, tmp_path: Path, ending: str, codec: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = make_video(tmp_path / f"cut.{ending}", noise(60), codec=codec)
        os.truncate(path, path.stat().st_size // 2)
        camera = camera_on(path)
        with caplog.at_level(logging.WARNING):
            frames = play(camera)
        assert 20 < len(frames) < 40
        assert camera.damaged > 0
        assert [frame.sequence for frame in frames] == list(range(len(frames)))
        assert [record.getMessage() for record in caplog.records] == [
            f"{path}: cut short: 50 % of it is missing; playing what is there"
        ]

    def test_an_mp4_that_was_never_finished_is_refused(self, tmp_path: Path) -> None:
        path = make_video(tmp_path / "cut.mp4")
        os.truncate(path, path.stat().st_size * 3 // 10)
        with pytest.raises(InputError, match=r"cut\.mp4: truncated: its index \(moov\) is missing"):
            camera_on(path).open()


def without_video(folder: Path) -> Path:
    path = folder / "sound.wav"
    with av.open(str(path), "w") as sound:
        stream: Any = sound.add_stream("pcm_s16le", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        samples.sample_rate = 8000
        sound.mux(stream.encode(samples))
    return path


def file_with(name: str, content: bytes) -> Any:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def folder_with(name: str, **files: bytes) -> Any:
    def make(folder: Path) -> Path:
        (folder / name).mkdir()
        for file, content in files.items():
            (folder / name / f"{file}.jpg").write_bytes(content)
        return folder / name

    return make


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


class TestBadInput:
    @pytest.mark.parametrize(
        ("make", "complaint"),
        [
            (lambda folder: folder / "missing.mp4", "missing.mp4: no such file or folder"),
            (lambda folder: folder / ("x" * 300), "cannot be read"),
            (file_with("text.mp4", b"This is no video.\n" * 500), "text.mp4: not a video"),
            (file_with("notes.txt", b"This is no video.\n" * 500), "notes.txt: a text, not a video"),
            (file_with("empty.mp4", b""), r"empty.mp4: not a video \(the file is empty\)"),
            (file_with("noise.avi", bytes(range(256)) * 400), "noise.avi: not a video"),
            (file_with("head.mp4", video_bytes("mp4", "libx264")[:40]), "head.mp4: truncated"),
            (without_video, "sound.wav: holds no video stream"),
            (folder_with("empty"), "empty: no pictures in this folder"),
            (folder_with("broken", a=b"x", b=b"y"), "broken: none of the 2 pictures in this folder can be read"),
            (pipe, "pipe: neither a file nor a folder"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_it_is_named_in_one_line(
        self, tmp_path: Path, make: Any, complaint: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = make(tmp_path)
        camera = camera_on(path)
        with pytest.raises(InputError, match=complaint) as refusal:
            camera.open()
        assert str(refusal.value).startswith(str(path))
        assert "\n" not in str(refusal.value)
        assert capfd.readouterr() == ("", "")
        with pytest.raises(CameraError, match="not open"):
            camera.read(0.1)

    def test_a_file_that_may_not_be_read(self, tmp_path: Path) -> None:
        path = make_video(tmp_path / "secret.mp4")
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
        with pytest.raises(InputError, match=r"secret\.mp4: cannot be read: Permission denied"):
            camera_on(path).open()

    def test_a_header_of_too_many_pixels_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "huge.png").write_bytes(png_header(16384, 16384))
        with pytest.raises(InputError, match=r"huge\.png"):
            camera_on(tmp_path / "huge.png").open()

    def test_a_name_like_a_protocol_s(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make_video(tmp_path / "made.mp4").rename(tmp_path / "concat:a|b.mp4")
        monkeypatch.chdir(tmp_path)
        assert len(played("concat:a|b.mp4")) == FRAMES

    def test_a_file_url(self, tmp_path: Path) -> None:
        camera = camera_on(f"file://{make_video(tmp_path / 'a.mp4')}")
        assert camera.lossless
        assert len(play(camera)) == FRAMES


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


bruises = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=30)
KINDS = [("mp4", "libx264"), ("avi", "mpeg4"), ("mkv", "libx264"), ("ts", "libx264"), ("avi", "mjpeg")]


@given(st.sampled_from(KINDS), bruises, st.floats(0, 1))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_damage_crashes_or_hangs(
    scratch: Path, kind: tuple[str, str], bruises: list[tuple[float, int]], kept: float
) -> None:
    """Frames of one size with growing timestamps, and at most an error of ours; nothing else."""
    content = bytearray(video_bytes(*kind))
    for place, value in bruises:
        content[int(place * len(content))] = value
    path = scratch / f"bruised.{kind[0]}"
    path.write_bytes(content[: int(len(content) * (0.2 + 0.8 * kept))])
    camera = camera_on(path)
    frames: list[Frame] = []
    with suppress(EdgecamError):
        frames = play(camera, 200)
    camera.close()
    assert len({frame.main.shape for frame in frames}) <= 1
    assert all(before.timestamp < after.timestamp for before, after in pairwise(frames))
