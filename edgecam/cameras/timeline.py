"""The time of a stream: from timestamps that may be missing, wrong or reset to seconds that only grow."""

from __future__ import annotations

from collections import deque
from statistics import median

#: A step between two frames is believed from the first to the second, seconds.
SHORTEST_STEP = 0.001
LONGEST_STEP = 10.0

_NOMINAL_FPS = 25.0
_BELIEVABLE_FPS = (1.0, 240.0)


class _Stamps:
    """One of the two sorts of timestamps of a stream; counts those that do not advance."""

    def __init__(self) -> None:
        self.faults = 0
        self._last: float | None = None

    def step(self, stamp: float | None) -> float | None:
        """Seconds since the last stamp, None where that is not known or not to be believed."""
        if stamp is None:
            return None
        last, self._last = self._last, stamp
        if last is None:
            return None
        self.faults += stamp <= last
        return stamp - last if SHORTEST_STEP <= stamp - last <= LONGEST_STEP else None


class Timeline:
    """Seconds since the first frame, strictly increasing.

    The steps between timestamps count, not their values: a stream may start anywhere, and a reset or a loop goes on
    where it was. A step that is missing, backward, or not between SHORTEST_STEP and LONGEST_STEP lasts one `interval`.
    Of presentation and decoding timestamps those count that went backward less often (as ffmpeg's
    guess_correct_pts has it): AVI files have no presentation timestamps of their own.

    `fps` is what the header says; it is used only until steps have been seen, and only if it can be true. With
    `fixed` each step is 1 / `fps`, whatever the timestamps say.
    """

    def __init__(self, fps: float | None = None, *, fixed: bool = False) -> None:
        believable = fps is not None and (fixed or _BELIEVABLE_FPS[0] <= fps <= _BELIEVABLE_FPS[1])
        self._nominal = 1 / fps if fps is not None and believable else 1 / _NOMINAL_FPS
        self._fixed = fixed
        self._steps: deque[float] = deque(maxlen=15)
        self._now: float | None = None
        self._pts, self._dts = _Stamps(), _Stamps()

    @property
    def now(self) -> float:
        """The time of the last frame, 0 before the first."""
        return self._now or 0.0

    @property
    def interval(self) -> float:
        """Seconds between frames: the median of the last steps."""
        return median(self._steps) if self._steps else self._nominal

    def advance(self, pts: float | None, dts: float | None) -> float:
        """The time of the next frame, from its presentation and decoding timestamps in seconds."""
        step = self._step(pts, dts)
        if step is not None and not self._fixed:
            self._steps.append(step)
        self._now = 0.0 if self._now is None else self._now + (self.interval if self._fixed else step or self.interval)
        return self._now

    def _step(self, pts: float | None, dts: float | None) -> float | None:
        pts_step, dts_step = self._pts.step(pts), self._dts.step(dts)
        if dts is None or (pts is not None and self._pts.faults <= self._dts.faults):
            return pts_step
        return dts_step
