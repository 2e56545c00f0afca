"""The one mapping from monotonic to wall time, and whether the wall clock is right."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from machine_time import MachineTime

from edgecam.clock import STEP, SystemClock, kernel_synced
from edgecam.testing import ManualClock


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MachineTime:
    """A machine, an hour after its start, whose clock nobody has set yet."""
    return MachineTime(tmp_path, monotonic=3600.0, wall=1767225600.0).used_by(monkeypatch)


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


@pytest.mark.parametrize("hours", [1, -1])
def test_a_step_changes_no_duration(machine: MachineTime, hours: int) -> None:
    clock = SystemClock()
    machine.step(3600.0 * hours)
    assert clock.monotonic() == 3600.0
    assert (clock.wall(3700.0) - clock.wall(3600.0)).total_seconds() == 100.0
    assert clock.wall(3600.0).timestamp() == 1767225600.0 + 3600 * hours


def test_slewing_is_followed_in_steps_too_small_to_matter(machine: MachineTime) -> None:
    clock = SystemClock()
    for _ in range(10_000):
        machine.advance(0.1)
        machine.step(0.00005)  # 500 ppm, as fast as the kernel slews
        assert abs(clock.wall(clock.monotonic()).timestamp() - machine.time()) <= STEP + 1e-6


def test_nobody_has_set_the_clock(machine: MachineTime) -> None:
    assert not SystemClock().synced()


def test_timesyncd_has_set_the_clock(machine: MachineTime) -> None:
    machine.timesyncd.touch()
    assert SystemClock().synced()


def test_the_kernel_was_told_that_its_clock_is_right(machine: MachineTime) -> None:
    machine.kernel_synced = True
    assert SystemClock().synced()


def test_whether_the_clock_is_right_is_asked_anew_every_ten_seconds(machine: MachineTime) -> None:
    clock = SystemClock()
    assert not clock.synced()
    machine.kernel_synced = True
    machine.step(3600.0)
    machine.advance(9.9)
    assert not clock.synced()
    machine.advance(0.1)
    assert clock.synced()
    machine.kernel_synced = False
    machine.step(-86400.0)
    machine.advance(10.0)
    assert not clock.synced(), "whatever the wall clock did in between"


@pytest.mark.parametrize(("answer", "synced"), [(0, True), (1, True), (4, True), (5, False), (-1, False)])
def test_what_the_kernel_answers(monkeypatch: pytest.MonkeyPatch, answer: int, synced: bool) -> None:  # noqa: FBT001
    """0: right; 1 to 4: right, with a leap second about; 5: TIME_ERROR; -1: it may not be asked."""

    class Libc:
        def adjtimex(self, timex: object) -> int:
            return answer

    monkeypatch.setattr(ctypes, "CDLL", lambda name, use_errno: Libc())
    assert kernel_synced() is synced


def test_the_kernel_itself_can_be_asked_and_nothing_changes() -> None:
    before = time.time() - time.monotonic()
    assert kernel_synced() in (True, False)
    assert time.time() - time.monotonic() == pytest.approx(before, abs=1.0)


def test_a_clock_for_tests_can_be_set_and_be_wrong() -> None:
    clock = ManualClock(start=5.0, right=False)
    before = clock.wall(3.0)
    clock.step(-3600.0)
    assert (clock.wall(3.0) - before, clock.monotonic(), clock.synced()) == (timedelta(hours=-1), 5.0, False)
    clock.right = True
    assert clock.synced()
    assert ManualClock().synced()
