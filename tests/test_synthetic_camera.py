"""The camera that films rendered scenes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgecam import cameras
from edgecam.cameras import synthetic
from edgecam.cameras.synthetic import SyntheticCamera
from edgecam.errors import EndOfStream, InputError
from edgecam.scenes import Scene, View
from edgecam.testing import ManualClock
from edgecam.types import Frame
from edgecam.yuv import i420_to_rgb

SMALL: dict[str, Any] = {"size": (160, 90), "lores_size": (40, 30), "fps": 10.0, "seed": 7}


def camera_with(**keywords: Any) -> SyntheticCamera:
    return SyntheticCamera(**(SMALL | {"pace": "fast", "clock": ManualClock(1000.0)} | keywords))


def frames_of(camera: SyntheticCamera, count: int) -> list[Frame]:
    with camera:
        return [frame for frame in (camera.read(1.0) for _ in range(count)) if frame]


def test_frames_show_the_scene_at_their_time() -> None:
    camera = camera_with(place="street", light="day")
    frames = frames_of(camera, 5)
    scene = Scene(7, width=160, height=90, place="street", light="day")
    for number, frame in enumerate(frames):
        view = scene.render(number / 10)
        assert frame.timestamp == pytest.approx(1000 + number / 10)
        assert np.abs(i420_to_rgb(frame.main).astype(int) - view.image).mean() < 4
        assert camera.truth(frame.sequence) == view.objects


def test_the_same_seed_films_the_same() -> None:
    one, same, other = (frames_of(camera_with(seed=seed), 2)[1].main for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_each_open_starts_the_scene_again() -> None:
    camera = camera_with()
    first, again = frames_of(camera, 3), frames_of(camera, 3)
    assert all(np.array_equal(one.main, two.main) for one, two in zip(first, again, strict=True))
    assert [frame.sequence for frame in again] == [3, 4, 5]


def test_it_ends_after_its_duration() -> None:
    with camera_with(duration=0.3) as camera:
        assert [camera.read(1.0) is not None for _ in range(3)] == [True] * 3
        with pytest.raises(EndOfStream, match=r"0\.3 s are over"):
            camera.read(1.0)


def test_the_truth_is_remembered_for_the_last_frames_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "TRUTHS", 3)
    camera = camera_with()
    frames_of(camera, 5)
    assert all(isinstance(camera.truth(sequence), tuple) for sequence in (2, 3, 4))
    for sequence in (0, 1, 5):
        with pytest.raises(LookupError, match=f"frame {sequence}: only the last 3"):
            camera.truth(sequence)


def test_where_rendering_is_slow_scene_time_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each picture takes a quarter of a second; ten a second are wanted."""
    clock = ManualClock(1000.0)
    render = Scene.render

    def slow(scene: Scene, t: float) -> View:
        clock.advance(0.25)
        return render(scene, t)

    monkeypatch.setattr(Scene, "render", slow)
    camera = camera_with(pace="realtime", clock=clock)
    frames = frames_of(camera, 5)
    assert [round(frame.timestamp - 1000, 3) for frame in frames] == [0, 0.2, 0.5, 0.7, 1.0]
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3, 4]
    assert camera.skipped == 6


def test_nothing_is_skipped_where_rendering_is_fast() -> None:
    clock = ManualClock(1000.0)
    camera = camera_with(pace="realtime", clock=clock)
    assert [round(frame.timestamp - 1000, 3) for frame in frames_of(camera, 4)] == [0, 0.1, 0.2, 0.3]
    assert clock.monotonic() == pytest.approx(1000.3)
    assert camera.skipped == 0


def test_it_is_lossless_only_where_it_can_wait() -> None:
    assert camera_with().lossless
    assert not camera_with(pace="realtime").lossless


def test_an_unknown_kind_of_camera_is_named() -> None:
    with pytest.raises(InputError, match=r"camera type 'webcam': give one of picamera2, synthetic, v4l2, video_file"):
        cameras.create("webcam")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cameras.CAMERAS, "odd", "no_such_library.cameras:Camera")
    with pytest.raises(InputError, match="camera type 'odd': needs the Python package 'no_such_library': install it"):
        cameras.create("odd")
