"""Privacy masks: nothing of what they cover is left, and nothing else changes."""

from __future__ import annotations

from math import cos, floor, pi, sin

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgecam.masks import PrivacyMask, covered
from edgecam.yuv import Image, blank, i420_to_rgb, planes
from edgecam.zones import Point, Polygon, contains

SIZE, LORES = (64, 36), (32, 20)
BLACK = (16, 128, 128)

fractions = st.floats(0, 1)
triangles = st.tuples(*[st.tuples(fractions, fractions)] * 3)
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda half: (2 * half[0], 2 * half[1]))


@st.composite
def stars(draw: st.DrawFn) -> Polygon:
    """Outlines of 3 to 12 corners around a centre, with dents: simple, and seldom convex."""
    corners = draw(st.integers(3, 12))
    x, y = draw(fractions), draw(fractions)
    reach = [draw(st.floats(0.05, 0.6)) for _ in range(corners)]
    outline = [
        (x + far * cos(2 * pi * at / corners), y + far * sin(2 * pi * at / corners)) for at, far in enumerate(reach)
    ]
    return tuple((min(1.0, max(0.0, px)), min(1.0, max(0.0, py))) for px, py in outline)


polygons = triangles | stars()


def pictures(size: tuple[int, int] = SIZE, lores: tuple[int, int] = LORES) -> tuple[Image, Image]:
    """A main and a small picture in which nothing is black, in any plane."""
    random = np.random.default_rng(1)
    main = blank(size)
    main[...] = random.integers(130, 255, main.shape, np.uint8)
    return main, random.integers(1, 255, (lores[1], lores[0], 3), np.uint8)


def distance(polygon: Polygon, point: Point) -> float:
    """From a point outside to the polygon, in the units of both."""
    if contains(polygon, point):
        return 0.0
    here = np.array(point)
    nearest = []
    for one, other in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        start, along = np.array(one), np.array(other) - np.array(one)
        length = float(along @ along)
        part = min(1.0, max(0.0, float((here - start) @ along) / length)) if length > 0 else 0.0
        nearest.append(float(np.linalg.norm(start + part * along - here)))
    return min(nearest)


def in_pixels(polygon: Polygon, size: tuple[int, int]) -> Polygon:
    return tuple((x * size[0], y * size[1]) for x, y in polygon)


@settings(max_examples=300, deadline=None)
@given(polygons, sizes, st.integers(0, 2**32))
@example(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)), (2, 2), 0)
def test_every_pixel_with_a_point_of_the_polygon_is_covered(polygon: Polygon, size: tuple[int, int], seed: int) -> None:
    picture = covered(polygon, size)
    for x, y in np.random.default_rng(seed).random((60, 2)):
        around = [(x + dx, y + dy) for dx in (-1e-9, 1e-9) for dy in (-1e-9, 1e-9)]
        if all(contains(polygon, each) for each in around):
            assert picture[floor(y * size[1]), floor(x * size[0])]


@settings(max_examples=200, deadline=None)
@given(polygons, sizes)
def test_no_pixel_beside_the_polygon_is_covered(polygon: Polygon, size: tuple[int, int]) -> None:
    rows, columns = np.nonzero(covered(polygon, size))
    outline = in_pixels(polygon, size)
    half_diagonal = 0.5**0.5 + 1e-6
    for row, column in list(zip(rows, columns, strict=True))[:: max(1, len(rows) // 100)]:
        assert distance(outline, (column + 0.5, row + 0.5)) <= half_diagonal


@settings(max_examples=150, deadline=None)
@given(st.lists(polygons, max_size=3), sizes, sizes)
def test_all_inside_is_black_and_nothing_outside_changes(
    outlines: list[Polygon], size: tuple[int, int], lores_size: tuple[int, int]
) -> None:
    main, lores = pictures(size, lores_size)
    before, small_before = main.copy(), lores.copy()
    PrivacyMask(outlines, size, lores_size).blacken(main, lores)
    hidden = np.zeros(size[::-1], np.bool_)
    for outline in outlines:
        hidden |= covered(outline, size)
    assert (main[: size[1]][hidden] == BLACK[0]).all()
    assert (main[: size[1]] == before[: size[1]])[~hidden].all()
    for plane, old, black in zip(planes(main)[1:], planes(before)[1:], BLACK[1:], strict=True):
        blocks = hidden.reshape(size[1] // 2, 2, size[0] // 2, 2)
        touched = blocks.any(axis=(1, 3))
        assert (plane[touched] == black).all()
        assert (plane == old)[~touched].all()
    small = np.zeros(lores_size[::-1], np.bool_)
    for outline in outlines:
        small |= covered(outline, lores_size)
    assert (lores[small] == 0).all()
    rows, columns = np.nonzero((lores != small_before).any(axis=2))
    padded = np.pad(small, 1)
    around = [padded[row : row + 3, column : column + 3].any() for row, column in zip(rows, columns, strict=True)]
    assert all(around), "at most one pixel more"


def test_black_is_black_in_rgb_too() -> None:
    main, lores = pictures()
    PrivacyMask([((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))], SIZE, LORES).blacken(main, lores)
    inside = i420_to_rgb(main)[10:26, 18:46]
    assert not inside.any()
    assert not lores[6:14, 9:23].any()


def test_a_rectangle_on_the_pixels_own_lines_covers_exactly_them() -> None:
    rectangle = ((0.25, 0.5), (0.75, 0.5), (0.75, 1.0), (0.25, 1.0))
    expected = np.zeros((8, 8), np.bool_)
    expected[4:, 2:6] = True
    assert np.array_equal(covered(rectangle, (8, 8)), expected)


@pytest.mark.parametrize("dent", [0.2, 0.5, 0.9])
def test_the_dent_of_a_polygon_stays_visible(dent: float) -> None:
    polygon = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, dent), (0.0, 1.0))
    picture = covered(polygon, (40, 40))
    assert not picture[39, 20]
    assert picture[int(dent * 40) - 1, 20]


def test_what_is_thinner_than_a_pixel_is_covered_all_the_same() -> None:
    sliver = ((0.1, 0.501), (0.9, 0.502), (0.9, 0.503))
    picture = covered(sliver, SIZE)
    assert picture[18, 7:57].all()
    assert picture.sum() == picture[18].sum()


def test_masks_that_overlap_and_masks_that_are_far_apart_are_all_applied() -> None:
    main, lores = pictures()
    corner = ((0.0, 0.0), (0.2, 0.0), (0.2, 0.2), (0.0, 0.2))
    middle = ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.1, 0.5))
    far = ((0.9, 0.9), (1.0, 0.9), (1.0, 1.0), (0.9, 1.0))
    PrivacyMask([corner, middle, far], SIZE, LORES).blacken(main, lores)
    assert main[0, 0] == main[10, 20] == main[35, 63] == 16
    assert main[20, 40] > 16
