"""The system's clock, and the one mapping from monotonic to wall time."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path

from edgecam.ports import Clock

STEP = 0.05
"""A smaller change of the wall clock, seconds, is the jitter of reading two clocks, or NTP slewing."""
TIMESYNCD = Path("/run/systemd/timesync/synchronized")
"""There once systemd-timesyncd has set the clock since the start of the machine."""
_ASK_AGAIN = 10.0
_TIME_ERROR = 5
"""What adjtimex(2) returns while nobody has set the clock by another."""
_TIMEX_BYTES = 256
"""More than a `struct timex` takes anywhere; all zeros, it asks and changes nothing."""


class SystemClock(Clock):
    """`CLOCK_MONOTONIC` for durations. The mapping to wall time stands still, so that the same timestamp is always the
    same wall time, until the wall clock has moved by more than STEP against it: an NTP step is followed at once."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._synced = (float("-inf"), False)

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self, timestamp: float) -> datetime:
        offset = time.time() - time.monotonic()
        if abs(offset - self._offset) > STEP:
            self._offset = offset
        return datetime.fromtimestamp(timestamp + self._offset, UTC)

    def synced(self) -> bool:
        """Whether the kernel (adjtimex(2): chrony, ntpd) or systemd-timesyncd calls the clock right; asked anew every
        ten seconds."""
        asked, answer = self._synced
        if time.monotonic() - asked >= _ASK_AGAIN:
            answer = TIMESYNCD.exists() or kernel_synced()
            self._synced = (time.monotonic(), answer)
        return answer

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


def kernel_synced() -> bool:
    """Whether the kernel was told that its clock follows another one; False where it cannot be asked."""
    answer = int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    return answer not in (-1, _TIME_ERROR)
