"""Laying translucent pictures on YUV planes: right to a count, and never outside."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam.plates import Canvas, Colour, Plate, Sketch, even, inside, rounded_box

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


@pytest.mark.parametrize("height", [20, 22])
def test_spread_tiles_equal_the_tiles_laid_one_by_one(height: int) -> None:
    sketch = Sketch(16, 12)
    sketch.paint(inside(rounded_box(16, 12, 4.0, 1.0)), (255, 140, 20), 0.8)
    plate = sketch.plate()
    spread, laid = picture(32, height, 90), picture(32, height, 90)
    Canvas(spread).spread(plate.tiles(2, 2), (2, 4), (14, 8), (8, 6))
    for row in (0, 1):
        for column in (0, 1):
            quarter = Plate(
                plate.keep[6 * row : 6 * row + 6, 8 * column : 8 * column + 8],
                plate.luma[6 * row : 6 * row + 6, 8 * column : 8 * column + 8],
                plate.chroma_keep[3 * row : 3 * row + 3, 4 * column : 4 * column + 4],
                plate.chroma[:, 3 * row : 3 * row + 3, 4 * column : 4 * column + 4],
            )
            Canvas(laid).lay(quarter, 2 + 14 * column, 4 + 8 * row)
    assert np.array_equal(spread, laid)


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
