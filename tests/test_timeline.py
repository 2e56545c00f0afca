"""The time of a stream."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam.cameras.timeline import LONGEST_STEP, SHORTEST_STEP, Timeline

Stamp = float | None
stamps = st.lists(st.tuples(*[st.none() | st.floats(-1e12, 1e12)] * 2), min_size=1, max_size=40)


def times(timeline: Timeline, pairs: list[tuple[Stamp, Stamp]]) -> list[float]:
    return [round(timeline.advance(pts, dts), 6) for pts, dts in pairs]


@given(stamps, st.none() | st.floats(allow_nan=False))
@settings(deadline=None)
def test_time_only_grows_and_never_leaps(pairs: list[tuple[Stamp, Stamp]], fps: float | None) -> None:
    timeline = Timeline(fps)
    passed = [timeline.advance(pts, dts) for pts, dts in pairs]
    assert passed[0] == 0
    steps = [after - before for before, after in pairwise(passed)]
    assert all(SHORTEST_STEP * 0.999 <= step <= LONGEST_STEP * 1.001 for step in steps)
    assert math.isfinite(timeline.interval)


def test_good_timestamps_are_believed_wherever_they_start() -> None:
    assert times(Timeline(25), [(7000.0, None), (7000.1, None), (7000.4, None)]) == [0, 0.1, 0.4]


def test_the_header_s_rate_counts_only_until_steps_are_seen() -> None:
    timeline = Timeline(100)
    assert times(timeline, [(None, None)] * 3) == [0, 0.01, 0.02]
    assert times(timeline, [(5.0, None), (5.5, None), (6.0, None), (None, None)]) == [0.03, 0.53, 1.03, 1.53]


@pytest.mark.parametrize("fps", [0.0, -5.0, 90_000.0, None])
def test_a_rate_that_cannot_be_true_is_taken_as_25(fps: float | None) -> None:
    assert Timeline(fps).interval == pytest.approx(0.04)


@pytest.mark.parametrize("odd", [0.2, 0.1, -50.0, 3000.0, None], ids=["same", "backward", "reset", "leap", "missing"])
def test_an_odd_timestamp_lasts_one_interval(odd: Stamp) -> None:
    begin: list[tuple[Stamp, Stamp]] = [(0.0, None), (0.1, None), (0.2, None)]
    assert times(Timeline(), [*begin, (odd, None)])[-1] == 0.3


def test_time_goes_on_after_a_reset() -> None:
    pairs: list[tuple[Stamp, Stamp]] = [(50.0, None), (50.1, None), (0.0, None), (0.1, None)]
    assert times(Timeline(), pairs) == [0, 0.1, 0.2, 0.3]


def test_decoding_timestamps_count_where_the_others_are_scrambled() -> None:
    scrambled = [0.1, 0.4, 0.3, 0.5, 0.2, 0.8, 0.7, 0.9, 0.6]
    pairs: list[tuple[Stamp, Stamp]] = [(pts, 0.2 + 0.1 * number) for number, pts in enumerate(scrambled)]
    passed = times(Timeline(), pairs)
    assert [round(after - before, 3) for before, after in pairwise(passed[2:])] == [0.1] * 6


def test_a_fixed_rate_overrules_the_timestamps() -> None:
    assert times(Timeline(0.05, fixed=True), [(0.0, None), (0.1, None), (0.1, None)]) == [0, 20, 40]
