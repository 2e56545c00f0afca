"""The V4L2 camera above its device: faults, words, timestamps, losses."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from fake_video_device import Socket, offer
from made_videos import FRAMES, SIZE, number_of

from edgecam.cameras import v4l2
from edgecam.cameras.v4l2 import V4l2Camera
from edgecam.cameras.v4l2_found import AttachedCamera
from edgecam.capture import CaptureWorker
from edgecam.errors import CameraError, InputError
from edgecam.ring import FrameRing
from edgecam.testing import ManualClock
from edgecam.types import Frame

PATH = "/dev/v4l/by-id/usb-fake-video-index0"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


@pytest.fixture
def socket(clock: ManualClock) -> Socket:
    return Socket(clock)


@pytest.fixture(autouse=True)
def _other_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    there = AttachedCamera("/dev/v4l/by-id/usb-other-video-index0", "/dev/video2", "Other", "uvcvideo", "usb-2")
    monkeypatch.setattr(v4l2, "attached", lambda: (there,))


def camera_on(socket: Socket, **options: Any) -> V4l2Camera:
    camera = V4l2Camera(path=PATH, lores_size=(40, 30), clock=socket.clock, **options)
    camera.device_at = socket.device_at
    return camera


@pytest.fixture
def camera(socket: Socket) -> Iterator[V4l2Camera]:
    with camera_on(socket) as camera:
        yield camera


def read(camera: V4l2Camera, count: int) -> list[Frame]:
    frames = [frame for frame in (camera.read(1.0) for _ in range(count)) if frame]
    assert len(frames) == count
    return frames


def test_pictures_are_those_of_the_device(camera: V4l2Camera) -> None:
    assert [number_of(frame.main) for frame in read(camera, FRAMES)] == list(range(FRAMES))


def test_every_buffer_goes_back_to_the_driver(camera: V4l2Camera, socket: Socket) -> None:
    socket.damaged = {2, 3}
    frames = [camera.read(1.0) for _ in range(FRAMES)]
    assert frames.count(None) == camera.damaged == 2
    assert socket.lent == 0


def test_a_frame_has_the_kernels_timestamp(socket: Socket) -> None:
    socket.stamp_offset = -0.025
    with camera_on(socket) as camera:
        for frame in read(camera, 3):
            assert frame.timestamp == pytest.approx(socket.clock.monotonic() - 0.025, abs=0.3)
        assert frame.timestamp == pytest.approx(socket.clock.monotonic() - 0.025)


@pytest.mark.parametrize("offset", [None, 3.0, -60.0, -1e6], ids=["none", "future", "old", "of another clock"])
def test_a_timestamp_that_cannot_be_is_not_believed(socket: Socket, offset: float | None) -> None:
    socket.stamp_offset = offset
    with camera_on(socket) as camera:
        assert [frame.timestamp for frame in read(camera, 1)] == [socket.clock.monotonic()]


def test_timestamps_grow_where_the_kernels_do_not(socket: Socket) -> None:
    with camera_on(socket) as camera:
        frames = read(camera, 2)
        socket.stamp_offset = -4.0
        frames += read(camera, 3)
    assert all(before.timestamp < after.timestamp for before, after in pairwise(frames))


def test_pictures_for_which_the_driver_had_no_buffer_are_counted(camera: V4l2Camera, socket: Socket) -> None:
    read(camera, 2)
    device: Any = camera._device
    device._number += 3
    read(camera, 2)
    assert camera.lost == 3


def test_a_buffer_that_is_too_short_is_damaged(camera: V4l2Camera, socket: Socket) -> None:
    socket.pictures[1] = socket.pictures[1][:-1]
    assert [frame is None for frame in (camera.read(1.0) for _ in range(3))] == [False, True, False]
    assert camera.damaged == 1


def test_a_pulled_camera_is_a_fault_and_comes_back_when_plugged_in(socket: Socket) -> None:
    camera, ring = camera_on(socket), FrameRing(8)
    worker = CaptureWorker(camera, ring, socket.clock, on_exit=lambda: None)
    worker.setup()
    worker.step()
    socket.unplug()
    worker.step()
    assert socket.open_files == 0
    socket.clock.advance(1.0)
    worker.step()
    socket.plug()
    socket.clock.advance(60.0)
    worker.step()
    worker.step()
    assert (worker.reopened, worker.captured) == (1, 3)
    assert camera.read(1.0) is not None
    worker.teardown()
    assert socket.open_files == socket.lent == 0


def test_a_camera_that_stalls_is_a_fault_for_capture(socket: Socket) -> None:
    worker = CaptureWorker(camera_on(socket), FrameRing(8), socket.clock, on_exit=lambda: None)
    worker.setup()
    worker.step()
    socket.silent = True
    for _ in range(12):
        socket.clock.advance(0.5)
        worker.step()
    socket.silent = False
    socket.clock.advance(60.0)
    worker.step()
    assert (worker.reopened, worker.captured) == (1, 2)
    worker.teardown()


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"open": errno.ENOENT}, "no such device: is the camera plugged in? (there is /dev/v4l/by-id/usb-other"),
        ({"open": errno.EACCES}, "no permission: add this user to the group video"),
        ({"open": errno.ENODEV}, "the camera is gone: is it plugged in?"),
        ({"configure": errno.EBUSY}, f"in use by another program: stop that one (`fuser -v {PATH}` names it)"),
        ({"start": errno.EBUSY}, "in use by another program"),
        ({"start": errno.ENOSPC}, "No space left on device"),
    ],
)
def test_trouble_that_may_pass_is_a_camera_error(socket: Socket, trouble: dict[str, int], words: str) -> None:
    socket.trouble = trouble
    with pytest.raises(CameraError) as caught:
        camera_on(socket).open()
    assert str(caught.value).startswith(f"{PATH}: {words}")
    assert socket.open_files == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": (1920, 1080)}, "no size 1920x1080: it offers yuyv 64x48, 32x24"),
        ({"format": "mjpeg"}, "no format mjpeg: it offers yuyv"),
    ],
)
def test_a_mode_that_it_has_not_is_the_users_mistake(socket: Socket, options: dict[str, Any], words: str) -> None:
    socket.offers = (offer("YUYV", SIZE, (32, 24)), offer("H264", (1920, 1080)))
    with pytest.raises(InputError) as caught:
        camera_on(socket, **options).open()
    assert str(caught.value) == f"{PATH}: {words}"
    assert socket.open_files == 0


def test_what_is_no_camera_is_the_users_mistake(socket: Socket) -> None:
    socket.captures = False
    with pytest.raises(InputError, match=r"not a capture device that edgecam can read \(there is") as caught:
        camera_on(socket).open()
    assert PATH in str(caught.value)
    socket.trouble = {"identity": errno.ENOTTY}
    with pytest.raises(InputError, match="not a camera"):
        camera_on(socket).open()


def test_another_camera_in_the_socket_is_no_reason_to_stop(camera: V4l2Camera, socket: Socket) -> None:
    read(camera, 1)
    socket.offers = (offer("H264", SIZE),)
    with pytest.raises(CameraError, match="it offers only H264: edgecam takes yu12, nv12, yuyv, mjpeg"):
        camera.open()


def test_a_closed_camera_says_so(socket: Socket) -> None:
    with pytest.raises(CameraError, match="not open"):
        camera_on(socket).read(0.1)
