"""When the sensor saw a frame, in our monotonic seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from edgecam.cameras.pacing import LEAST_STEP, Pacer, Pacing
from edgecam.ports import Clock

#: A first frame is never older than this, seconds, nor from further in the future than EARLIEST.
OLDEST, EARLIEST = 2.0, 0.01


def time_asleep() -> float:
    """Seconds that the machine has slept: by so much CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class SensorTime:
    """Maps libcamera's SensorTimestamp to monotonic seconds that strictly increase, also over several opens.

    libcamera documents CLOCK_BOOTTIME, while the kernel's buffers, which it passes on, carry CLOCK_MONOTONIC
    (libcamera bug 254): the two differ by the time the machine has slept. The first frame after `start` shows which
    it is. Where it is neither, the frame that travelled fastest sets the clock; where there is no
    timestamp at all, a frame is as old as its arrival.
    """

    def __init__(self, clock: Clock, asleep: Callable[[], float] = time_asleep) -> None:
        self._clock = clock
        self._asleep = asleep
        self._pacer = Pacer(clock)
        self._offset: Callable[[], float] | None = None
        self._first: float | None = None
        self._last = -math.inf

    def start(self) -> None:
        """The next frame is the first of a stream."""
        self._offset = self._first = None

    def timestamp(self, nanoseconds: int | None) -> float:
        """The time of a frame that has just come, by the timestamp it bears."""
        seconds = self._clock.monotonic() if nanoseconds is None else self._mapped(nanoseconds / 1e9)
        self._last = max(seconds, self._last + LEAST_STEP)
        return self._last

    def _mapped(self, seconds: float) -> float:
        if self._first is None:
            self._first = seconds
            self._offset = self._known_clock(seconds)
            self._pacer.start(Pacing.DEVICE)
        if self._offset is not None:
            return seconds - self._offset()
        stamp = self._pacer.admit(seconds - self._first, 0.0)
        assert stamp is not None, "a device's frame is due when it comes"
        return stamp

    def _known_clock(self, seconds: float) -> Callable[[], float] | None:
        """What is to be taken off the sensor's seconds; None where they are of no known clock."""
        now = self._clock.monotonic()
        for offset in (float, self._asleep):
            if -EARLIEST <= now - (seconds - offset()) <= OLDEST:
                return offset
        return None
