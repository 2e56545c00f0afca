"""From a camera's buffers to I420: every format, padded lines, both ranges, damage."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import pytest
from fake_video_device import as_yuyv
from made_videos import SIZE, numbered_picture
from numpy.typing import NDArray

from edgecam.cameras.v4l2_device import Layout
from edgecam.cameras.v4l2_pixels import Converter, PictureDamaged
from edgecam.yuv import planes

Image = NDArray[np.uint8]
WIDTH, HEIGHT = SIZE
PADDING = 32


def layout(fourcc: str, stride: int, *, full_range: bool = False, size: tuple[int, int] = SIZE) -> Layout:
    return Layout(fourcc, size, stride, full_range, bt709=False, fps=30.0)


def padded(lines: Image, padding: int) -> Image:
    return np.pad(lines, ((0, 0), (0, padding)), constant_values=77).reshape(-1)


def picture() -> Image:
    """A picture whose lines and columns all differ."""
    image = numbered_picture(3)
    y, u, v = planes(image)
    y[...] = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) + 40
    u[...] = np.add.outer(np.arange(HEIGHT // 2), np.arange(WIDTH // 2)) + 60
    v[...] = 200 - u
    return image


def buffer_of(fourcc: str, image: Image, padding: int) -> tuple[Image, int]:
    """The picture as a driver would lay it out, and the stride in bytes."""
    y, u, v = planes(image)
    if fourcc == "YUYV":
        return padded(as_yuyv(image).reshape(HEIGHT, -1), padding), 2 * WIDTH + padding
    if fourcc == "NV12":
        chroma = np.dstack([u, v]).reshape(HEIGHT // 2, WIDTH)
        return padded(np.concatenate([y, chroma]), padding), WIDTH + padding
    return np.concatenate([padded(y, padding), padded(u, padding // 2), padded(v, padding // 2)]), WIDTH + padding


@pytest.mark.parametrize("padding", [0, PADDING])
@pytest.mark.parametrize("fourcc", ["YUYV", "NV12", "YU12"])
def test_raw_pictures_are_taken_to_the_bit(fourcc: str, padding: int) -> None:
    image = picture()
    data, stride = buffer_of(fourcc, image, padding)
    data.flags.writeable = False
    made = Converter(layout(fourcc, stride)).i420(data)
    np.testing.assert_array_equal(made, image)
    assert not np.shares_memory(made, data)


def test_chroma_of_packed_pictures_is_the_mean_of_two_lines() -> None:
    packed = np.full((HEIGHT, WIDTH, 2), 100, np.uint8)
    packed[1::2, :, 1] = 140
    _, u, v = planes(Converter(layout("YUYV", 2 * WIDTH)).i420(packed.reshape(-1)))
    assert set(np.unique(u)) | set(np.unique(v)) == {120}


def test_an_odd_last_line_is_dropped() -> None:
    packed = np.full((5, 6, 2), 90, np.uint8)
    assert Converter(layout("YUYV", 12, size=(6, 5))).i420(packed.reshape(-1)).shape == (6, 6)


def test_full_range_becomes_limited_range() -> None:
    image = numbered_picture(0)
    y, u, _ = planes(image)
    y[0, :2], u[0, :2] = (0, 255), (0, 255)
    data, stride = buffer_of("YU12", image, 0)
    limited_y, limited_u, _ = planes(Converter(layout("YU12", stride, full_range=True)).i420(data))
    assert limited_y[0, :2].tolist() == [16, 235]
    assert limited_u[0, :2].tolist() == [16, 240]


@pytest.mark.parametrize("fourcc", ["YUYV", "NV12", "YU12"])
def test_a_short_buffer_is_damaged(fourcc: str) -> None:
    data, stride = buffer_of(fourcc, picture(), 0)
    converter = Converter(layout(fourcc, stride))
    for length in (0, 1, data.size // 2, data.size - 1):
        with pytest.raises(PictureDamaged):
            converter.i420(data[:length])


def jpeg(image: Image, pix_fmt: str) -> Image:
    """A limited-range I420 picture as a JPEG, which is full range."""
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = image.shape[1], image.shape[0] * 2 // 3, pix_fmt
    encoder.time_base, encoder.options = Fraction(1, 30), {"qmin": "1", "qmax": "1"}
    encoder.qmin = encoder.qmax = 1
    frame = av.VideoFrame.from_ndarray(image, "yuv420p").reformat(
        format=pix_fmt, src_color_range="MPEG", dst_color_range="JPEG"
    )
    return np.frombuffer(bytes(encoder.encode(frame)[0]), np.uint8)


@pytest.mark.parametrize("pix_fmt", ["yuvj420p", "yuvj422p", "yuvj444p"])
def test_jpeg_of_any_subsampling(pix_fmt: str) -> None:
    image = numbered_picture(3)
    made = Converter(layout("MJPG", 0)).i420(jpeg(image, pix_fmt))
    assert cv2.PSNR(made, image) > 35
    for one, other in zip(planes(made), planes(image), strict=True):
        assert abs(float(one.mean()) - float(other.mean())) < 1.5


def test_a_broken_jpeg_is_damaged_and_the_next_one_is_not() -> None:
    data = jpeg(numbered_picture(3), "yuvj422p")
    converter = Converter(layout("MJPG", 0))
    for broken in (data[:0], data[:20], np.zeros(1000, np.uint8), jpeg(numbered_picture(3, (32, 24)), "yuvj422p")):
        with pytest.raises(PictureDamaged):
            converter.i420(broken)
    assert converter.i420(data).shape == (HEIGHT * 3 // 2, WIDTH)
