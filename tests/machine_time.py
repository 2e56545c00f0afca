"""A machine's two clocks, and what it knows of them, for the real SystemClock to ask: time passes when told."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import pytest

from edgecam import clock, worker


class MachineTime:
    """What `edgecam.clock` and `edgecam.worker` take the time from, once `used_by` a test.

    `time` and `monotonic` are the module `time`'s own; `step` sets the wall clock. `timesyncd` is the file that
    systemd-timesyncd leaves, `kernel_synced` what the kernel says.
    """

    def __init__(self, folder: Path, *, monotonic: float, wall: float) -> None:
        self.timesyncd = folder / "synchronized"
        self.kernel_synced = False
        self._monotonic = monotonic
        self._offset = wall - monotonic

    def used_by(self, monkeypatch: pytest.MonkeyPatch) -> Self:
        """Let edgecam take its time from here, until the test ends."""
        monkeypatch.setattr(clock, "time", self)
        monkeypatch.setattr(clock, "TIMESYNCD", self.timesyncd)
        monkeypatch.setattr(clock, "kernel_synced", lambda: self.kernel_synced)
        monkeypatch.setattr(worker, "monotonic", self.monotonic)
        return self

    def monotonic(self) -> float:
        return self._monotonic

    def time(self) -> float:
        return self._monotonic + self._offset

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self._offset += seconds
