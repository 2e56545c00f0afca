"""Devices for tests and demonstrations: they keep the ports' contracts, without hardware."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from edgecam.errors import EndOfStream
from edgecam.ports import Camera, Clock, Detector, Sink
from edgecam.types import AnnotatedFrame, Detection, DetectorInfo, Event, Frame, Inference


class ManualClock(Clock):
    """A clock that stands still until it is told; `sleep` advances it and returns at once.

    `step` moves its wall side, as setting a clock does; `right` is what `synced` says.
    """

    def __init__(
        self, start: float = 0.0, wall_at_zero: datetime = datetime(2026, 1, 1, tzinfo=UTC), *, right: bool = True
    ) -> None:
        self.right = right
        self._now = start
        self._wall_at_zero = wall_at_zero

    def monotonic(self) -> float:
        return self._now

    def wall(self, timestamp: float) -> datetime:
        return self._wall_at_zero + timedelta(seconds=timestamp)

    def synced(self) -> bool:
        return self.right

    def sleep(self, seconds: float) -> None:
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward, or back; no time passes."""
        self._wall_at_zero += timedelta(seconds=seconds)


def make_frame(sequence: int, timestamp: float | None = None, size: tuple[int, int] = (64, 48)) -> Frame:
    """A grey frame, 30 a second unless told; `size` is (width, height) in pixels, both even."""
    width, height = size
    return Frame(
        sequence,
        sequence / 30 if timestamp is None else timestamp,
        np.full((height * 3 // 2, width), 128, np.uint8),
        np.full((24, 32, 3), 128, np.uint8),
    )


class ScriptedCamera(Camera):
    """Plays a script: each read returns the next frame or None, or raises the next exception; then the stream ends.

    Frames are numbered anew, so that the script may be played over several opens.
    """

    def __init__(self, script: Iterable[Frame | Exception | None], *, lossless: bool = False) -> None:
        self.lossless = lossless
        self.opened = 0
        self._script = iter(script)
        self._sequence = 0
        self._timestamp = float("-inf")

    def open(self) -> None:
        self.opened += 1

    def read(self, timeout: float) -> Frame | None:
        answer = next(self._script, EndOfStream("the script is at its end"))
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            return None
        self._timestamp = max(answer.timestamp, np.nextafter(self._timestamp, np.inf))
        frame = Frame(self._sequence, float(self._timestamp), answer.picture, answer.lores)
        self._sequence += 1
        return frame


class ScriptedDetector(Detector):
    """Returns the next answer of the script, then nothing; an exception in the script is raised.

    `slots` pictures may be under way, also 0; they are answered in order, one a call of `collect`.
    """

    slots = 1

    def __init__(
        self,
        script: Iterable[Sequence[Detection] | Exception] = (),
        input_size: tuple[int, int] = (320, 192),
        slots: int = 1,
    ) -> None:
        self.slots = slots
        self.under_way: list[NDArray[np.uint8]] = []
        self._script = iter(script)
        self._input_size = input_size
        self.opened = 0

    def open(self) -> None:
        self.opened += 1

    def close(self) -> None:
        self.under_way.clear()

    def submit(self, image: NDArray[np.uint8]) -> None:
        self.under_way.append(image)

    def collect(self, timeout: float) -> Inference | None:
        return Inference(self.detect(self.under_way.pop(0)), 0.0) if self.under_way else None

    @property
    def info(self) -> DetectorInfo:
        return DetectorInfo("scripted", "script", "cpu", self._input_size)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        answer = next(self._script, ())
        if isinstance(answer, Exception):
            raise answer
        return sorted(answer, key=lambda detection: -detection.score)


class RecordingSink(Sink):
    """Remembers what it was given; an error in `refuse` is raised by the next write or publish, then removed."""

    def __init__(self) -> None:
        self.frames: list[AnnotatedFrame] = []
        self.events: list[Event] = []
        self.order: list[str] = []
        self.refuse: list[Exception] = []
        self.opened = 0
        self.closed = 0

    def open(self) -> None:
        self._maybe_refuse()
        self.opened += 1

    def close(self) -> None:
        self.closed += 1

    def write(self, annotated: AnnotatedFrame) -> None:
        self._maybe_refuse()
        self.frames.append(annotated)
        self.order.append(f"frame {annotated.frame.sequence}")

    def publish(self, event: Event) -> None:
        self._maybe_refuse()
        self.events.append(event)
        self.order.append(f"{event.type} {event.event_id}")

    def _maybe_refuse(self) -> None:
        if self.refuse:
            raise self.refuse.pop(0)
