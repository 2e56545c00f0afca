"""Laying translucent pictures on YUV planes: right to a count, and never outside."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam.canvas import Canvas
from edgecam.plates import Colour, Paint, Plate, Sketch, even, inside, mixture, paired, rounded_box

channel = st.integers(0, 255)


def solid(colour: Colour, opacity: float, width: int = 8, height: int = 8) -> Plate:
    sketch = Sketch(width, height)
    sketch.paint(np.ones((height, width), np.float32), colour, opacity)
    return sketch.plate()


def picture(width: int, height: int, sample: int = 0) -> NDArray[np.uint8]:
    return np.full((height * 3 // 2, width), sample, np.uint8)


@given(colour=st.tuples(channel, channel, channel), opacity=st.floats(0, 1), below=channel)
def test_blending_is_right_to_a_count_and_never_wraps(colour: Colour, opacity: float, below: int) -> None:
    image = picture(8, 8, below)
    Canvas(image).lay(solid(colour, opacity), 0, 0)
    red, green, blue = (part / 255 for part in colour)
    luma = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
    chroma_blue = 128 - 37.797 * red - 74.203 * green + 112 * blue
    chroma_red = 128 + 112 * red - 93.786 * green - 18.214 * blue
    planes = image[:8], image[8:10], image[10:12]
    for plane, over in zip(planes, (luma, chroma_blue, chroma_red), strict=True):
        assert np.ptp(plane) == 0
        assert plane[0, 0] == pytest.approx(below + (over - below) * opacity, abs=1.6)


@given(sample=channel)
def test_nothing_painted_changes_nothing(sample: int) -> None:
    image = picture(8, 8, sample)
    Canvas(image).lay(Sketch(8, 8).plate(), 0, 0)
    assert (image == sample).all()


def test_an_opaque_colour_comes_out_as_opencv_has_it() -> None:
    image = picture(16, 16)
    Canvas(image).lay(solid((200, 120, 40), 1.0, 16, 16), 0, 0)
    assert cv2.cvtColor(image, cv2.COLOR_YUV2RGB_I420)[8, 8] == pytest.approx((200, 120, 40), abs=2)


@given(left=st.integers(-20, 20).map(lambda n: 2 * n), top=st.integers(-20, 20).map(lambda n: 2 * n))
def test_a_plate_covers_what_lies_inside_and_nothing_else(left: int, top: int) -> None:
    image = picture(32, 20)
    Canvas(image).lay(solid((255, 255, 255), 1.0, 12, 8), left, top)
    expected = np.zeros((20, 32), bool)
    expected[max(0, top) : max(0, top + 8), max(0, left) : max(0, left + 12)] = True
    assert np.array_equal(image[:20] == 235, expected)
    for plane in image[20:].reshape(2, 10, 16):
        assert np.array_equal(plane == 128, expected[::2, ::2])


def speckled(width: int, height: int, seed: int) -> Paint:
    """No two samples alike, so that none can take another's place."""
    shares = np.random.default_rng(seed).uniform(0, 0.5, (2, height, width)).astype(np.float32)
    return mixture(shares, ((255, 140, 20), (20, 40, 250)))


def noise(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, (height * 3 // 2, width), np.uint8)


@pytest.mark.parametrize("thick", [2, 4, 6, 8])
def test_bands_around_an_area_equal_the_four_of_them_laid_one_by_one(thick: int) -> None:
    upper, lower = speckled(30, 6, 1), speckled(30, 6, 2)
    left, right = speckled(thick, 10, 3), speckled(thick, 10, 4)
    together, one_by_one = noise(48, 40), noise(48, 40)
    canvas = Canvas(together)
    canvas.surround((4, 8, 34, 30), paired(upper, lower).plate(), paired(left, right).plate())
    assert np.array_equal(together, one_by_one)
    canvas.finish()
    for paint, at in ((upper, (4, 8)), (lower, (4, 24)), (left, (4, 14)), (right, (34 - thick, 14))):
        Canvas(one_by_one).lay(paint.plate(), *at)
    assert np.array_equal(together, one_by_one)


places = st.lists(st.tuples(st.integers(-3, 20), st.integers(-3, 14), st.integers(1, 8), st.integers(1, 6)), max_size=8)


@given(places=places)
def test_plates_added_equal_plates_laid_one_after_the_other(places: list[tuple[int, int, int, int]]) -> None:
    together, one_by_one = noise(40, 30), noise(40, 30)
    canvas = Canvas(together)
    for seed, (left, top, width, height) in enumerate(places):
        plate = speckled(2 * width, 2 * height, seed).plate()
        canvas.add(plate, 2 * left, 2 * top)
        Canvas(one_by_one).lay(plate, 2 * left, 2 * top)
    canvas.finish()
    assert np.array_equal(together, one_by_one)


@pytest.mark.parametrize("top", [-2, 0, 4, 20])
def test_a_plate_as_wide_as_the_picture_equals_its_halves(top: int) -> None:
    paint = speckled(32, 10, 1)
    whole, halves = noise(32, 20), noise(32, 20)
    Canvas(whole).lay(paint.plate(), 0, top)
    for left in (0, 16):
        Canvas(halves).lay(paint.part(slice(None), slice(left, left + 16)).plate(), left, top)
    assert np.array_equal(whole, halves)


def test_a_part_of_a_plate_is_that_part_of_its_paint() -> None:
    paint, rows, columns = speckled(12, 8, 1), slice(2, 6), slice(4, None)
    part = paint.plate().part(rows, columns)
    assert part[:2] == (4, 8)
    assert np.array_equal(part.samples, paint.part(rows, columns).plate().samples)


def test_a_picture_that_cannot_be_drawn_on_is_refused() -> None:
    image = picture(32, 32)
    with pytest.raises(ValueError, match="contiguous and writable"):
        Canvas(image[:, ::2])
    image.flags.writeable = False
    with pytest.raises(ValueError, match="contiguous and writable"):
        Canvas(image)


def test_round_corners_are_symmetric_and_smooth() -> None:
    cover = inside(rounded_box(20, 14, 5.0))
    assert np.allclose(cover, cover[::-1])
    assert np.allclose(cover, cover[:, ::-1])
    assert cover[0, 0] == 0
    assert (cover[7] == 1).all()
    assert cover.sum() == pytest.approx(20 * 14 - (4 - np.pi) * 25, rel=0.01)


@pytest.mark.parametrize(("length", "expected"), [(0.0, 2), (2.0, 2), (2.1, 4), (7, 8)])
def test_even(length: float, expected: int) -> None:
    assert even(length) == expected
