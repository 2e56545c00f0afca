"""Playing folders of pictures."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_videos import make_pictures, number_of
from playing import camera_on, play, played, times

from edgecam.yuv import planes


def test_pictures_play_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "pictures", 4)
    (folder / "notes.txt").write_text("no picture")
    with camera_on(folder) as camera:
        assert (camera.duration, camera.frames_estimate, camera.source_fps) == (4.0, 4, 1.0)
    frames = played(folder)
    assert [number_of(frame.main) for frame in frames] == [0, 1, 2, 3]
    assert times(frames) == [0, 1, 2, 3]
    assert times(played(folder, fps=4.0)) == [0, 0.25, 0.5, 0.75]


def test_a_broken_picture_is_counted_and_skipped(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "pictures", 4)
    os.truncate(folder / "000.png", 60)
    (folder / "002.png").write_text("no picture")
    camera = camera_on(folder)
    assert [number_of(frame.main) for frame in play(camera)] == [1, 3]
    assert camera.damaged == 2


def test_pictures_of_other_sizes_are_fitted_into_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name, (width, height) in {"a": (65, 49), "b": (32, 96), "c": (400, 20)}.items():
        cv2.imwrite(str(folder / f"{name}.png"), np.full((height, width, 3), 255, np.uint8))
    frames = played(folder)
    assert {(frame.width, frame.height) for frame in frames} == {(64, 48)}
    whole, tall, wide = (planes(frame.main)[0] > 128 for frame in frames)
    assert whole.all()
    assert tall.mean() == pytest.approx(16 * 48 / (64 * 48))
    assert tall[:, 24:40].all()
    assert wide[22:25].all()
    assert wide.any(axis=1).sum() in {3, 4}


def test_a_looped_folder(tmp_path: Path) -> None:
    frames = play(camera_on(make_pictures(tmp_path / "pictures", 3), loop=True), 7)
    assert [number_of(frame.main) for frame in frames] == [0, 1, 2, 0, 1, 2, 0]
    assert times(frames) == [0, 1, 2, 3, 4, 5, 6]
