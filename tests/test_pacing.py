"""When frames are handed out, and their timestamps."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam.cameras.pacing import LEAST_STEP, LONGEST_LAG, Pacer, Pacing
from edgecam.testing import ManualClock


def started(pacing: Pacing, clock: ManualClock) -> Pacer:
    pacer = Pacer(clock)
    pacer.start(pacing)
    return pacer


def test_a_free_frame_is_due_at_once_and_keeps_the_stream_s_time() -> None:
    clock = ManualClock(100.0)
    pacer = started(Pacing.FREE, clock)
    assert [pacer.admit(time, 0.0) for time in (0.0, 5.0, 9.0)] == [100.0, 105.0, 109.0]
    assert clock.monotonic() == 100.0


def test_a_frame_in_real_time_is_waited_for() -> None:
    clock = ManualClock(100.0)
    pacer = started(Pacing.TIMESTAMPS, clock)
    assert pacer.admit(0.0, 0.5) == 100.0
    assert pacer.admit(0.75, 0.5) is None
    assert clock.monotonic() == 100.5
    assert pacer.admit(0.75, 0.5) == 100.75
    assert clock.monotonic() == 100.75


def test_a_small_lag_is_caught_up() -> None:
    clock = ManualClock(100.0)
    pacer = started(Pacing.TIMESTAMPS, clock)
    clock.advance(LONGEST_LAG)
    assert [pacer.admit(time, 0.1) for time in (0.0, 0.5)] == [100.0, 100.5]
    assert clock.monotonic() == 100.0 + LONGEST_LAG


@pytest.mark.parametrize("pacing", [Pacing.TIMESTAMPS, Pacing.DEVICE])
def test_a_long_lag_sets_the_clock_anew(pacing: Pacing) -> None:
    clock = ManualClock(100.0)
    pacer = started(pacing, clock)
    clock.advance(60.0)
    assert pacer.admit(0.5, 0.1) == 160.0
    clock.advance(0.25)
    assert pacer.admit(0.75, 0.1) == 160.25


def test_a_device_sets_its_own_pace_but_never_stamps_the_future() -> None:
    clock = ManualClock(100.0)
    pacer = started(Pacing.DEVICE, clock)
    assert pacer.admit(0.0, 0.1) == 100.0
    assert pacer.admit(0.0 + LEAST_STEP, 0.1) == 100.0 + LEAST_STEP
    clock.advance(1.0)
    assert pacer.admit(0.5, 0.1) == pytest.approx(100.5, abs=2 * LEAST_STEP)
    assert pacer.admit(3.0, 0.1) == 101.0


def test_a_new_start_never_goes_back() -> None:
    clock = ManualClock(100.0)
    pacer = started(Pacing.FREE, clock)
    pacer.admit(500.0, 0.0)
    pacer.start(Pacing.FREE)
    assert pacer.admit(0.0, 0.0) == 600.0 + LEAST_STEP
    clock.advance(1000.0)
    pacer.start(Pacing.FREE)
    assert pacer.admit(0.0, 0.0) == 1100.0


moves = st.lists(st.tuples(st.floats(0.001, 20), st.floats(0, 20)), max_size=30)


@given(moves, st.sampled_from(Pacing))
@settings(deadline=None)
def test_timestamps_strictly_increase(steps: Iterable[tuple[float, float]], pacing: Pacing) -> None:
    clock, time, last = ManualClock(1e6), 0.0, 0.0
    pacer = started(pacing, clock)
    for step, pause in steps:
        time += step
        clock.advance(pause)
        timestamp = pacer.admit(time, 100.0)
        assert timestamp is not None
        assert timestamp > last
        last = timestamp
