"""When a frame is handed out, and the timestamp it gets."""

from __future__ import annotations

import math
from enum import Enum, auto

from edgecam.ports import Clock

#: A camera that is later than this, seconds, has stalled: its clock is set anew instead of hurrying after it.
LONGEST_LAG = 1.0
#: Timestamps differ by at least this, seconds: trackers divide by the difference.
LEAST_STEP = 0.001


class Pacing(Enum):
    """Who sets the pace: nobody, the timestamps of the stream, or the device."""

    FREE = auto()
    TIMESTAMPS = auto()
    DEVICE = auto()


class Pacer:
    """Maps the time of a stream, which starts at 0 with each `start`, to monotonic timestamps that strictly increase.

    FREE: a frame is due at once. TIMESTAMPS: a frame is due at its timestamp. In both the timestamp is that of the
    `start` plus the stream's own time. DEVICE: a frame is due when it comes; no timestamp is in the future, so the
    frame that travelled fastest sets the clock. But for FREE, a lag of more than LONGEST_LAG (the machine
    slept, the stream stalled, the clocks drift) moves the clock: the frame is taken as made now.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pacing = Pacing.FREE
        self._epoch = 0.0
        self._last = -math.inf

    def start(self, pacing: Pacing) -> None:
        """The stream's time 0 is now, or just after the last frame handed out where that was ahead of the clock."""
        self._pacing = pacing
        self._epoch = max(self._clock.monotonic(), self._last + LEAST_STEP)

    def elapsed(self) -> float:
        """The stream's time now."""
        return self._clock.monotonic() - self._epoch

    def admit(self, time: float, timeout: float) -> float | None:
        """The timestamp of the frame at stream time `time`, once it is due; None if not within `timeout` seconds."""
        if self._pacing is Pacing.TIMESTAMPS and not self._wait(time, timeout):
            return None
        if self._pacing is not Pacing.FREE:
            self._set_clock(self.elapsed() - time)
        self._last = max(self._epoch + time, self._last + LEAST_STEP)
        return self._last

    def _wait(self, time: float, timeout: float) -> bool:
        ahead = time - self.elapsed()
        self._clock.sleep(min(ahead, timeout))
        return ahead <= timeout

    def _set_clock(self, lag: float) -> None:
        if lag > LONGEST_LAG or (lag < 0 and self._pacing is Pacing.DEVICE):
            self._epoch += lag
