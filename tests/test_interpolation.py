"""Boxes between two analyses: exact at both ends, on the way in between, and never where nothing can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.interpolation import shown, tracks_at
from edgecam.types import Analysis, BBox, Track

STILL = BBox(0, 0, 0, 0)
LEFT, RIGHT = BBox(0.1, 0.4, 0.2, 0.6), BBox(0.3, 0.4, 0.5, 0.6)
TO_THE_RIGHT = BBox(0.2, 0, 0.2, 0)


def track(
    number: int = 1, box: BBox = LEFT, *, misses: int = 0, velocity: BBox = STILL, confirmed: bool = True
) -> Track:
    return Track(number, "dog", 0.9, box, 5, misses, velocity, confirmed, predicted=misses > 0)


def analysis(timestamp: float, *tracks: Track) -> Analysis:
    return Analysis(int(timestamp * 30), timestamp, tracks=tracks)


def only(tracks: tuple[Track, ...]) -> Track:
    assert len(tracks) == 1, tracks
    return tracks[0]


@pytest.mark.parametrize(
    ("thing", "is_shown"),
    [
        (track(), True),
        (track(misses=2), True),
        (track(misses=3), False),
        (track(confirmed=False), False),
    ],
)
def test_what_is_worth_showing(thing: Track, *, is_shown: bool) -> None:
    assert shown(thing) is is_shown
    assert tracks_at(1.0, None, analysis(1.0, thing)) == ((thing,) if is_shown else ())


def test_nothing_known_nothing_shown() -> None:
    assert tracks_at(1.0, None, None) == ()


def test_a_track_in_both_moves_on_a_straight_line() -> None:
    before, after = analysis(1.0, track(box=LEFT)), analysis(1.2, track(box=RIGHT))
    assert only(tracks_at(1.05, before, after)).bbox == pytest.approx((0.15, 0.4, 0.275, 0.6))
    assert not only(tracks_at(1.15, before, after)).predicted


def test_a_miss_between_two_hits_is_a_guess_around_the_miss_only() -> None:
    hit, miss = analysis(1.0, track()), analysis(1.1, track(box=RIGHT, misses=1))
    assert [only(tracks_at(t, hit, miss)).predicted for t in (1.0, 1.04, 1.06, 1.1)] == [False, False, True, True]


def test_who_is_believed_later_is_shown_on_the_way_there() -> None:
    before, after = analysis(1.0, track(confirmed=False)), analysis(1.1, track(box=RIGHT))
    assert tracks_at(1.0, before, after) == ()
    assert only(tracks_at(1.02, before, after)).confirmed


def test_who_is_found_again_is_shown_on_the_way_there() -> None:
    before, after = analysis(1.0, track(misses=7)), analysis(1.1, track(box=RIGHT))
    assert only(tracks_at(1.05, before, after)).bbox.xmin == pytest.approx(0.2)


def test_who_is_not_shown_at_either_end_is_not_shown_between() -> None:
    assert tracks_at(1.05, analysis(1.0, track(misses=3)), analysis(1.1, track(misses=4))) == ()


def test_who_ended_goes_on_until_half_way() -> None:
    before, after = analysis(1.0, track(velocity=TO_THE_RIGHT)), analysis(1.2)
    halfway = only(tracks_at(1.09, before, after))
    assert halfway.bbox.xmin == pytest.approx(0.118)
    assert halfway.predicted
    assert tracks_at(1.1, before, after) == ()


def test_who_began_comes_from_where_it_was_half_way() -> None:
    before, after = analysis(1.0), analysis(1.2, track(velocity=TO_THE_RIGHT))
    assert tracks_at(1.09, before, after) == ()
    assert only(tracks_at(1.15, before, after)).bbox.xmin == pytest.approx(0.09)


def test_who_is_in_one_only_is_shown_no_more_than_a_moment_beyond() -> None:
    ended, began = analysis(1.0, track(1)), analysis(3.0, track(2))
    assert [tuple(t.track_id for t in tracks_at(at, ended, began)) for at in (1.2, 1.3, 2.7, 2.8)] == [
        (1,), (), (), (2,),
    ]  # fmt: skip


def test_without_the_later_analysis_boxes_are_predicted_for_half_a_second() -> None:
    before = analysis(1.0, track(velocity=TO_THE_RIGHT))
    ahead = only(tracks_at(1.5, before, None))
    assert ahead.bbox == pytest.approx((0.2, 0.4, 0.3, 0.6))
    assert ahead.predicted
    assert tracks_at(1.51, before, None) == ()


def test_predictions_end_at_the_edge_of_the_frame() -> None:
    leaving = track(box=BBox(0.9, 0.4, 1.0, 0.6), velocity=BBox(0.5, 0, 0.5, 0))
    before = analysis(1.0, leaving)
    assert only(tracks_at(1.1, before, None)).bbox == pytest.approx((0.95, 0.4, 1.0, 0.6))
    assert tracks_at(1.3, before, None) == ()


def test_two_analyses_of_the_same_moment() -> None:
    assert only(tracks_at(1.0, analysis(1.0, track(box=LEFT)), analysis(1.0, track(box=RIGHT)))).bbox == RIGHT
    assert only(tracks_at(1.1, analysis(1.0, track(box=LEFT)), analysis(1.0, track(box=RIGHT)))).bbox == RIGHT


edges = st.floats(0, 0.9)
sides = st.floats(0.02, 0.4)
boxes = st.builds(lambda x, y, w, h: BBox(x, y, min(1, x + w), min(1, y + h)), edges, edges, sides, sides)
speeds = st.builds(lambda vx, vy: BBox(vx, vy, vx, vy), st.floats(-1, 1), st.floats(-1, 1))


@st.composite
def analyses(draw: st.DrawFn, timestamp: float) -> Analysis:
    numbers = draw(st.sets(st.integers(1, 6)))
    return analysis(
        timestamp,
        *(
            track(n, draw(boxes), misses=draw(st.integers(0, 4)), velocity=draw(speeds), confirmed=draw(st.booleans()))
            for n in sorted(numbers)
        ),
    )


@given(analyses(1.0), analyses(1.4), st.floats(0.5, 2.0))
def test_whatever_is_known(before: Analysis, after: Analysis, timestamp: float) -> None:
    tracks = tracks_at(timestamp, before, after)
    numbers = [each.track_id for each in tracks]
    assert numbers == sorted(set(numbers))
    worth = {each.track_id for each in (*before.tracks, *after.tracks) if shown(each)}
    assert set(numbers) <= worth
    for each in tracks:
        assert min(each.bbox) >= 0
        assert max(each.bbox) <= 1
        assert each.bbox.area > 0
        assert each.confirmed


@given(analyses(1.0), analyses(1.4))
def test_exact_at_both_ends(before: Analysis, after: Analysis) -> None:
    assert tracks_at(1.0, before, after) == tuple(each for each in before.tracks if shown(each))
    assert tracks_at(1.4, before, after) == tuple(each for each in after.tracks if shown(each))
    assert tracks_at(1.0, before, None) == tracks_at(1.0, before, after)


@given(boxes, boxes, st.floats(1.0, 1.4))
def test_a_box_stays_within_its_two_ends(one: BBox, other: BBox, timestamp: float) -> None:
    between = only(tracks_at(timestamp, analysis(1.0, track(box=one)), analysis(1.4, track(box=other)))).bbox
    for edge, a, b in zip(between, one, other, strict=True):
        assert min(a, b) - 1e-9 <= edge <= max(a, b) + 1e-9
