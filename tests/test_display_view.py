"""What is on the display: one camera or all, chosen by key, drawn only where something has changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sink_stories import annotated

from edgecam.late_picture import LatePicture
from edgecam.mosaic import grid
from edgecam.sinks.display_view import LARGEST, Layout, View, mosaic_size
from edgecam.types import AnnotatedFrame
from edgecam.yuv import planes

pytestmark = pytest.mark.any_runtime

SCREEN = (640, 360)
NAMES = ("front", "back", "drive")


class Watched:
    """A frame of even luma whose picture is drawn when somebody looks; `looks` counts."""

    def __init__(self, luma: int) -> None:
        self.looks = 0
        self.luma = luma
        frame = annotated(luma).frame
        self.frame = AnnotatedFrame(frame, LatePicture(self._draw, (96, 64)), (), None)

    def _draw(self) -> NDArray[np.uint8]:
        self.looks += 1
        return np.full((96, 96), self.luma, np.uint8)


def view_of(*names: str, layout: Layout = "grid", camera: str = "") -> View:
    """With a frame for each, of luma 60, 80, …, at time 0."""
    view = View(names, layout, camera)
    for index, seat in enumerate(view.seats):
        seat.offer(Watched(60 + 20 * index).frame, 0.0)
    return view


def seen(view: View, now: float = 0.0, screen: tuple[int, int] = SCREEN) -> list[int] | None:
    """The luma in the middle of each cell, of a single picture as it is."""
    image = view.compose(now, screen)
    if image is None:
        return None
    columns, rows = grid(len(view.visible), screen)
    luma = planes(image)[0]
    high, wide = luma.shape[0] // rows, luma.shape[1] // columns
    return [
        int(luma[row * high + 2 * high // 3, column * wide + wide // 2])
        for row, column in (divmod(index, columns) for index in range(len(view.visible)))
    ]


def names(view: View) -> list[str]:
    return [seat.name for seat in view.visible]


class TestChoice:
    def test_several_begin_with_the_grid_and_one_with_itself(self) -> None:
        assert names(View(NAMES)) == list(NAMES)
        assert names(View(["front"])) == ["front"]

    @pytest.mark.parametrize(("camera", "expected"), [("", "front"), ("drive", "drive"), ("gone", "front")])
    def test_single_begins_with_the_camera_named(self, camera: str, expected: str) -> None:
        assert names(View(NAMES, "single", camera)) == [expected]

    @pytest.mark.parametrize(
        ("keys", "expected"),
        [
            ("2", "back"),
            ("3", "drive"),
            ("3 0", "*"),
            ("1 g", "*"),
            ("n", "front"),
            ("n n", "back"),
            ("right right right", "drive"),
            ("n n n n", "*"),
            ("p", "drive"),
            ("left left", "back"),
            ("2 p p", "*"),
            ("2 g n", "front"),
        ],
    )
    def test_by_key(self, keys: str, expected: str) -> None:
        view = View(NAMES)
        assert all(view.obey(key) for key in keys.split())
        assert names(view) == (list(NAMES) if expected == "*" else [expected])

    @pytest.mark.parametrize("key", ["4", "9", "q", "space", "x", ""])
    def test_other_keys_are_none_of_its_business(self, key: str) -> None:
        view = View(NAMES, "single", "back")
        assert not view.obey(key)
        assert names(view) == ["back"]

    @given(st.lists(st.sampled_from(["0", "1", "2", "g", "n", "p", "left", "right"])))
    def test_one_camera_alone_stays_on_the_screen(self, keys: list[str]) -> None:
        view = View(["front"])
        for key in keys:
            view.obey(key)
        assert names(view) == ["front"]

    def test_another_arrangement(self) -> None:
        view = View(NAMES)
        view.arrange("single", "drive")
        assert names(view) == ["drive"]
        view.arrange("grid", "")
        assert names(view) == list(NAMES)


class TestPictures:
    def test_one_camera_is_shown_by_its_own_pictures(self) -> None:
        view = View(["front"])
        frame = annotated(3)
        view.seats[0].offer(frame, 0.0)
        assert view.compose(0.0, SCREEN) is frame.image
        assert view.compose(0.0, SCREEN) is None

    def test_all_are_in_their_cells(self) -> None:
        assert seen(view_of(*NAMES)) == [60, 80, 100]

    def test_what_is_not_on_the_screen_is_not_drawn(self) -> None:
        view = view_of(*NAMES, layout="single", camera="back")
        hidden = Watched(200)
        view.seats[0].offer(hidden.frame, 0.0)
        assert seen(view) == [80]
        assert hidden.looks == 0
        view.seats[0].offer(hidden.frame, 0.0)
        assert view.compose(0.1, SCREEN) is None
        view.obey("1")
        assert seen(view) == [200]

    def test_only_the_newest_is_drawn_and_only_where_there_is_one(self) -> None:
        view = view_of(*NAMES)
        others = [Watched(130), Watched(140)]
        view.seats[1].offer(others[0].frame, 0.1)
        view.seats[2].offer(others[1].frame, 0.1)
        assert seen(view, 0.1) == [60, 130, 140]
        newer = [Watched(150), Watched(160)]
        for each in newer:
            view.seats[1].offer(each.frame, 0.2)
        assert seen(view, 0.2) == [60, 160, 140]
        assert seen(view, 0.2) is None
        assert [each.looks for each in (*others, *newer)] == [1, 1, 0, 1]

    def test_the_grid_is_drawn_into_one_picture_that_stays(self) -> None:
        view = view_of(*NAMES)
        first = view.compose(0.0, SCREEN)
        view.seats[0].offer(annotated(5), 0.1)
        assert view.compose(0.1, SCREEN) is first

    def test_a_window_of_another_size_gets_a_picture_of_its_shape(self) -> None:
        view = view_of(*NAMES)
        seen(view)
        image = view.compose(0.0, (500, 701))
        assert image is not None
        assert image.shape == (700 * 3 // 2, 500)
        assert view.compose(0.0, (500, 701)) is None

    def test_a_screen_taken_anew_shows_all_again(self) -> None:
        view = view_of(*NAMES)
        assert seen(view) == [60, 80, 100]
        view.forget()
        assert seen(view) == [60, 80, 100]

    def test_the_grid_after_one_camera_has_all_its_cells(self) -> None:
        view = view_of(*NAMES)
        for key, expected in (("0", [60, 80, 100]), ("2", [80]), ("g", [60, 80, 100])):
            view.obey(key)
            assert seen(view) == expected

    @given(st.integers(1, 8192), st.integers(1, 8192))
    def test_it_has_the_shape_of_the_screen_and_is_not_large(self, width: int, height: int) -> None:
        wide, high = mosaic_size((width, height))
        assert wide % 2 == high % 2 == 0
        if min(wide, high) > 256:
            assert wide * high <= LARGEST * 1.01
            assert wide / high == pytest.approx(width / height, rel=0.02)


class TestSilence:
    @pytest.mark.parametrize(
        ("silence", "note"),
        [
            (5.0, ""),
            (6.0, "no picture for 6 s"),
            (119.0, "no picture for 119 s"),
            (120.0, "no picture for 2 min"),
            (7000.0, "no picture for 117 min"),
            (7200.0, "no picture for 2 h"),
            (1e6, "no picture for 278 h"),
        ],
    )
    def test_is_said_in_words(self, silence: float, note: str) -> None:
        assert view_of("front").seats[0].note(silence) == note

    def test_a_camera_that_never_had_a_picture(self) -> None:
        view = View(NAMES)
        assert [seat.note(100.0) for seat in view.seats] == ["no picture yet"] * 3
        assert seen(view) == [16, 16, 16]

    def test_a_slow_camera_may_take_three_of_its_intervals(self) -> None:
        (seat,) = View(["front"]).seats
        for at in (0.0, 10.0):
            seat.offer(annotated(0), at)
        assert seat.note(40.0) == ""
        assert seat.note(40.5) == "no picture for 30 s"

    def test_after_an_outage_the_camera_is_not_taken_for_a_slow_one(self) -> None:
        (seat,) = View(["front"]).seats
        for at in (0.0, 0.1, 1000.0, 1000.1):
            seat.offer(annotated(0), at)
        assert seat.note(1006.0) == "no picture for 6 s"

    def test_its_last_picture_is_dimmed_the_others_are_as_bright(self) -> None:
        view = view_of(*NAMES)
        seen(view)
        view.seats[0].offer(Watched(60).frame, 9.0)
        view.seats[2].offer(Watched(100).frame, 9.0)
        assert seen(view, 9.0) == [60, 38, 100]
        assert seen(view, 9.2) is None
        view.seats[1].offer(Watched(90).frame, 9.3)
        assert seen(view, 9.3) == [60, 90, 100]

    def test_one_camera_alone_is_dimmed_too_and_back(self) -> None:
        view = view_of("front")
        assert seen(view) == [60]
        assert seen(view, 9.0) == [31]
        frame = annotated(1)
        view.seats[0].offer(frame, 9.1)
        assert view.compose(9.1, SCREEN) is frame.image


class TestCounts:
    def shown(self, view: View) -> list[int]:
        return [seat.shown for seat in view.seats]

    def test_a_frame_is_counted_once_and_only_where_it_was_seen(self) -> None:
        view = view_of(*NAMES)
        seen(view)
        view.count_shown()
        view.seats[0].offer(annotated(1), 0.1)
        seen(view, 0.1)
        view.count_shown()
        assert self.shown(view) == [2, 1, 1]
        view.obey("2")
        view.seats[0].offer(annotated(2), 0.2)
        seen(view, 0.2)
        view.count_shown()
        assert self.shown(view) == [2, 1, 1]
        assert seen(view, 9.0) is not None
        view.count_shown()
        assert self.shown(view) == [2, 1, 1]
        assert [seat.written for seat in view.seats] == [3, 1, 1]
