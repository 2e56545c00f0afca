"""Still pictures: upright RGB, or one clear line."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_videos import png_header
from numpy.typing import NDArray

from edgecam.cameras.still import read_picture
from edgecam.errors import InputError

#: Red above, blue below; RGB.
FLAG = np.repeat(np.array([[[250, 10, 10]], [[10, 10, 250]]], np.uint8), 32, 0).repeat(96, 1)


def encoded(ending: str, rgb: NDArray[np.uint8] = FLAG) -> bytes:
    return cv2.imencode(ending, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that holds nothing but the orientation (tag 0x0112)."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + jpeg[2:]


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".webp", ".tiff", ".ppm"])
def test_colours_come_as_rgb(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"flag{ending}"
    path.write_bytes(encoded(ending))
    picture = read_picture(path)
    assert picture.shape == FLAG.shape
    assert picture.dtype == np.uint8
    assert np.abs(picture[8:24].mean((0, 1)) - (250, 10, 10)).max() < 8


@pytest.mark.parametrize(
    ("orientation", "red_side"), [(1, "top"), (3, "bottom"), (6, "right"), (8, "left")], ids=["0", "180", "90", "270"]
)
def test_a_turned_photograph_stands_upright(tmp_path: Path, orientation: int, red_side: str) -> None:
    path = tmp_path / "turned.jpg"
    path.write_bytes(with_orientation(encoded(".jpg"), orientation))
    red = read_picture(path)[:, :, 0]
    sides = {"top": red[0], "bottom": red[-1], "left": red[:, 0], "right": red[:, -1]}
    assert max(sides, key=lambda side: float(sides[side].mean())) == red_side


def test_grey_deep_and_transparent_pictures_become_rgb(tmp_path: Path) -> None:
    for name, shape, deep in (("grey", (4, 6), False), ("deep", (4, 6, 3), True), ("transparent", (4, 6, 4), False)):
        pixels = np.full(shape, 200 * 257 if deep else 200, np.uint16 if deep else np.uint8)
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
        picture = read_picture(tmp_path / f"{name}.png")
        assert picture.shape == (4, 6, 3)
        assert picture.dtype == np.uint8
        assert (picture == 200).all()


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("text.jpg", b"This is no picture.\n" * 50, "not a picture"),
        ("empty.png", b"", "empty file, not a picture"),
        ("cut.jpg", encoded(".jpg")[:500], "truncated or damaged picture"),
        ("cut.png", encoded(".png")[:-20], "truncated or damaged picture"),
        ("bruised.png", encoded(".png").replace(b"IDAT", b"IDAT\0", 1), "truncated or damaged picture"),
        ("head.jpg", encoded(".jpg")[:3], "truncated or damaged picture"),
        ("huge.png", png_header(20_000, 15_000), "300 megapixels: at most 200, scale it"),
        ("huge.bmp", b"BM" + bytes(16) + struct.pack("<ii", 20_000, -15_000), "300 megapixels"),
        ("huge.jpg", b"\xff\xd8\xff\xe0\0\4ab\xff\xff\xc0\0\x11\x08" + struct.pack(">HH", 15_000, 20_000), "300 mega"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_what_cannot_be_read_is_named_in_one_line(
    tmp_path: Path, name: str, content: bytes, complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as refusal:
        read_picture(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.jpg: no such file"):
        read_picture(tmp_path / "missing.jpg")
    with pytest.raises(InputError, match="not a file"):
        read_picture(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_picture(tmp_path / ("x" * 300))


@given(st.binary(max_size=60), st.sampled_from([b"", b"\xff\xd8\xff", b"BM", b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8"]))
@settings(deadline=None)
def test_noise_is_refused_not_feared(tmp_path_factory: pytest.TempPathFactory, noise: bytes, head: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.bin"
    path.write_bytes(head + noise)
    with pytest.raises(InputError, match="picture"):
        read_picture(path)


def test_real_photographs(assets: Path) -> None:
    assert all(read_picture(path).ndim == 3 for path in sorted((assets / "images" / "pets").glob("*.jpg")))
