"""The Pi's camera, on a software picamera2 that is strict about requests."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picamera2_fake import Board, Sensor
from picamera2_fake.board import quadrants

from edgecam import cameras
from edgecam.cameras import csi_choice, csi_stream
from edgecam.cameras.csi_library import Library
from edgecam.cameras.picamera2 import Picamera2Camera
from edgecam.capture import CaptureWorker
from edgecam.errors import CameraError, InputError
from edgecam.ring import FrameRing
from edgecam.testing import ManualClock
from edgecam.types import Frame
from edgecam.yuv import i420_to_rgb, planes

SIZE, LORES = (160, 96), (40, 24)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


@pytest.fixture
def board(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Board:
    return Board(clock, Sensor()).install(monkeypatch)


def make(board: Board, **keys: Any) -> Picamera2Camera:
    options: dict[str, Any] = {"lores_size": LORES, "size": SIZE, "clock": board.clock} | keys
    return Picamera2Camera(**options)


def first_frame(board: Board, **keys: Any) -> Frame:
    with make(board, **keys) as camera:
        frame = camera.read(0.0)
    assert frame is not None
    return frame


def refused(board: Board, kind: type[Exception], **keys: Any) -> str:
    """What a camera that cannot be opened says; nothing of it may be left."""
    camera = make(board, **keys)
    with pytest.raises(kind) as caught:
        camera.open()
    camera.close()
    assert board.open_pipes == 0
    assert board.held == 0
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestPictures:
    @pytest.mark.parametrize("form", ["YUV420", "YVU420", "NV12"])
    @pytest.mark.parametrize("size", [(160, 96), (128, 64)], ids=["padded", "aligned"])
    def test_the_main_picture_is_the_cameras_without_its_padding(
        self, board: Board, form: str, size: tuple[int, int]
    ) -> None:
        board.sensors[0].format = form
        assert np.array_equal(first_frame(board, size=size).main, quadrants(*size))

    @pytest.mark.parametrize("platform", ["VC4", "PISP"])
    def test_the_small_picture_is_red_green_blue(self, board: Board, platform: str) -> None:
        board.platform.name = platform
        frame = first_frame(board)
        expected = i420_to_rgb(quadrants(*LORES)).astype(int)
        assert board.configured[-1]["lores"]["format"] == ("BGR888" if platform == "PISP" else "YUV420")
        assert np.abs(frame.lores[::8, ::8].astype(int) - expected[::8, ::8]).max() <= 3

    def test_a_small_picture_larger_than_the_main_one_is_made_of_that(self, board: Board) -> None:
        frame = first_frame(board, size=(64, 48), lores_size=(80, 30))
        assert board.configured[-1]["lores"] is None
        assert frame.lores.shape == (30, 80, 3)

    @pytest.mark.parametrize("flips", [True, False], ids=["sensor", "copy"])
    @pytest.mark.parametrize("platform", ["VC4", "PISP"])
    @pytest.mark.parametrize(
        ("keys", "corners"),
        [
            ({}, [[50, 100], [150, 200]]),
            ({"hflip": True}, [[100, 50], [200, 150]]),
            ({"vflip": True}, [[150, 200], [50, 100]]),
            ({"rotation": 180}, [[200, 150], [100, 50]]),
            ({"rotation": 180, "hflip": True}, [[150, 200], [50, 100]]),
            ({"rotation": 90}, [[150, 50], [200, 100]]),
            ({"rotation": 270}, [[100, 200], [50, 150]]),
            ({"rotation": 90, "hflip": True}, [[200, 100], [150, 50]]),
        ],
    )
    def test_it_is_turned(
        self, board: Board, keys: dict[str, Any], corners: list[list[int]], platform: str, *, flips: bool
    ) -> None:
        """By the sensor as far as it can, else in the copy."""
        board.platform.name = platform
        board.sensors[0].flips = flips
        frame = first_frame(board, **keys)
        turned = SIZE[::-1] if keys.get("rotation") in {90, 270} else SIZE
        assert (frame.width, frame.height) == turned
        assert frame.lores.shape == (LORES[1], LORES[0], 3)
        y = planes(frame.main)[0]
        at = ((turned[1] // 4, 3 * turned[1] // 4), (turned[0] // 4, 3 * turned[0] // 4))
        assert [[int(y[row, column]) for column in at[1]] for row in at[0]] == corners
        red, _, blue = frame.lores[LORES[1] // 4, LORES[0] // 4].astype(int)
        assert (red > blue) == (corners[0][0] in {50, 150})

    def test_pixels_outlive_their_request(self, board: Board) -> None:
        with make(board) as camera:
            frames = [frame for _ in range(10) if (frame := camera.read(0.0))]
        assert len(frames) == 10
        assert all(np.array_equal(frame.main, quadrants(*SIZE)) for frame in frames)


class TestRequests:
    def test_all_are_given_back(self, board: Board) -> None:
        camera = make(board)
        camera.open()
        assert all(camera.read(0.0) for _ in range(50))
        camera.close()
        assert board.held == 0
        assert board.open_pipes == 0

    def test_also_where_a_frame_cannot_be_read(self, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_arguments: object, **_keywords: object) -> None:
            raise RuntimeError("failed to find buffer")

        camera = make(board)
        camera.open()
        monkeypatch.setattr(sys.modules["picamera2"], "MappedArray", broken)
        with pytest.raises(CameraError, match=r"camera 0 \(imx708\): a frame cannot be read: failed to find buffer"):
            camera.read(0.0)
        camera.close()
        assert board.held == 0

    def test_no_more_are_asked_for_than_needed(self, board: Board) -> None:
        first_frame(board)
        configuration = board.configured[-1]
        assert configuration["buffer_count"] == 4
        assert configuration["raw"] is None

    def test_startup_frames_are_passed_over(self, board: Board) -> None:
        board.sensors[0].startup_frames = 6
        assert first_frame(board).sequence == 0

    def test_a_camera_that_stalls_delivers_nothing_and_comes_back(self, board: Board) -> None:
        with make(board) as camera:
            board.sensors[0].stalled = True
            assert [camera.read(0.0) is not None for _ in range(6)] == [True] * 4 + [False] * 2
        board.sensors[0].stalled = False
        with camera:
            frame = camera.read(0.0)
        assert frame is not None
        assert frame.sequence == 4

    def test_a_camera_that_fails_is_reported(self, board: Board) -> None:
        camera = make(board)
        camera.open()
        board.sensors[0].fails = "queue"
        with pytest.raises(CameraError, match=r"camera 0 \(imx708\): failed: Failed to queue request: No such device"):
            camera.read(0.0)
        camera.close()
        assert board.held == 0

    def test_reading_a_closed_camera_is_a_fault(self, board: Board) -> None:
        with pytest.raises(CameraError, match="camera 0: not open"):
            make(board).read(0.0)


class TestTime:
    def test_a_frame_is_as_old_as_its_exposure(self, board: Board, clock: ManualClock) -> None:
        with make(board) as camera:
            clock.advance(0.02)
            frame = camera.read(0.0)
        assert frame is not None
        assert frame.timestamp == pytest.approx(1000.0)

    def test_without_a_timestamp_it_is_as_old_as_its_arrival(self, board: Board, clock: ManualClock) -> None:
        board.sensors[0].stamped = False
        with make(board) as camera:
            clock.advance(0.02)
            frame = camera.read(0.0)
        assert frame is not None
        assert frame.timestamp == pytest.approx(1000.02)


class TestSettings:
    def test_what_is_set_reaches_the_camera(self, board: Board) -> None:
        keys = {"fps": 20.0, "focus": 2.0, "exposure": 0.005, "gain": 4.0, "exposure_value": -1.0}
        first_frame(board, awb=(1.8, 1.5), sensor_mode=(2304, 1296), **keys)
        modes = sys.modules["libcamera"].controls.AfModeEnum
        assert board.configured[-1]["controls"] == {
            "FrameDurationLimits": (50000, 50000),
            "ExposureTime": 5000,
            "AnalogueGain": 4.0,
            "ExposureValue": -1.0,
            "ColourGains": (1.8, 1.5),
            "AfMode": modes.Manual,
            "LensPosition": 2.0,
        }

    def test_what_is_not_set_is_left_to_the_camera(self, board: Board) -> None:
        first_frame(board)
        assert board.configured[-1]["controls"] == {"FrameDurationLimits": (33333, 33333)}

    def test_modes_by_name(self, board: Board) -> None:
        first_frame(board, focus="auto", awb="daylight")
        names = sys.modules["libcamera"].controls
        controls = board.configured[-1]["controls"]
        assert controls["AfMode"] is names.AfModeEnum.Continuous
        assert controls["AwbMode"] is names.AwbModeEnum.Daylight

    def test_a_camera_without_controls_works(self, board: Board) -> None:
        board.sensors[0].controls = {}
        first_frame(board)
        assert board.configured[-1]["controls"] == {}

    @pytest.mark.parametrize(
        ("keys", "complaint"),
        [
            ({"size": (9000, 5000)}, "size 9000x5000: it would give 4608x2592: set size = [4608, 2592]"),
            ({"sensor_mode": (1000, 1000)}, "sensor_mode 1000x1000: it has no such mode: `edgecam cameras` lists them"),
            ({"gain": 40.0}, "gain 40: allowed is 1 to 16"),
            ({"exposure": 0.5, "fps": 2.0}, "exposure 0.5: allowed is 0.0001 to 0.066666"),
            ({"focus": 50.0}, "focus 50: allowed is 0 to 15"),
        ],
    )
    def test_what_the_camera_cannot_is_refused(self, board: Board, keys: dict[str, Any], complaint: str) -> None:
        assert f"camera 0 (imx708): {complaint}" in refused(board, InputError, **keys)

    def test_an_exposure_longer_than_a_frame_is_refused(self, board: Board) -> None:
        said = refused(board, InputError, exposure=0.1)
        assert said == "exposure 0.1: longer than a frame at 30 fps: at most 0.0333, or fewer frames"

    @pytest.mark.parametrize("key", ["focus", "awb"])
    def test_what_the_camera_lacks_is_refused(self, board: Board, key: str) -> None:
        board.sensors[0].controls = {}
        setting = {"focus": "auto", "awb": "indoor"}[key]
        assert f"leave {key} out" in refused(board, InputError, **{key: setting})

    def test_a_camera_of_other_formats_is_refused(self, board: Board) -> None:
        board.sensors[0].format = "YUYV"
        assert 'gives YUYV pictures, not YUV 4:2:0: use it as type = "v4l2"' in refused(board, InputError)


class TestTrouble:
    def test_a_camera_that_is_not_there(self, board: Board) -> None:
        board.sensors.append(Sensor("/base/soc/ov5647@36", "ov5647"))
        said = refused(board, CameraError, camera=2)
        assert said.startswith("camera 2: there is no such camera, only 0 (/base/soc/i2c0mux/i2c@1/imx708@1a), 1 (")
        assert "`edgecam cameras`" in said

    def test_no_camera_at_all(self, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        board.sensors.clear()
        monkeypatch.setattr(csi_choice, "DEVICES", tmp_path)
        assert "no camera found: check the ribbon cable" in csi_choice.why_none(tmp_path)
        assert refused(board, CameraError).startswith("camera 0: no")

    def test_no_permission(self, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "media0").touch()
        monkeypatch.setattr(os, "access", lambda *_: False)
        assert csi_choice.why_none(tmp_path).startswith(f"no permission on {tmp_path}/media0: `sudo usermod -aG video")

    def test_no_permission_on_the_memory(self, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "dma_heap").mkdir()
        (tmp_path / "dma_heap" / "linux,cma").touch()
        monkeypatch.setattr(os, "access", lambda *_: False)
        library = Library(sys.modules["picamera2"], sys.modules["libcamera"])
        with pytest.raises(CameraError, match=r"camera 0 \(imx708\): no permission on .*/dma_heap/linux,cma: `sudo"):
            csi_choice.choose(library, 0, tmp_path)

    def test_a_camera_in_use(self, board: Board) -> None:
        board.sensors[0].user = "rpicam-hello"
        said = refused(board, CameraError)
        assert "camera 0 (imx708): in use by another program or another [cameras] section" in said
        assert board.sensors[0].user == "rpicam-hello"

    def test_two_pipelines_may_not_have_the_same_camera(self, board: Board) -> None:
        with make(board) as first:
            second = make(board)
            with pytest.raises(CameraError, match="in use"):
                second.open()
            assert first.read(0.0) is not None

    def test_two_pipelines_may_have_a_camera_each(self, board: Board) -> None:
        board.sensors.append(Sensor("/base/soc/ov5647@36", "ov5647"))
        with make(board) as first, make(board, camera="/base/soc/ov5647@36") as second:
            assert all(camera.read(0.0) for camera in (first, second) for _ in range(9))
        assert board.held == 0

    @pytest.mark.parametrize(
        ("fails", "complaint"),
        [
            ("init", "cannot be opened: no tuning file"),
            ("start", "cannot be started: Failed to start camera: Input/output error"),
        ],
    )
    def test_a_camera_that_cannot_be_opened_leaves_nothing_behind(
        self, board: Board, fails: str, complaint: str
    ) -> None:
        board.sensors[0].fails = fails
        assert complaint in refused(board, CameraError)
        board.sensors[0].fails = ""
        assert first_frame(board).sequence == 0

    def test_too_little_memory(self, board: Board) -> None:
        board.sensors[0].no_memory = True
        assert "no memory for its buffers (CMA): choose a smaller size" in refused(board, CameraError)

    def test_no_library(self, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "picamera2", None)
        assert "sudo apt install -y python3-picamera2" in refused(board, InputError)

    def test_a_stop_that_fails_gives_the_camera_back(self, board: Board) -> None:
        camera = make(board)
        camera.open()
        board.sensors[0].fails = "stop"
        camera.close()
        assert board.sensors[0].user is None

    def test_a_stop_that_hangs_is_left_behind(self, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(csi_stream, "CLOSE_LIMIT", 0.01)
        camera = make(board)
        camera.open()
        board.sensors[0].stop_hangs = release = threading.Event()
        camera.close()
        with pytest.raises(CameraError, match="camera 0: libcamera still hangs in its stop: restart edgecam"):
            camera.open()
        release.set()
        for thread in threading.enumerate():
            if thread.name.startswith("close-"):
                thread.join(10)
        with camera:
            assert camera.read(0.0) is not None

    def test_capture_counts_a_recovery(self, board: Board, clock: ManualClock) -> None:
        """The whole way of a pulled cable: fault, close, back-off, open, and the sequence goes on."""
        ring = FrameRing(16)
        worker = CaptureWorker(make(board), ring, clock, lambda: None)
        worker.setup()
        worker.step()
        board.sensors[0].fails = "queue"
        worker.step()
        board.sensors[0].fails = ""
        clock.advance(1.5)
        worker.step()
        worker.step()
        worker.teardown()
        assert worker.reopened == 1
        assert worker.captured == ring.newest + 1 >= 2
        assert board.held == 0


def test_the_table_knows_it(board: Board) -> None:
    assert isinstance(cameras.create("picamera2", lores_size=LORES), Picamera2Camera)
