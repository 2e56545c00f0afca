"""Several pictures in one: each in its own cell, whole, named, and dimmed where it is out of date."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam.mosaic import DIMMED, Mosaic, Place, caption, grid, letterbox
from edgecam.yuv import blank, planes, shrink

pytestmark = pytest.mark.any_runtime

Image = NDArray[np.uint8]
HD = (1280, 720)
even = st.integers(1, 400).map(lambda half: 2 * half)
sizes = st.tuples(even, even)


def plain(size: tuple[int, int], luma: int, chroma: int = 90) -> Image:
    image = blank(size)
    for plane, value in zip(planes(image), (luma, chroma, 255 - chroma), strict=True):
        plane[...] = value
    return image


def noise(size: tuple[int, int] = HD, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(60, 200, (size[1] * 3 // 2, size[0]), np.uint8)


def cell_of(mosaic: Mosaic, index: int, count: int) -> tuple[Image, ...]:
    """The planes of a cell."""
    size = mosaic.image.shape[1], mosaic.image.shape[0] // 3 * 2
    columns, rows = grid(count, size)
    row, column = divmod(index, columns)
    xs, ys = ([length * part // parts // 2 * 2 for part in (at, at + 1)] for length, parts, at in
              ((size[0], columns, column), (size[1], rows, row)))  # fmt: skip
    y, u, v = planes(mosaic.image)
    half = np.s_[ys[0] // 2 : ys[1] // 2, xs[0] // 2 : xs[1] // 2]
    return y[ys[0] : ys[1], xs[0] : xs[1]], u[half], v[half]


class TestGrid:
    @pytest.mark.parametrize(
        ("count", "expected"),
        [(1, (1, 1)), (2, (2, 1)), (3, (2, 2)), (4, (2, 2)), (5, (3, 2)), (6, (3, 2)), (7, (3, 3)), (9, (3, 3)),
         (10, (4, 3)), (13, (4, 4)), (16, (4, 4))],
    )  # fmt: skip
    def test_a_wide_screen(self, count: int, expected: tuple[int, int]) -> None:
        assert grid(count, (1920, 1080)) == expected

    def test_an_upright_screen_has_them_one_below_the_other(self) -> None:
        assert grid(2, (1080, 1920)) == (1, 2)

    @given(st.integers(1, 64), sizes)
    def test_there_is_room_for_all_and_no_row_is_empty(self, count: int, size: tuple[int, int]) -> None:
        columns, rows = grid(count, size)
        assert (rows - 1) * columns < count <= rows * columns


@given(sizes, sizes)
def test_a_picture_is_as_large_as_its_room_and_in_the_middle(size: tuple[int, int], room: tuple[int, int]) -> None:
    place = letterbox(size, room)
    assert all(side % 2 == 0 for side in place)
    assert 0 <= place.left <= place.left + place.width <= room[0]
    assert 0 <= place.top <= place.top + place.height <= room[1]
    assert room[0] - place.width < 2 or room[1] - place.height < 2


class TestPictures:
    @given(st.integers(1, 10), st.lists(sizes, min_size=10, max_size=10), st.tuples(even, even))
    @settings(max_examples=60, deadline=None)
    def test_each_is_in_its_own_cell(self, count: int, pictures: list[tuple[int, int]], room: tuple[int, int]) -> None:
        mosaic = Mosaic((room[0] + 160, room[1] + 160), [""] * count)
        for index in range(count):
            mosaic.put(index, plain(pictures[index], 40 + 20 * index))
        for index in range(count):
            y, u, _ = cell_of(mosaic, index, count)
            place = letterbox(pictures[index], (y.shape[1], y.shape[0]))
            inside = y[place.top : place.top + place.height, place.left : place.left + place.width]
            middle = inside[: max(1, place.height - 2), : max(1, place.width - 2)]
            if place.width > 2 and place.height > 2:
                assert set(np.unique(middle)) == {40 + 20 * index}
            y[place.top : place.top + place.height, place.left : place.left + place.width] = 16
            assert set(np.unique(y)) == {16}
            assert set(np.unique(u)) <= {90, 128}

    def test_it_is_scaled_as_the_small_pictures_are(self) -> None:
        mosaic, picture = Mosaic(HD, [""] * 9), noise()
        mosaic.put(0, picture)
        for ours, plane in zip(cell_of(mosaic, 0, 9), planes(picture), strict=True):
            assert np.array_equal(ours[:-2, :-2], shrink(plane, ours.shape[::-1])[:-2, :-2])

    def test_a_picture_of_another_size_leaves_nothing_of_the_one_before(self) -> None:
        mosaic, fresh = Mosaic(HD, ["a", "b"]), Mosaic(HD, ["a", "b"])
        mosaic.put(0, noise((640, 480)))
        mosaic.put(0, noise((320, 320), seed=1), "no picture for 9 s")
        for each in (mosaic, fresh):
            each.put(0, noise((1280, 400), seed=2))
        assert np.array_equal(mosaic.image, fresh.image)

    def test_the_same_again_looks_the_same(self) -> None:
        mosaic = Mosaic(HD, ["1  front", "2  back"])
        for note in ("", "no picture for 6 s"):
            mosaic.put(1, noise(), note)
            before = mosaic.image.copy()
            mosaic.put(1, noise(), note)
            assert np.array_equal(mosaic.image, before)

    def test_a_frame_allocates_next_to_nothing(self) -> None:
        mosaic, picture = Mosaic(HD, [f"{index}  camera" for index in range(9)]), noise()
        image = mosaic.image
        mosaic.put(4, picture)
        tracemalloc.start()
        for _ in range(5):
            mosaic.put(4, picture)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 426 * 240 / 4
        assert mosaic.image is image


class TestWords:
    def test_the_name_is_in_the_upper_left_of_the_picture(self) -> None:
        named, nameless = Mosaic(HD, ["front", ""]), Mosaic(HD, ["", ""])
        for mosaic in (named, nameless):
            mosaic.put(0, plain((640, 480), 120))
        rows, columns = np.nonzero(planes(named.image)[0] != planes(nameless.image)[0])
        top = (720 - 480) // 2
        assert top < rows.min() < rows.max() < top + 60
        assert 0 < columns.min() < columns.max() < 160

    def test_a_note_dims_the_picture_and_stands_in_its_middle(self) -> None:
        mosaic = Mosaic(HD, [""])
        mosaic.put(0, plain(HD, 200, chroma=60), "no picture for 12 s")
        y, u, v = planes(mosaic.image)
        assert y[10, 10] == pytest.approx(16 + (200 - 16) * DIMMED, abs=1)
        assert u[5, 5] == pytest.approx(128 + (60 - 128) * DIMMED, abs=1)
        assert v[5, 5] == pytest.approx(128 + (195 - 128) * DIMMED, abs=1)
        rows, columns = np.nonzero(y > 200)
        assert rows.mean() == pytest.approx(360, abs=20)
        assert columns.mean() == pytest.approx(640, abs=20)

    def test_the_note_goes_with_the_next_picture(self) -> None:
        mosaic, fresh = Mosaic(HD, ["front"]), Mosaic(HD, ["front"])
        mosaic.put(0, noise(), "no picture for 12 s")
        for each in (mosaic, fresh):
            each.put(0, noise(seed=1))
        assert np.array_equal(mosaic.image, fresh.image)

    def test_without_any_picture_it_is_black_and_says_so(self) -> None:
        mosaic = Mosaic(HD, ["front"])
        assert set(np.unique(planes(mosaic.image)[0])) == {16}
        mosaic.put(0, None, "no picture yet")
        assert planes(mosaic.image)[0].max() > 200

    @given(st.text(max_size=40), st.floats(13, 28), sizes)
    @settings(max_examples=100, deadline=None)
    def test_a_caption_is_never_larger_than_its_room(self, text: str, em: float, room: tuple[int, int]) -> None:
        plate = caption(text, em, room)
        assert plate is None or (plate.width <= room[0] and plate.height <= room[1])

    @given(st.tuples(*[st.integers(4, 400).map(lambda half: 2 * half)] * 2), sizes, st.integers(1, 12))
    @settings(max_examples=60, deadline=None)
    def test_they_stay_within_the_cell(self, room: tuple[int, int], size: tuple[int, int], count: int) -> None:
        mosaic = Mosaic(room, ["a camera with a long name"] * count)
        mosaic.put(0, plain(size, 120), "no picture for 12 s")
        for plane, black in zip(cell_of(mosaic, 0, count), (16, 128, 128), strict=True):
            plane[...] = black
        assert [len(np.unique(plane)) for plane in planes(mosaic.image)] == [1, 1, 1]


def test_a_picture_too_small_for_so_many_is_refused() -> None:
    with pytest.raises(ValueError, match="16x4 pixels: no room for 40 pictures"):
        Mosaic((16, 4), [""] * 40)


def test_there_is_a_dark_line_between_two_cells() -> None:
    mosaic = Mosaic(HD, [""] * 4)
    for index in range(4):
        mosaic.put(index, plain(HD, 200))
    luma = planes(mosaic.image)[0]
    assert set(np.flatnonzero((luma == 16).all(axis=0))) == {638, 639}
    assert set(np.flatnonzero((luma == 16).all(axis=1))) == {358, 359}


def test_the_place_is_what_letterbox_says() -> None:
    assert letterbox((640, 480), (640, 360)) == Place(80, 0, 480, 360)
