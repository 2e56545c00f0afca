"""A masked camera is its camera, but for what nobody may see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made_videos import make_video

from edgecam import cameras
from edgecam.cameras.masked import MaskedCamera
from edgecam.config.cameras import SyntheticConfig
from edgecam.errors import CameraError, EndOfStream
from edgecam.ports import Camera
from edgecam.testing import ManualClock, ScriptedCamera, make_frame
from edgecam.types import Frame
from edgecam.yuv import planes

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
LORES = (32, 24)


def only_frame(camera: Camera) -> Frame:
    camera.open()
    frame = camera.read(1.0)
    assert frame is not None
    return frame


def assert_left_is_black(frame: Frame) -> None:
    y, u, v = planes(frame.main)
    half = frame.width // 2
    assert (y[:, :half] == 16).all()
    assert (u[:, : half // 2] == 128).all()
    assert (v[:, : half // 2] == 128).all()
    assert not frame.lores[:, : frame.lores.shape[1] // 2].any()
    assert not frame.main.flags.writeable
    assert not frame.lores.flags.writeable


def test_what_the_mask_covers_is_black_in_both_pictures() -> None:
    frame = only_frame(MaskedCamera(ScriptedCamera([make_frame(0)]), [LEFT]))
    assert_left_is_black(frame)
    assert (frame.main[:48, 32:] == 128).all()
    assert (frame.lores[:, 17:] == 128).all()


def test_all_frames_of_a_video_are_masked(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", codec="libx264", pix_fmt="yuv420p")
    camera = cameras.create(
        "video_file", path=str(video), pace="fast", lores_size=LORES, clock=ManualClock(), privacy_masks=[LEFT]
    )
    assert camera.lossless
    seen = list(played(camera))
    assert len(seen) > 3
    for frame in seen:
        assert_left_is_black(frame)


def played(camera: Camera) -> Iterator[Frame]:
    with camera:
        while True:
            try:
                frame = camera.read(1.0)
            except EndOfStream:
                return
            if frame is not None:
                yield frame


def test_masks_come_from_the_configuration() -> None:
    options = SyntheticConfig.model_validate({"type": "synthetic", "size": [64, 48], "privacy_masks": [LEFT]})
    camera = cameras.create(options.type, **options.options(), lores_size=LORES, clock=ManualClock())
    assert_left_is_black(only_frame(camera))


def test_without_masks_the_camera_is_itself() -> None:
    options = SyntheticConfig(type="synthetic")
    assert not isinstance(cameras.create("synthetic", **options.options(), lores_size=LORES), MaskedCamera)


def test_the_mask_fits_itself_to_a_stream_that_changes_its_size() -> None:
    camera = MaskedCamera(ScriptedCamera([make_frame(0), make_frame(1, size=(96, 32)), make_frame(2)]), [LEFT])
    camera.open()
    seen = [camera.read(1.0) for _ in range(3)]
    assert [frame.width for frame in seen if frame] == [64, 96, 64]
    for frame in seen:
        assert frame is not None
        assert_left_is_black(frame)


@pytest.mark.parametrize("shared", ["read-only", "foreign"])
def test_pictures_that_are_not_the_frames_own_are_left_alone(shared: str) -> None:
    """A view of another's picture, or memory that NumPy does not hold, is not written to."""
    whole = np.full((72, 64), 128, np.uint8)
    if shared == "read-only":
        whole.flags.writeable = False
        main = whole[:]
    else:
        main = np.frombuffer(bytearray(whole.tobytes()), np.uint8).reshape(72, 64)
    frame = Frame(0, 0.0, main, np.full((24, 32, 3), 128, np.uint8))

    class Sharing(ScriptedCamera):
        """Hands out this very frame."""

        def read(self, timeout: float) -> Frame | None:
            return frame

    assert_left_is_black(only_frame(MaskedCamera(Sharing([]), [LEFT])))
    assert (main == 128).all()


def test_the_cameras_errors_and_silences_pass_through() -> None:
    camera = MaskedCamera(ScriptedCamera([None, CameraError("gone")]), [LEFT])
    camera.open()
    assert camera.read(0.1) is None
    with pytest.raises(CameraError):
        camera.read(0.1)
    with pytest.raises(EndOfStream):
        camera.read(0.1)
