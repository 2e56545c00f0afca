"""Which mode of a camera is taken."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fake_video_device import offer

from edgecam.cameras.v4l2_modes import Mode, Offer, Size, Sizes, choose
from edgecam.errors import InputError

VGA, HD, FULL_HD = (640, 480), (1280, 720), (1920, 1080)
RAW_HD_RATE = 10.0
WEBCAM = (offer("YUYV", VGA, HD), offer("MJPG", VGA, HD, FULL_HD))
ANY_SIZE = Offer("NV12", (Sizes((32, 32), (1920, 1200), (16, 8)),))


def rates(fourcc: str, size: Size) -> Sequence[float]:
    """As a USB 2 camera has them: raw HD does not fit through the cable at 30."""
    return (RAW_HD_RATE, 5.0) if fourcc == "YUYV" and size == HD else (30.0, 15.0)


@pytest.mark.parametrize(
    ("form", "size", "fps", "mode"),
    [
        ("auto", None, None, Mode("MJPG", HD, 30.0)),
        ("auto", VGA, None, Mode("YUYV", VGA, 30.0)),
        ("auto", HD, 10.0, Mode("YUYV", HD, 10.0)),
        ("auto", HD, 8.0, Mode("YUYV", HD, 10.0)),
        ("auto", VGA, 20.0, Mode("YUYV", VGA, 30.0)),
        ("auto", HD, 60.0, Mode("MJPG", HD, 30.0)),
        ("auto", FULL_HD, None, Mode("MJPG", FULL_HD, 30.0)),
        ("yuyv", None, None, Mode("YUYV", HD, 10.0)),
        ("mjpeg", VGA, 12.0, Mode("MJPG", VGA, 15.0)),
    ],
)
def test_the_cheapest_format_that_reaches_the_rate(form: str, size: Size | None, fps: float | None, mode: Mode) -> None:
    assert choose(WEBCAM, rates, form, size, fps) == mode


def test_a_camera_that_does_not_tell_its_rates_is_asked_for_the_wanted_one() -> None:
    assert choose(WEBCAM, lambda *_: (), "auto", HD, 25.0) == Mode("YUYV", HD, 25.0)


def test_a_camera_with_large_pictures_only() -> None:
    assert choose([offer("YUYV", FULL_HD, (3840, 2160))], rates, "auto", None, None).size == FULL_HD


def test_a_range_of_sizes() -> None:
    assert choose([ANY_SIZE], rates, "auto", (800, 600), None).size == (800, 600)
    assert choose([ANY_SIZE], rates, "auto", None, None).size == HD
    with pytest.raises(InputError, match="no size 810x600: it offers nv12 32x32 to 1920x1200"):
        choose([ANY_SIZE], rates, "auto", (810, 600), None)


@pytest.mark.parametrize(
    ("offers", "form", "words"),
    [
        ((), "auto", "it offers only nothing: edgecam takes yu12, nv12, yuyv, mjpeg"),
        ((offer("H264", HD),), "auto", "it offers only H264: edgecam takes yu12, nv12, yuyv, mjpeg"),
        (WEBCAM, "nv12", "no format nv12: it offers yuyv, mjpeg"),
    ],
)
def test_what_it_has_not_is_refused_with_what_it_has(offers: tuple[Offer, ...], form: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        choose(offers, rates, form, None, None)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("limit", "size"),
    [((1280, 720), (1280, 720)), ((100, 100), (96, 96)), ((4000, 4000), (1920, 1200)), ((8, 8), None)],
)
def test_the_largest_size_within_a_limit(limit: Size, size: Size | None) -> None:
    assert ANY_SIZE.sizes[0].within(limit) == size
