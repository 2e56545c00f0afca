"""Which cameras are attached, and by which path they are best named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecam.cameras import v4l2_found
from edgecam.cameras.v4l2_device import Identity, VideoDevice
from edgecam.cameras.v4l2_found import AttachedCamera, FormatModes, SizeRates, attached, stable_path
from edgecam.cameras.v4l2_modes import Offer, Size, Sizes

VGA, HD = (640, 480), (1280, 720)
DRIVERS = {"video0": "uvcvideo", "video1": "uvcvideo", "video2": "rp1-cfe", "video10": "vivid"}


class NodeDevice(VideoDevice):
    """Answers by the name of its node: video1 has metadata only, video10 is not allowed."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self._name = Path(path).name

    def open(self) -> None:
        if self._name == "video10":
            raise PermissionError(13, "Permission denied")

    def identity(self) -> Identity:
        return Identity(DRIVERS[self._name], "C920", "usb-1.2", self._name != "video1")

    def offers(self) -> tuple[Offer, ...]:
        return Offer("YUYV", (Sizes(VGA, VGA),)), Offer("H264", (Sizes(VGA, HD),))

    def rates(self, fourcc: str, size: Size) -> tuple[float, ...]:
        return (30.0, 15.0)


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    """A /dev with four nodes, of which the first has a link by its id, the last one by its socket."""
    for name in (*DRIVERS, "video-dec0", "media0"):
        (tmp_path / name).touch()
    for link, node in (("by-id/usb-046d_C920-video-index0", "video0"), ("by-path/platform-vivid.0", "video10")):
        (tmp_path / "v4l" / link).parent.mkdir(parents=True)
        (tmp_path / "v4l" / link).symlink_to(tmp_path / node)
    return tmp_path


def test_the_stable_path_is_preferred(dev: Path) -> None:
    assert stable_path(dev / "video0", dev) == dev / "v4l/by-id/usb-046d_C920-video-index0"
    assert stable_path(dev / "video10", dev) == dev / "v4l/by-path/platform-vivid.0"
    assert stable_path(dev / "video2", dev) == dev / "video2"


def test_cameras_are_found_with_their_modes(dev: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2_found, "VideoDevice", NodeDevice)
    modes = (
        FormatModes("yuyv", (SizeRates(VGA, (30.0, 15.0)),)),
        FormatModes("H264", (SizeRates(VGA, (30.0, 15.0)), SizeRates(HD, (30.0, 15.0)))),
    )
    by_id, by_path = str(dev / "v4l/by-id/usb-046d_C920-video-index0"), str(dev / "v4l/by-path/platform-vivid.0")
    assert attached(dev) == (
        AttachedCamera(by_id, str(dev / "video0"), "C920", "uvcvideo", "usb-1.2", modes),
        AttachedCamera(by_path, str(dev / "video10"), "video10", "", "", problem="Permission denied"),
    )


def test_what_only_looks_like_a_device_has_a_problem(tmp_path: Path) -> None:
    (tmp_path / "video7").touch()
    assert [camera.problem != "" for camera in attached(tmp_path)] == [True]


def test_no_cameras(tmp_path: Path) -> None:
    assert attached(tmp_path) == ()
