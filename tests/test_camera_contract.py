"""What every camera keeps, whatever is behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fake_video_device import Socket
from made_videos import FRAMES, make_pictures, make_video
from picamera2_fake import Board, Sensor

from edgecam import cameras
from edgecam.cameras.masked import MaskedCamera
from edgecam.cameras.v4l2 import V4l2Camera
from edgecam.errors import EndOfStream
from edgecam.ports import Camera
from edgecam.testing import ManualClock, ScriptedCamera, make_frame
from edgecam.types import Frame

Build = Callable[[Path, ManualClock], Camera]

LORES = (40, 30)


def scripted(_folder: Path, _clock: ManualClock) -> Camera:
    return ScriptedCamera([make_frame(number) for number in range(FRAMES)])


def video(name: str, codec: str, **options: object) -> Build:
    def build(folder: Path, clock: ManualClock) -> Camera:
        path = make_video(folder / name, codec=codec, pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p")
        return cameras.create("video_file", path=str(path), lores_size=LORES, clock=clock, **options)

    return build


def pictures(folder: Path, clock: ManualClock) -> Camera:
    path = make_pictures(folder / "pictures")
    return cameras.create("video_file", path=str(path), lores_size=LORES, clock=clock, fps=5.0)


def synthetic(pace: str) -> Build:
    def build(_folder: Path, clock: ManualClock) -> Camera:
        size, duration = (160, 90), FRAMES / 10 - 0.05
        return cameras.create(
            "synthetic", lores_size=LORES, size=size, fps=10.0, duration=duration, pace=pace, clock=clock
        )

    return build


class Ending(Camera):
    """A camera that would never end, as one that ends after FRAMES frames of each opening: so they can be counted."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._left = 0

    def open(self) -> None:
        self._camera.open()
        self._left = FRAMES

    def close(self) -> None:
        self._camera.close()

    def read(self, timeout: float) -> Frame | None:
        if not self._left:
            raise EndOfStream("as many as the test wants")
        frame = self._camera.read(timeout)
        self._left -= frame is not None
        return frame


def v4l2(_folder: Path, clock: ManualClock) -> Camera:
    camera = V4l2Camera(path="/dev/video0", lores_size=LORES, clock=clock)
    camera.device_at = Socket(clock).device_at
    return Ending(camera)


def v4l2_device(form: str) -> Build:
    """A real V4L2 device, such as the one of the kernel's module vivid (tools/labs/display)."""

    def build(_folder: Path, _clock: ManualClock) -> Camera:
        path = os.environ.get("EDGECAM_V4L2_DEVICE")
        if not path:
            pytest.skip("no V4L2 device: set EDGECAM_V4L2_DEVICE to the path of one, or run tools/labs/display")
        return Ending(cameras.create("v4l2", path=path, lores_size=LORES, format=form))

    return build


def picamera2(_folder: Path, clock: ManualClock) -> Camera:
    return Ending(cameras.create("picamera2", lores_size=LORES, size=(160, 90), clock=clock))


def picamera2_camera(_folder: Path, clock: ManualClock) -> Camera:
    """A real camera of libcamera, such as its virtual one (tools/labs/camera)."""
    camera_id = os.environ.get("EDGECAM_PICAMERA2_CAMERA")
    if not camera_id:
        pytest.skip("no libcamera: set EDGECAM_PICAMERA2_CAMERA to the id of a camera, or run tools/labs/camera")
    return Ending(cameras.create("picamera2", camera=camera_id, lores_size=LORES, clock=clock))


def masked(folder: Path, clock: ManualClock) -> Camera:
    return MaskedCamera(synthetic("realtime")(folder, clock), [((0.1, 0.1), (0.5, 0.2), (0.3, 0.9))])


BACK_ENDS: dict[str, Build] = {
    "scripted": scripted,
    "masked": masked,
    "mp4": video("a.mp4", "libx264"),
    "mp4-fast": video("a.mp4", "libx264", pace="fast"),
    "mp4-scaled": video("a.mp4", "libx264", size=(32, 50)),
    "avi": video("a.avi", "mpeg4"),
    "mkv": video("a.mkv", "libx264"),
    "mjpeg": video("a.mjpeg", "mjpeg"),
    "pictures": pictures,
    "synthetic": synthetic("realtime"),
    "synthetic-fast": synthetic("fast"),
    "v4l2": v4l2,
    "v4l2-device-yuyv": v4l2_device("yuyv"),
    "v4l2-device-nv12": v4l2_device("nv12"),
    "v4l2-device-yu12": v4l2_device("yu12"),
    "picamera2": picamera2,
    "picamera2-camera": picamera2_camera,
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


@pytest.fixture(params=BACK_ENDS)
def camera(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Camera]:
    if request.param == "picamera2":
        Board(clock, Sensor()).install(monkeypatch)
    camera: Camera = BACK_ENDS[request.param](tmp_path, clock)
    yield camera
    camera.close()


def play(camera: Camera) -> list[Frame]:
    """All frames until the end."""
    frames: list[Frame] = []
    while True:
        try:
            frame = camera.read(1.0)
        except EndOfStream:
            return frames
        if frame is not None:
            frames.append(frame)


def test_it_delivers_all_frames_and_then_ends_for_good(camera: Camera) -> None:
    camera.open()
    assert len(play(camera)) == FRAMES
    with pytest.raises(EndOfStream):
        camera.read(0.1)


def played_over_two_opens(camera: Camera) -> list[Frame]:
    """Half of the frames, and after closing and opening all that come."""
    camera.open()
    frames = [frame for frame in (camera.read(10.0) for _ in range(FRAMES // 2)) if frame]
    camera.close()
    camera.open()
    frames += play(camera)
    assert len(frames) >= FRAMES
    return frames


def test_the_sequence_is_contiguous_over_closing_and_opening(camera: Camera) -> None:
    frames = played_over_two_opens(camera)
    assert [frame.sequence for frame in frames] == list(range(len(frames)))


def test_timestamps_strictly_increase_over_closing_and_opening(camera: Camera) -> None:
    assert all(before.timestamp < after.timestamp for before, after in pairwise(played_over_two_opens(camera)))


def test_pictures_are_i420_and_small_rgb_of_one_size(camera: Camera) -> None:
    camera.open()
    frames = play(camera)
    for frame in frames:
        assert frame.width % 2 == frame.height % 2 == 0
        assert frame.main.shape == (frame.height * 3 // 2, frame.width)
        assert frame.main.dtype == frame.lores.dtype == np.uint8
        assert frame.lores.ndim == 3
        assert frame.lores.shape[2] == 3
        assert frame.main.flags.c_contiguous
        assert frame.lores.flags.c_contiguous
    assert len({(frame.main.shape, frame.lores.shape) for frame in frames}) == 1


def test_the_small_picture_has_the_wanted_size(camera: Camera) -> None:
    if isinstance(camera, ScriptedCamera):
        pytest.skip("a script brings its own small pictures")
    camera.open()
    frame = camera.read(1.0)
    assert frame is not None
    assert frame.lores.shape == (LORES[1], LORES[0], 3)


def test_pixels_are_read_only_and_not_reused(camera: Camera) -> None:
    camera.open()
    frames = play(camera)
    assert not any(frame.main.flags.writeable or frame.lores.flags.writeable for frame in frames)
    assert not any(np.shares_memory(before.main, after.main) for before, after in pairwise(frames))


@pytest.mark.parametrize("timeout", [0.0, 0.01, 0.3])
def test_read_returns_within_its_time(camera: Camera, clock: ManualClock, timeout: float) -> None:
    camera.open()
    for _ in range(FRAMES):
        before = clock.monotonic()
        camera.read(timeout)
        assert clock.monotonic() - before <= timeout + 1e-9


def test_a_frame_is_not_lost_where_the_time_was_too_short(camera: Camera) -> None:
    camera.open()
    numbers = []
    while True:
        try:
            frame = camera.read(0.03)
        except EndOfStream:
            break
        if frame is not None:
            numbers.append(frame.sequence)
    assert numbers == list(range(FRAMES))


def test_closing_is_always_safe(camera: Camera) -> None:
    camera.close()
    camera.open()
    camera.close()
    camera.close()
    with camera:
        assert camera.read(1.0) is not None


def test_opening_twice_starts_again(camera: Camera) -> None:
    camera.open()
    camera.open()
    assert len(play(camera)) == FRAMES


@pytest.mark.parametrize("kind", sorted(cameras.CAMERAS))
def test_making_one_touches_nothing(kind: str) -> None:
    place = {"path": "/nowhere/at/all"} if kind in {"v4l2", "video_file"} else {}
    camera = cameras.create(kind, lores_size=LORES, **place)
    camera.close()
