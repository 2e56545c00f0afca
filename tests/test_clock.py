"""The one mapping from monotonic to wall time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from edgecam.clock import STEP, SystemClock


def test_a_timestamp_is_always_the_same_wall_time() -> None:
    clock = SystemClock()
    assert len({clock.wall(1234.5) for _ in range(1000)}) == 1


def test_now_is_now_and_in_utc() -> None:
    clock = SystemClock()
    now = clock.wall(clock.monotonic())
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=1)


def test_a_step_of_the_wall_clock_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before = clock.wall(1000.0)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    assert clock.wall(1000.0) - before == pytest.approx(timedelta(hours=1), abs=timedelta(seconds=2 * STEP))
