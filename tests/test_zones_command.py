"""`edgecam zones draw`: the picture, what is said, and what is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import Edgecam, command_line
from numpy.typing import NDArray

from edgecam.commands.marked_picture import draw_marks
from edgecam.lines import Line
from edgecam.marks import Marks
from edgecam.zones import Zone

MARKED = """
[cameras.front]
type = "synthetic"
place = "street"
size = [640, 360]
masks = [[[0.0, 0.0], [1.0, 0.0], [1.0, 0.2], [0.0, 0.2]]]
[cameras.front.zones.drive]
polygon = [[0.0, 0.5], [0.5, 0.5], [0.5, 1.0], [0.0, 1.0]]
[cameras.front.lines.gate]
points = [[0.6, 0.8], [0.9, 0.8]]
[cameras.back]
type = "synthetic"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edgecam.toml"
    path.write_text(MARKED)
    return path


@pytest.fixture
def draw(capsys: pytest.CaptureFixture[str]) -> Edgecam:
    return command_line(capsys, "zones", "draw")


def read(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture, np.uint8)


def test_a_camera_is_drawn_with_its_marks(draw: Edgecam, config: Path, tmp_path: Path) -> None:
    out = tmp_path / "seen.png"
    drawn = draw("front", "-c", config, "--out", out)
    assert (drawn.code, drawn.err) == (0, "")
    assert drawn.out == f"{out}: camera front: zones drive; lines gate (in/out); masks 1\n"
    assert read(out).shape == (360, 640, 3)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".png"] == ["seen.png"]


def test_the_document(draw: Edgecam, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert draw("front", "-c", config, "--json").document == {
        "picture": "zones-front.jpg",
        "camera": "front",
        "size": [640, 360],
        "zones": ["drive"],
        "lines": [{"name": "gate", "directions": ["in", "out"]}],
        "masks": 1,
    }
    assert read(tmp_path / "zones-front.jpg").shape == (360, 640, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".avi"])
def test_marks_on_a_file(draw: Edgecam, config: Path, tmp_path: Path, suffix: str) -> None:
    file, out = tmp_path / f"view{suffix}", tmp_path / "out.png"
    grey = np.full((240, 320, 3), 128, np.uint8)
    if suffix == ".jpg":
        cv2.imwrite(str(file), grey)
    else:
        video = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
        video.write(grey)
        video.release()
    drawn = draw(file, "-c", config, "--camera", "front", "--out", out)
    assert (drawn.code, drawn.err) == (0, "")
    picture = read(out)
    assert picture.shape == (240, 320, 3)
    masked, zone, free = picture[30, 250], picture[200, 20], picture[100, 250]
    assert int(masked.max()) < 90 < int(zone.min())
    assert np.abs(free.astype(int) - 128).max() < 4
    assert np.abs(zone.astype(int) - 128).max() > 10


def test_what_is_refused(draw: Edgecam, config: Path, tmp_path: Path) -> None:
    picture = tmp_path / "view.png"
    cv2.imwrite(str(picture), np.zeros((64, 64, 3), np.uint8))
    for arguments, said in [
        (("garden",), f"edgecam: garden: neither a camera of {config}, which has front, back, nor a file\n"),
        (
            (picture,),
            f"edgecam: {picture}: say with --camera whose marks to draw: the cameras of {config} are front, back\n",
        ),
        ((picture, "--camera", "side"), f"edgecam: camera side: not in {config}: the cameras there are front, back\n"),
        (
            ("back",),
            f"edgecam: {config}: camera back has no marks: add [cameras.back.zones.NAME] with a polygon\n",
        ),
        (
            ("front", "--out", "front.gif"),
            "edgecam: front.gif: not the name of a picture: end it in .jpg, .jpeg, .png\n",
        ),
        (
            ("front", "--out", tmp_path / "no" / "front.png"),
            f"edgecam: {tmp_path}/no/front.png: cannot be written: No such file or directory\n",
        ),
    ]:
        refused = draw(*arguments, "-c", config)
        assert (refused.code, refused.out, refused.err) == (1, "", said)


def test_a_broken_configuration_is_refused(draw: Edgecam, config: Path) -> None:
    config.write_text(MARKED.replace("[0.5, 1.0], ", "").replace("[0.5, 0.5], ", ""))
    refused = draw("front", "-c", config)
    assert refused.code == 78
    assert ":8: cameras.front.zones.drive.polygon: " in refused.err


def test_names_do_not_hide_each_other_and_fit_into_any_picture() -> None:
    square = ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6))
    zones = tuple(Zone(f"zone-{number}", square, labels=("person", "car"), loitering_time=3.0) for number in range(9))
    marks = Marks(zones, (Line("l", ((0, 0), (1, 1))),), (square,), frozenset({"zone-1"}))
    for width, height in [(1920, 1080), (320, 240), (64, 48), (16, 16)]:
        image = np.zeros((height, width, 3), np.uint8)
        draw_marks(image, marks)
        assert image.any()
