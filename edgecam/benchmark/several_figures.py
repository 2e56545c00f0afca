"""The figures of several cameras at one detector: what each round measured, and what that comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, linear_regression
from typing import NamedTuple

from edgecam.benchmark.figures import Rate


class Trouble(StrEnum):
    """What becomes of a camera on purpose."""

    NONE = ""
    STALLS = "stalls"
    DIES = "dies"


class Window(NamedTuple):
    """What several cameras did in so many seconds.

    `analysed` and `captured` are the frames of each camera. `cpu` are the seconds of CPU time of this process, all
    threads together; `rss_bytes` is the memory at the end, of it and the processes it has started. `busy` are the
    seconds that the devices spent on inference, one after the other.
    """

    seconds: float
    analysed: tuple[int, ...]
    captured: tuple[int, ...]
    cpu: float = 0.0
    rss_bytes: int = 0
    busy: float = 0.0

    @property
    def fps(self) -> float:
        """Inferences per second, of all cameras."""
        return sum(self.analysed) / self.seconds

    def joined(self, other: Window) -> Window:
        """This one and another one of the same cameras; the memory is this one's."""
        return Window(
            self.seconds + other.seconds,
            tuple(map(sum, zip(self.analysed, other.analysed, strict=True))),
            tuple(map(sum, zip(self.captured, other.captured, strict=True))),
            self.cpu + other.cpu,
            self.rss_bytes,
            self.busy + other.busy,
        )


class Disturbed(NamedTuple):
    """The same cameras before one of them, the `troubled` (its place in the windows), got into trouble, and since."""

    trouble: Trouble
    troubled: int
    before: Window
    since: Window


@dataclass(frozen=True, slots=True)
class SeveralRound:
    """What one round measured: the bare loop of each device, all at once; so many cameras; and the troubles."""

    bare: tuple[Rate, ...]
    windows: tuple[Window, ...]
    disturbed: tuple[Disturbed, ...] = ()

    @property
    def limit(self) -> float:
        """Inferences per second of all devices, with nothing else to do."""
        return sum(each.fps for each in self.bare)


@dataclass(frozen=True, slots=True)
class LimitFigures:
    """Inferences per second of the bare loops: all devices together, in all and in each of the rounds, and of each."""

    fps: float
    rounds: tuple[float, ...]
    devices: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CamerasFigures:
    """So many `cameras` at one detector.

    `fps`: inferences per second of all together, and of `each`; `spread`: the most less the least of these, as a part
    of their mean. `possible`: as many as the devices can, or as many frames as come, whichever is less; `ratio`: fps of
    that, and of each round in `rounds`. `busy`: the part of the time that the devices were at work: beside a `ratio`
    that is low it tells whether they waited, or were slower on a busy machine. `cores`: CPU seconds a second of this
    process, where inference is not; `per_frame`: the same for each captured frame. `rss_bytes`: the memory of all
    processes, in the first round: later ones have what earlier ones left over.
    """

    cameras: int
    fps: float
    each: tuple[float, ...]
    spread: float
    possible: float
    ratio: float
    rounds: tuple[float, ...]
    busy: float
    cores: float
    per_frame: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Line:
    """What one more camera costs (`slope`), and what there is without any (`base`).

    By least squares; `off` is how far the farthest measurement is from the line, as a part of the largest.
    """

    slope: float
    base: float
    off: float

    @classmethod
    def through(cls, numbers: Sequence[int], values: Sequence[float]) -> Line | None:
        """None where there are less than two numbers."""
        if len(numbers) < 2:
            return None
        slope, base = linear_regression(numbers, values)
        distances = [abs(value - base - slope * number) for number, value in zip(numbers, values, strict=True)]
        return cls(slope, base, max(distances) / max(map(abs, values)) if any(values) else 0.0)


@dataclass(frozen=True, slots=True)
class TroubleFigures:
    """What it is to the others when a camera stalls or dies.

    `before` and `since`: inferences per second of all the other cameras; `ratio`: of the two; `least`: the same of the
    one that fares worst. `possible`: what those alone could have, see CamerasFigures; `of_possible`: all inferences
    since, as a part of that.
    """

    trouble: str
    before: float
    since: float
    ratio: float
    least: float
    possible: float
    of_possible: float


@dataclass(frozen=True, slots=True)
class SeveralFigures:
    """What the rounds come to; `cpu` in cores for each camera, `memory` in bytes."""

    limit: LimitFigures
    cameras: tuple[CamerasFigures, ...]
    cpu: Line | None
    memory: Line | None
    troubles: tuple[TroubleFigures, ...]


def several_figures(rounds: Sequence[SeveralRound], fps: float) -> SeveralFigures:
    """Put the rounds together; `fps` is that of each camera."""
    limit = LimitFigures(
        fmean(each.limit for each in rounds),
        tuple(each.limit for each in rounds),
        tuple(fmean(rate.fps for rate in rates) for rates in zip(*(each.bare for each in rounds), strict=True)),
    )
    found = tuple(_cameras(windows, rounds, fps) for windows in zip(*(each.windows for each in rounds), strict=True))
    numbers = [each.cameras for each in found]
    return SeveralFigures(
        limit,
        found,
        Line.through(numbers, [each.cores for each in found]),
        Line.through(numbers, [float(each.rss_bytes) for each in found]),
        tuple(_trouble(each, limit.fps, fps) for each in zip(*(each.disturbed for each in rounds), strict=True)),
    )


def _cameras(windows: Sequence[Window], rounds: Sequence[SeveralRound], fps: float) -> CamerasFigures:
    whole = _joined(windows)
    number = len(whole.analysed)
    each = tuple(count / whole.seconds for count in whole.analysed)
    possible = [min(each.limit, number * fps) for each in rounds]
    ratios = tuple(window.fps / most for window, most in zip(windows, possible, strict=True))
    return CamerasFigures(
        cameras=number,
        fps=whole.fps,
        each=each,
        spread=(max(each) - min(each)) / fmean(each) if any(each) else 0.0,
        possible=fmean(possible),
        ratio=whole.fps / fmean(possible),
        rounds=ratios,
        busy=whole.busy / whole.seconds / len(rounds[0].bare),
        cores=whole.cpu / whole.seconds,
        per_frame=whole.cpu / max(1, sum(whole.captured)),
        rss_bytes=whole.rss_bytes,
    )


def _trouble(rounds: Sequence[Disturbed], limit: float, fps: float) -> TroubleFigures:
    troubled = rounds[0].troubled
    before, since = _joined([each.before for each in rounds]), _joined([each.since for each in rounds])
    ratios = [
        (now / since.seconds) / (then / before.seconds) if then else 1.0
        for place, (then, now) in enumerate(zip(before.analysed, since.analysed, strict=True))
        if place != troubled
    ]
    others = [(sum(each.analysed) - each.analysed[troubled]) / each.seconds for each in (before, since)]
    possible = min(limit, (len(before.analysed) - 1) * fps)
    return TroubleFigures(
        trouble=str(rounds[0].trouble),
        before=others[0],
        since=others[1],
        ratio=others[1] / others[0] if others[0] else 1.0,
        least=min(ratios),
        possible=possible,
        of_possible=since.fps / possible,
    )


def _joined(windows: Sequence[Window]) -> Window:
    whole = windows[0]
    for window in windows[1:]:
        whole = whole.joined(window)
    return whole
