"""Where videos come from, and whether files are all there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from made_videos import make_video

from edgecam.cameras.place import Place, find, is_live, lacks_index, missing_part, shown


@pytest.mark.parametrize(
    ("path", "live"),
    [
        ("rtsp://camera/1", True),
        ("HTTP://camera/mjpeg", True),
        ("/dev/video0", True),
        ("clips/a.mp4", False),
        ("file:///clips/a.mp4", False),
        ("C:/a.mp4", False),
        ("odd:name.mp4", False),
    ],
)
def test_devices_and_urls_set_their_own_pace(path: str, live: bool) -> None:  # noqa: FBT001
    assert is_live(path) == live


def test_what_a_path_leads_to(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert find(str(tmp_path)) is Place.FOLDER
    assert find(str(tmp_path / "a")) is Place.FILE
    assert find(f"file://{tmp_path}/a") is Place.FILE
    assert find("rtsp://camera/1") is Place.URL


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("rtsp://user:pass@camera/1", "rtsp://user:***@camera/1"),
        ("rtsp://user:p@ss:w@camera/1", "rtsp://user:***@camera/1"),
        ("rtsp://user@camera/1", "rtsp://user@camera/1"),
        ("rtsp://camera:554/a@b", "rtsp://camera:554/a@b"),
        ("clips/a:b@c.mp4", "clips/a:b@c.mp4"),
    ],
)
def test_a_password_is_never_shown(path: str, text: str) -> None:
    assert shown(path) == text


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.avi", "mpeg4", {}), ("a.mkv", "mpeg4", {}), ("a.mp4", "mpeg4", {}), ("a.ts", "mpeg2video", {})],
)
def test_the_missing_part_is_measured(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    path = make_video(tmp_path / name, codec=codec)
    assert missing_part(path) == 0
    os.truncate(path, path.stat().st_size * 3 // 4)
    assert missing_part(path) == pytest.approx(0 if name == "a.ts" else 0.25, abs=0.01)


def test_an_mp4_without_its_index(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    assert not lacks_index(path)
    os.truncate(path, path.stat().st_size * 3 // 10)
    assert lacks_index(path)
    for content in (b"", b"RIFF", b"\0\0\0\4ftyp", b"hello world, hello world"):
        path.write_bytes(content)
        missing_part(path)
        assert lacks_index(path) is False
