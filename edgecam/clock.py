"""The system's clock, and the one mapping from monotonic to wall time."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from edgecam.ports import Clock

STEP = 0.05
"""A smaller change of the wall clock, seconds, is the jitter of reading two clocks, or NTP slewing."""


class SystemClock(Clock):
    """`CLOCK_MONOTONIC` for durations. The mapping to wall time stands still, so that the same timestamp is always the
    same wall time, until the wall clock has moved by more than STEP against it: an NTP step is followed at once."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self, timestamp: float) -> datetime:
        offset = time.time() - time.monotonic()
        if abs(offset - self._offset) > STEP:
            self._offset = offset
        return datetime.fromtimestamp(timestamp + self._offset, UTC)

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)
