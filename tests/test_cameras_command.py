"""`edgecam cameras`: what is listed, and what is said where nothing is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from picamera2_fake import Board, Sensor

from edgecam import cli
from edgecam.cameras import csi_choice, csi_listing, v4l2_found
from edgecam.cameras.csi_listing import CsiCamera, Listing, SensorMode
from edgecam.cameras.v4l2_found import AttachedCamera, FormatModes, SizeRates
from edgecam.testing import ManualClock

BOARD = Listing((CsiCamera(0, "/base/imx708@1a", "imx708", (SensorMode("SRGGB10", (2304, 1296), 56.03),)),))
WEBCAM = AttachedCamera(
    "/dev/v4l/by-id/usb-cam", "/dev/video0", "C920", "uvcvideo", "usb-1",
    (FormatModes("yuyv", (SizeRates((640, 480), (30.0, 15.0)),)),),
)  # fmt: skip


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    return Board(ManualClock(), Sensor()).install(monkeypatch)


def listed(monkeypatch: pytest.MonkeyPatch, csi: Listing, usb: tuple[AttachedCamera, ...], *arguments: str) -> None:
    monkeypatch.setattr(csi_listing, "attached", lambda: csi)
    monkeypatch.setattr(v4l2_found, "attached", lambda: usb)
    assert cli.main(["cameras", *arguments]) == 0


def test_a_table_of_all(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    listed(monkeypatch, BOARD, (WEBCAM,))
    assert [line.split() for line in capfd.readouterr().out.splitlines()] == [
        ["TYPE", "CAMERA", "NAME", "FORMAT", "SIZE", "FPS"],
        ["picamera2", "0", "imx708", "SRGGB10", "2304x1296", "56.03"],
        ["/base/imx708@1a"],
        ["v4l2", "/dev/v4l/by-id/usb-cam", "C920", "yuyv", "640x480", "30", "15"],
    ]


def test_one_json_document(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    listed(monkeypatch, BOARD, (WEBCAM,), "--json")
    document = json.loads(capfd.readouterr().out)
    assert document["picamera2"]["cameras"][0]["modes"] == [{"format": "SRGGB10", "size": [2304, 1296], "fps": 56.03}]
    assert document["v4l2"]["cameras"][0]["path"] == "/dev/v4l/by-id/usb-cam"


def test_nothing_is_said_plainly(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    listed(monkeypatch, Listing(problem="picamera2 is missing"), ())
    assert capfd.readouterr().out == "no camera found\npicamera2 is missing\n"


def test_a_camera_in_use_is_listed_without_modes(board: Board) -> None:
    board.sensors[0].user = "somebody"
    (camera,) = csi_listing.ask().cameras
    assert camera.modes == ()
    assert "in use" in camera.problem


def test_modes_are_asked_of_the_camera_and_it_is_given_back(board: Board) -> None:
    (camera,) = csi_listing.ask().cameras
    assert camera.modes[0] == SensorMode("SRGGB10_CSI2P", (1536, 864), 30.0)
    assert camera.problem == ""
    assert board.open_pipes == 0


def test_no_camera_and_no_library(board: Board, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    board.sensors.clear()
    monkeypatch.setattr(csi_choice, "DEVICES", tmp_path)
    assert csi_listing.ask().problem != ""
    monkeypatch.setitem(sys.modules, "libcamera", None)
    assert "'libcamera' is missing" in csi_listing.ask().problem


class TestTheProcess:
    def test_its_answer_is_understood(self) -> None:
        """Whatever this machine has: with or without the library, the answer comes from another process."""
        assert csi_listing.attached() == csi_listing.ask()

    @pytest.mark.parametrize(
        ("fails", "problem"),
        [
            (
                subprocess.CompletedProcess([], -11, b"", b"lines\nSegfault"),
                "failed while it was asked (exit -11): Seg",
            ),
            (subprocess.TimeoutExpired("python", 60.0), "could not be asked: Command 'python' timed out after 60.0 s"),
        ],
    )
    def test_its_death_is_told(self, monkeypatch: pytest.MonkeyPatch, fails: Any, problem: str) -> None:
        def run(*_arguments: object, **_keywords: object) -> Any:
            if isinstance(fails, Exception):
                raise fails
            return fails

        monkeypatch.setattr(subprocess, "run", run)
        assert f"libcamera {problem}" in csi_listing.attached().problem
