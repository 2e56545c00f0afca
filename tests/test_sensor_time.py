"""libcamera's timestamps in our monotonic seconds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.cameras.sensor_time import SensorTime
from edgecam.testing import ManualClock

ASLEEP = 5000.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


@pytest.mark.parametrize("ahead", [0.0, ASLEEP], ids=["CLOCK_MONOTONIC", "CLOCK_BOOTTIME"])
def test_a_known_clock_gives_the_time_of_exposure(clock: ManualClock, ahead: float) -> None:
    times = SensorTime(clock, asleep=lambda: ASLEEP)
    assert times.timestamp(round((999.97 + ahead) * 1e9)) == pytest.approx(999.97)
    clock.advance(1.0)
    assert times.timestamp(round((1000.9 + ahead) * 1e9)) == pytest.approx(1000.9)


def test_a_machine_that_sleeps_on_the_way_does_not_shift_the_boot_time(clock: ManualClock) -> None:
    slept = [ASLEEP]
    times = SensorTime(clock, asleep=lambda: slept[0])
    times.timestamp(round((1000.0 + ASLEEP) * 1e9))
    slept[0] += 3600.0
    clock.advance(1.0)
    assert times.timestamp(round((1001.0 + ASLEEP + 3600.0) * 1e9)) == pytest.approx(1001.0)


def test_an_unknown_clock_is_held_to_ours_by_the_fastest_frame(clock: ManualClock) -> None:
    times = SensorTime(clock, asleep=lambda: 0.0)
    clock.advance(0.1)
    assert times.timestamp(7_000_000_000) == pytest.approx(1000.1)
    clock.advance(0.05)
    assert times.timestamp(7_033_000_000) == pytest.approx(1000.133)
    clock.advance(0.01)
    assert times.timestamp(7_066_000_000) == pytest.approx(1000.16)


def test_no_timestamp_is_the_time_of_arrival(clock: ManualClock) -> None:
    assert SensorTime(clock).timestamp(None) == 1000.0


def test_a_new_stream_is_judged_anew(clock: ManualClock) -> None:
    times = SensorTime(clock, asleep=lambda: ASLEEP)
    times.timestamp(round(1000.0 * 1e9))
    times.start()
    clock.advance(1.0)
    assert times.timestamp(round((1001.0 + ASLEEP) * 1e9)) == pytest.approx(1001.0)


@given(st.lists(st.none() | st.integers(0, 2**62), max_size=30))
def test_timestamps_strictly_increase_whatever_the_sensor_says(stamps: list[int | None]) -> None:
    times = SensorTime(ManualClock(1000.0), asleep=lambda: 0.0)
    made = [times.timestamp(stamp) for stamp in stamps]
    assert all(before < after for before, after in pairwise(made))
