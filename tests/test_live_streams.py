"""Network streams and devices: their pace, their silence, their loss."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from made_videos import FRAMES, make_video, number_of, numbered_picture
from rtsp_server import RtspServer, rtsp_server

from edgecam.cameras import decoder
from edgecam.cameras.video_file import VideoFileCamera
from edgecam.errors import CameraError, InputError
from edgecam.types import Frame

COUNT, FPS = 30, 10


def camera_on(url: str) -> VideoFileCamera:
    return VideoFileCamera(path=url, lores_size=(40, 30), pace="fast")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "OPEN_TIMEOUT", 1.0)
    monkeypatch.setattr(decoder, "READ_TIMEOUT", 0.2)


@pytest.fixture
def h264(tmp_path: Path) -> bytes:
    """Numbered pictures again and again, too large for a single RTP packet at key frames."""
    pictures = [numbered_picture(number % FRAMES) for number in range(COUNT)]
    return make_video(tmp_path / "a.h264", pictures, container="h264", options={"bf": "0", "g": "10"}).read_bytes()


@pytest.fixture
def ending(h264: bytes) -> Iterator[RtspServer]:
    with rtsp_server(h264, FPS, hang_up=True) as server:
        yield server


@pytest.fixture
def falling_silent(h264: bytes) -> Iterator[RtspServer]:
    with rtsp_server(h264, FPS, hang_up=False) as server:
        yield server


def frames_until_lost(camera: VideoFileCamera) -> list[Frame]:
    frames: list[Frame] = []
    with pytest.raises(CameraError, match=r"rtsp://127\.0\.0\.1:\d+/stream: the stream has ended"):
        frames.extend(filter(None, iter(lambda: camera.read(0.5), camera)))
    return frames


def test_a_lost_stream_is_a_fault_and_can_be_opened_again(ending: RtspServer) -> None:
    camera = camera_on(ending.url)
    frames: list[Frame] = []
    for _ in range(2):
        camera.open()
        frames += frames_until_lost(camera)
        camera.close()
    assert [number_of(frame.main) for frame in frames] == [number % FRAMES for number in range(COUNT)] * 2
    assert [frame.sequence for frame in frames] == list(range(2 * COUNT))
    assert all(before.timestamp < after.timestamp for before, after in pairwise(frames))


def test_a_live_stream_keeps_its_own_pace(ending: RtspServer) -> None:
    """Three seconds of pictures sent at once are delivered at once, whatever pace was asked for; never lossless."""
    with camera_on(ending.url) as camera:
        assert not camera.lossless
        assert camera.duration is camera.frames_estimate is None
        frames = frames_until_lost(camera)
    assert frames[-1].timestamp - frames[0].timestamp < COUNT / FPS


def test_silence_is_no_frame_and_no_fault(falling_silent: RtspServer) -> None:
    with camera_on(falling_silent.url) as camera:
        frames = [camera.read(0.5) for _ in range(COUNT)]
        assert all(frames)
        assert [camera.read(0.2), camera.read(0.2)] == [None, None]
        falling_silent.release.set()
        assert frames_until_lost(camera) == []


def test_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        camera = camera_on(f"rtsp://user:secret@127.0.0.1:{listener.getsockname()[1]}/stream")
        with pytest.raises(CameraError, match=r"rtsp://user:\*\*\*@127\.0\.0\.1:\d+/stream: cannot be opened"):
            camera.open()


@pytest.mark.parametrize("url", ["rtsp://127.0.0.1:1/x", "http://127.0.0.1:1/x.mp4", "tcp://127.0.0.1:1"])
def test_a_server_that_is_not_there_may_come_back(url: str) -> None:
    with pytest.raises(CameraError, match=r"127\.0\.0\.1:1.*: cannot be opened: Connection refused"):
        camera_on(url).open()


def test_an_unknown_kind_of_url() -> None:
    with pytest.raises(InputError, match=r"carrier-pigeon://coop: ffmpeg does not know this kind of URL"):
        camera_on("carrier-pigeon://coop").open()


def test_a_device_that_is_not_plugged_in() -> None:
    camera = camera_on("/dev/video97")
    assert not camera.lossless
    with pytest.raises(CameraError, match="/dev/video97: no such device: is the camera plugged in"):
        camera.open()
