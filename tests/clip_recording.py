"""A ClipSink with frames and events to tell it, and what it has made of them."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from clip_stories import SMALL, shown, street, times
from numpy.typing import NDArray

from edgecam.clip_store import ClipRow, ClipStore
from edgecam.outlet import Outlet
from edgecam.recording.encoder import EncoderOptions
from edgecam.sinks.clips import ClipSink
from edgecam.testing import ManualClock
from edgecam.types import AnnotatedFrame, BBox, Event, EventType, Frame, Track

START = 1000.0
"""Monotonic time of the first frame."""
FRAME = 1 / 30
"""Seconds between two of them."""
LORES = np.zeros((2, 2, 3), np.uint8)
BOX = BBox(0.25, 0.25, 0.5, 0.75)


class Film:
    """A camera's frames, one after the other, 30 a second unless told."""

    def __init__(self, fps: float = 30.0, size: tuple[int, int] = SMALL, start: float = START) -> None:
        self.times: list[float] = []
        self._step = 1 / fps
        self._pictures = street(60, size)
        self._now = start

    @property
    def now(self) -> float:
        """The newest frame's time."""
        return self.times[-1]

    def frame(self, tracks: tuple[Track, ...] = ()) -> AnnotatedFrame:
        """The next frame."""
        number = len(self.times)
        turn, place = divmod(number, len(self._pictures))
        main = self._pictures[place if turn % 2 == 0 else -1 - place]
        self.times.append(self._now)
        self._now += self._step
        return AnnotatedFrame(Frame(number, self.times[-1], main, LORES), marked(main, number), tracks, None)

    def skip(self, seconds: float) -> None:
        """Let time pass without a frame."""
        self._now += seconds


def marked(main: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """The picture with its number in sixteen squares along the upper edge, which no encoder loses."""
    image = main.copy()
    for bit in range(16):
        image[:8, 8 * bit : 8 * bit + 8] = 235 if number >> bit & 1 else 16
    return image


def number_in(frame: Any) -> int:
    """Which frame of the film a decoded picture is."""
    luma = frame.to_ndarray(format="yuv420p")
    return sum(int(luma[2:6, 8 * bit + 2 : 8 * bit + 6].mean() > 128) << bit for bit in range(16))


def told(kind: EventType, event_id: str, now: float, start: float, **changes: Any) -> Event:
    """A message about an event that began at `start`."""
    end = now if kind is EventType.END else None
    event = Event(kind, event_id, "front", 1, "dog", 0.9, 0.9, BOX, 0, now, start, end, 0, BOX)
    return replace(event, **changes)


class Recorder:
    """A ClipSink in a folder, with a store beside it."""

    def __init__(self, data: Path, film: Film | None = None, **options: Any) -> None:
        self.data = data
        self.film = film or Film()
        self.clock = ManualClock(START)
        numbers = count(1)
        self.sink = ClipSink(
            data / "clips",
            "front",
            ClipStore(data / "edgecam.db"),
            self.clock,
            new_id=lambda: f"clip{next(numbers)}",
            **{"encoder": EncoderOptions(quality=35, preset="ultrafast"), "sync": False, **options},
        )

    def run(self, seconds: float) -> None:
        """So many seconds of film."""
        for _ in range(round(seconds / self.film._step)):
            self.sink.write(self.film.frame())

    def tell(self, kind: EventType, event_id: str = "1.0-a", start: float | None = None, **changes: Any) -> None:
        """A message about an event, with the newest frame."""
        self.sink.publish(told(kind, event_id, self.film.now, self.film.now if start is None else start, **changes))

    def rows(self) -> list[ClipRow]:
        with ClipStore(self.data / "edgecam.db", read_only=True) as store:
            return list(store.clips())

    def shown_events(self) -> dict[str, list[str]]:
        """The clips of each event."""
        with ClipStore(self.data / "edgecam.db", read_only=True) as store:
            pairs = [(event, row.clip_id) for row in store.clips() for event in store.events_of(row.clip_id)]
        return {event: [clip for each, clip in pairs if each == event] for event in dict(pairs)}

    def numbers(self, row: ClipRow) -> list[int]:
        """Which frames of the film are in a clip; each is at its own time."""
        frames = shown(self.data / row.path)
        numbers = [number_in(frame) for frame in frames]
        taken = [self.film.times[number] - self.film.times[numbers[0]] for number in numbers]
        assert np.allclose(times(frames), taken, atol=1e-4)
        assert row.frames == len(numbers)
        return numbers

    def span(self, row: ClipRow) -> tuple[float, float]:
        """Timestamps of a clip's first and last frame."""
        numbers = self.numbers(row)
        return self.film.times[numbers[0]], self.film.times[numbers[-1]]

    def files(self) -> Iterable[Path]:
        return sorted(path for path in (self.data / "clips").rglob("*") if path.is_file())


@contextmanager
def recording(data: Path, film: Film | None = None, **options: Any) -> Iterator[Recorder]:
    """An open Recorder."""
    recorder = Recorder(data, film, **options)
    with recorder.sink:
        yield recorder


@contextmanager
def no_room() -> Iterator[None]:
    """No file may grow, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Guarded:
    """A recorder behind its outlet, with time that passes as the film does."""

    def __init__(self, data: Path, **options: Any) -> None:
        self.film = Film()
        self.recorder = Recorder(data, self.film, **options)
        self.clock = ManualClock(START)
        self.outlet = Outlet(self.recorder.sink, self.clock)
        self.outlet.open()

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 30)):
            self.outlet.write(self.film.frame())
            self.clock.advance(FRAME)

    def tell(self, kind: EventType, event_id: str = "1.0-a") -> None:
        self.outlet.publish(told(kind, event_id, self.film.now, self.film.now))
