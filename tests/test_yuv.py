"""Planes, colours and the small picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam.yuv import (
    blank,
    even,
    i420_from_planes,
    i420_to_rgb,
    lores_from_i420,
    planes,
    rgb_to_i420,
    shrink,
)

sizes = st.tuples(st.integers(1, 60), st.integers(1, 60)).map(lambda size: (size[0] * 2, size[1] * 2))
channels = st.integers(0, 255)
#: Luma weights of red and blue.
STANDARDS = {"BT.601": (0.299, 0.114), "BT.709": (0.2126, 0.0722)}


def smooth_picture(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A soft RGB picture of any colours, without detail finer than a few pixels."""
    grid = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(grid, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def exact_rgb(image: NDArray[np.uint8], kr: float = 0.299, kb: float = 0.114) -> NDArray[np.float64]:
    """The textbook conversion of a whole I420 picture, in floating point, chroma interpolated."""
    y, u, v = (plane.astype(np.float64) for plane in planes(image))
    u, v = (np.asarray(cv2.resize(plane, (y.shape[1], y.shape[0])), np.float64) - 128 for plane in (u, v))
    luma, cb, cr = (y - 16) / 219, u / 224, v / 224
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.stack([red, green, blue], -1) * 255, 0, 255)


def test_planes_are_views_of_the_right_shape() -> None:
    image = np.zeros((9, 8), np.uint8)
    y, u, v = planes(image)
    assert (y.shape, u.shape, v.shape) == ((6, 8), (3, 4), (3, 4))
    y[...], u[...], v[...] = 1, 2, 3
    assert image.reshape(-1).tolist() == [1] * 48 + [2] * 12 + [3] * 12


def test_planes_of_a_read_only_picture_are_read_only() -> None:
    image = np.zeros((6, 4), np.uint8)
    image.flags.writeable = False
    assert not any(plane.flags.writeable for plane in planes(image))


@pytest.mark.parametrize("shape", [(4, 4), (6, 5), (6, 4, 3), (6,)])
def test_what_is_not_i420_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not a contiguous I420 picture"):
        planes(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="not a contiguous I420 picture"):
        planes(np.zeros((6, 8), np.uint8)[:, ::2])


@pytest.mark.parametrize("size", [(0, 2), (2, 0), (3, 2), (2, 5)])
def test_odd_and_empty_pictures_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="even width and height"):
        blank(size)


@given(st.tuples(channels, channels, channels), st.sampled_from([None, (4, 2), (16, 12)]))
@settings(deadline=None)
def test_a_plain_colour_survives_the_round_trip(colour: tuple[int, int, int], size: tuple[int, int] | None) -> None:
    image = rgb_to_i420(np.full((6, 8, 3), colour, np.uint8))
    back = i420_to_rgb(image, size).astype(int)
    assert np.abs(back - colour).max() <= 3


@pytest.mark.parametrize(
    ("colour", "expected"),
    [((255, 0, 0), (82, 90, 240)), ((255, 255, 255), (235, 128, 128)), ((0, 0, 0), (16, 128, 128))],
    ids=["red", "white", "black"],
)
def test_known_colours(colour: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    """As limited-range BT.601 has them."""
    y, u, v = planes(rgb_to_i420(np.full((2, 2, 3), colour, np.uint8)))
    assert (int(y[0, 0]), int(u[0, 0]), int(v[0, 0])) == expected


def test_chroma_is_the_mean_of_the_block() -> None:
    """One saturated pixel of four gives a quarter of its colour, wherever in the block it stands."""
    means = set()
    for index in range(4):
        block = np.full((2, 2, 3), 128, np.uint8)
        block[index // 2, index % 2] = (255, 0, 0)
        _, u, v = planes(rgb_to_i420(block))
        means.add((int(u[0, 0]), int(v[0, 0])))
    assert len(means) == 1


@given(
    st.integers(0, 2**32 - 1), sizes, st.tuples(st.floats(1, 7), st.floats(1, 7)), st.sampled_from(sorted(STANDARDS))
)
@settings(max_examples=60, deadline=None)
def test_the_small_picture_has_the_colours_of_the_big_one(
    seed: int, small: tuple[int, int], factors: tuple[float, float], standard: str
) -> None:
    """As if the whole picture had been converted first, in floating point, and then made small."""
    small = (small[0] + 126, small[1] + 126)
    size = even((round(small[0] * factors[0]) + 1, round(small[1] * factors[1]) + 1))
    image = rgb_to_i420(smooth_picture(seed, size) // 2 + 64)
    expected = cv2.resize(exact_rgb(image, *STANDARDS[standard]), small, interpolation=cv2.INTER_AREA)
    lores = lores_from_i420(image, small, bt709=standard == "BT.709")
    assert lores.shape == (small[1], small[0], 3)
    assert lores.dtype == np.uint8
    difference = np.abs(lores - expected)
    assert difference.mean() <= 1.5
    assert np.percentile(difference, 95) <= 3
    assert np.percentile(difference, 99) <= 5


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_fine_detail_is_averaged_not_picked(seed: int) -> None:
    """A picture of pure noise, eight times too large, becomes nearly flat."""
    noise = np.random.default_rng(seed).integers(0, 256, (256, 256), dtype=np.uint8)
    assert shrink(noise, (32, 32)).std() < 15
    assert cv2.resize(noise, (32, 32), interpolation=cv2.INTER_LINEAR).std() > 25


def test_shrink_leaves_the_right_size_alone() -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert shrink(picture, (4, 3)) is picture


@given(st.integers(2, 40), st.integers(2, 40))
@settings(deadline=None)
def test_an_odd_last_row_or_column_is_dropped(width: int, height: int) -> None:
    rgb = smooth_picture(1, (width, height))
    image = rgb_to_i420(rgb)
    kept = even((width, height))
    assert image.shape == (kept[1] * 3 // 2, kept[0])
    assert np.array_equal(image, rgb_to_i420(rgb[: kept[1], : kept[0]]))


@pytest.mark.parametrize("shape", [(1, 8, 3), (8, 1, 3), (8, 8), (8, 8, 4)])
def test_what_cannot_be_i420_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"not an RGB picture|even width and height"):
        rgb_to_i420(np.zeros(shape, np.uint8))


@given(sizes, st.integers(0, 9))
@settings(deadline=None)
def test_padded_planes_are_copied_without_their_padding(size: tuple[int, int], padding: int) -> None:
    image = rgb_to_i420(smooth_picture(3, size))
    padded = [np.pad(plane, ((0, 0), (0, padding)))[:, : plane.shape[1]] for plane in planes(image)]
    copy = i420_from_planes((padded[0], padded[1], padded[2]), size)
    assert np.array_equal(copy, image)
    assert not np.shares_memory(copy, image)


@given(sizes, sizes)
@settings(deadline=None)
def test_planes_of_another_size_are_stretched(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    image = rgb_to_i420(np.full((size[1], size[0], 3), (200, 40, 90), np.uint8))
    stretched = i420_from_planes(planes(image), wanted)
    assert stretched.shape == (wanted[1] * 3 // 2, wanted[0])
    assert [plane[0, 0] for plane in planes(stretched)] == [plane[0, 0] for plane in planes(image)]


def test_odd_planes_lose_their_last_row_and_column() -> None:
    y, u, v = (np.full(shape, value, np.uint8) for shape, value in (((5, 7), 1), ((3, 4), 2), ((3, 4), 3)))
    copy = planes(i420_from_planes((y, u, v), (6, 4)))
    assert [plane.shape for plane in copy] == [(4, 6), (2, 3), (2, 3)]
