"""The system's clock, and the one mapping from monotonic to wall time."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from edgecam.ports import Clock


class SystemClock(Clock):
    """`CLOCK_MONOTONIC` for durations; the wall clock is read anew for each mapping, so an NTP step is followed."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self, timestamp: float) -> datetime:
        return datetime.fromtimestamp(time.time() - (time.monotonic() - timestamp), UTC)

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)
