"""The two hand-overs between threads: frames (newest win) and analyses (none lost). The only locks are here."""

from __future__ import annotations

from collections import deque
from threading import Condition

from edgecam.errors import RingClosed
from edgecam.types import Analysis, Frame


class FrameRing:
    """A bounded window on the newest frames, shared by the threads of one pipeline.

    Policy: `put` never waits for a reader; when full the oldest frame goes. The one exception is a camera that
    declares itself lossless (a file read as fast as possible): its ring is built with `lossless=True`, and `put`
    then waits, up to its time-out, until every reader has passed the oldest frame.

    What all `readers` have passed goes at once, but for the newest frame; whoever only wants the newest need not be one
    of them. So a pipeline that keeps up has a few frames in memory, not `capacity`, and the next picture comes into
    memory that is still in the processor's cache.

    Readers keep their place themselves (`after`, the last sequence they saw; -1 at first) and find what they lost
    by subtraction. The only lock is inside; frames are immutable and are handed out by reference.
    """

    def __init__(self, capacity: int, *, lossless: bool = False, readers: tuple[str, ...] = ()) -> None:
        if capacity < 1:
            raise ValueError(f"ring capacity {capacity}: at least 1")
        self.lossless = lossless
        self._frames: deque[Frame] = deque()
        self._capacity = capacity
        self._changed = Condition()
        self._closed = False
        self._newest = -1
        self._passed = dict.fromkeys(readers, -1)

    def put(self, frame: Frame, timeout: float = 0.0) -> bool:
        """Add a frame. False where the ring is lossless and a reader kept it full for `timeout` seconds: put it again.

        Raises RingClosed.
        """
        with self._changed:
            if self.lossless and not self._changed.wait_for(self._has_room, timeout):
                return False
            if self._closed:
                raise RingClosed
            if len(self._frames) >= self._capacity:
                self._frames.popleft()
            self._frames.append(frame)
            self._newest = frame.sequence
            self._forget_passed()
            self._changed.notify_all()
            return True

    def latest(self, reader: str, after: int, timeout: float) -> Frame | None:
        """The newest frame past `after` (in a lossless ring the oldest), None on time-out.

        Raises RingClosed once the ring is closed and, in a lossless ring, drained.
        """
        if self.lossless:
            return self.next(reader, after, timeout)
        with self._changed:
            self._wait_past(reader, after, timeout)
            if self._closed:
                raise RingClosed
            return self._frames[-1] if self._has_past(after) else None

    def next(self, reader: str, after: int, timeout: float) -> Frame | None:
        """The oldest frame past `after`, None on time-out. Raises RingClosed once closed and drained."""
        with self._changed:
            self._wait_past(reader, after, timeout)
            for frame in self._frames:
                if frame.sequence > after:
                    return frame
            if self._closed:
                raise RingClosed
            return None

    @property
    def newest(self) -> int:
        """Sequence of the newest frame that ever came in; -1 before the first."""
        return self._newest

    @property
    def closed(self) -> bool:
        """Whether nothing more will come in."""
        return self._closed

    def close(self) -> None:
        """Let nothing more in and wake everybody. Safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def leave(self, reader: str) -> None:
        """Forget a reader that has ended, so that a lossless ring no longer waits for it."""
        with self._changed:
            self._passed.pop(reader, None)
            self._changed.notify_all()

    def _has_past(self, after: int) -> bool:
        return bool(self._frames) and self._frames[-1].sequence > after

    def _has_room(self) -> bool:
        if self._closed or len(self._frames) < self._capacity:
            return True
        return all(after >= self._frames[0].sequence for after in self._passed.values())

    def _forget_passed(self) -> None:
        if self._passed:
            slowest = min(self._passed.values())
            while len(self._frames) > 1 and self._frames[0].sequence <= slowest:
                self._frames.popleft()

    def _wait_past(self, reader: str, after: int, timeout: float) -> None:
        if self._passed.get(reader, after) != after:
            self._passed[reader] = after
            self._forget_passed()
            self._changed.notify_all()
        self._changed.wait_for(lambda: self._closed or self._has_past(after), timeout)


class AnalysisQueue:
    """Analyses on their way from the detect thread to the output thread, in order and none lost.

    Bounded; policy when full: `put` says so and the detect thread waits (it may skip frames, the ring sees to that).
    """

    def __init__(self, capacity: int = 256) -> None:
        self._analyses: deque[Analysis] = deque()
        self._capacity = capacity
        self._changed = Condition()
        self._newest = -1
        self._closed = False
        self._left = False
        self.events_lost = 0

    def put(self, analysis: Analysis, timeout: float) -> bool:
        """Add an analysis; False where the queue stayed full for `timeout` seconds: put it again.

        Once the reader has left, analyses go nowhere; the events in them are counted in `events_lost`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._left or len(self._analyses) < self._capacity, timeout):
                return False
            if self._left:
                self.events_lost += len(analysis.events)
                return True
            self._analyses.append(analysis)
            self._newest = analysis.sequence
            self._changed.notify_all()
            return True

    def take(self) -> list[Analysis]:
        """All analyses that are there, oldest first; does not wait."""
        with self._changed:
            taken = list(self._analyses)
            self._analyses.clear()
            self._changed.notify_all()
            return taken

    def wait_for(self, sequence: int, timeout: float) -> bool:
        """Wait until the frame `sequence` is covered by an analysis of it or of a later one, or none will come.

        False where `timeout` seconds passed without either.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or self._newest >= sequence, timeout)

    def wait_closed(self, timeout: float) -> bool:
        """Wait until no more will come; False where that took longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, timeout)

    def leave(self) -> None:
        """Say that nobody will take any more, so that the detect thread is not held by a full queue."""
        with self._changed:
            self._left = True
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no more will come; what is inside can still be taken. Safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
