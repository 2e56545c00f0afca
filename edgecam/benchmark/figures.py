"""The figures of a benchmark: what each round measured, and what that comes to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple, Self

import numpy as np


class Rate(NamedTuple):
    """So many frames in so many seconds."""

    frames: int
    seconds: float

    @property
    def fps(self) -> float:
        return self.frames / self.seconds if self.seconds > 0 else 0.0

    @classmethod
    def total(cls, rates: Iterable[Rate]) -> Self:
        """All of them, one after the other."""
        frames, seconds = zip(*rates, strict=True)
        return cls(sum(frames), sum(seconds))


@dataclass(frozen=True, slots=True)
class Spread:
    """How many durations there were, and their percentiles in seconds (linear between the nearest two)."""

    count: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, durations: Sequence[float]) -> Self:
        """Raises ValueError where there are none."""
        if not durations:
            raise ValueError("no durations: nothing was measured")
        return cls(len(durations), *(float(value) for value in np.percentile(durations, (50, 95, 99))))


@dataclass(frozen=True, slots=True)
class Live:
    """What became of the frames of a camera in real time: captured = analysed + skipped + dropped.

    `overheads`: of each analysed frame, the seconds from the camera's handing it out to its analysis, less the invoke.
    """

    analysed: int
    skipped: int
    dropped: int
    overheads: tuple[float, ...]


class Cost(NamedTuple):
    """So many frames took so many seconds of CPU time."""

    frames: int
    cpu: float

    @property
    def per_frame(self) -> float:
        return self.cpu / self.frames if self.frames else 0.0

    @classmethod
    def total(cls, costs: Iterable[Cost]) -> Self:
        """All of them together."""
        frames, cpu = zip(*costs, strict=True)
        return cls(sum(frames), sum(cpu))


class Frame(NamedTuple):
    """What else a frame of the live pipeline costs, and the pipeline's start.

    `faults` and `copies` (of a whole picture) are those of one frame, `rss_bytes` the memory of all processes at the
    end, `grown_bytes` by how much it grew while frames were counted. `start` are the seconds to the first analyses,
    `bare_start` those of a bare detector process.
    """

    faults: float = 0.0
    copies: float = 0.0
    rss_bytes: int = 0
    grown_bytes: int = 0
    start: float = 0.0
    bare_start: float = 0.0


@dataclass(frozen=True, slots=True)
class Round:
    """What one round measured.

    `cost` is the CPU time of the live pipeline without inference, encoding and display; `floor` that of nothing but
    a copy of each picture, a small one and five boxes, each by one plain call, at the same pace.

    `invokes` are the seconds of each invoke of the bare loop; `round_trips`, of single frames through the host, those
    beyond the invoke.
    """

    invokes: tuple[float, ...]
    host: Rate
    round_trips: tuple[float, ...]
    pipeline: Rate
    live: Live
    cost: Cost
    floor: Cost
    frame: Frame

    @property
    def bare(self) -> Rate:
        """The rate of the bare loop."""
        return Rate(len(self.invokes), sum(self.invokes))


@dataclass(frozen=True, slots=True)
class BareFigures:
    """The interpreter alone, in a tight loop in a process like the detector's. `rounds` are the fps of each."""

    fps: float
    rounds: tuple[float, ...]
    invoke: Spread


@dataclass(frozen=True, slots=True)
class HostFigures:
    """The detector process: fps with both slots in use, `ratio` to bare; `overhead` of one frame at a time."""

    fps: float
    ratio: float
    rounds: tuple[float, ...]
    overhead: Spread


@dataclass(frozen=True, slots=True)
class PipelineFigures:
    """The whole pipeline with a camera that waits for it: fps, and `ratio` to bare."""

    fps: float
    ratio: float
    rounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """The whole pipeline with a camera of `fps` frames per second; `overhead` is from frame to analysis, see `Live`."""

    fps: float
    frames_captured: int
    frames_analysed: int
    frames_skipped: int
    frames_dropped: int
    overhead: Spread


@dataclass(frozen=True, slots=True)
class CpuFigures:
    """CPU seconds for each 720p frame outside inference, encoding and display, and those of its `floor` (see Round).

    `ratio` is that of the two; `faults`, `copies`: see Frame.
    """

    frames: int
    per_frame: float
    rounds: tuple[float, ...]
    floor: float
    ratio: float
    faults: float
    copies: float


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """The memory of all processes that run the pipeline, at the end of it in each round; `rss_bytes` is that of the
    first: to later ones the threads of those before have left what the allocator keeps for them.

    `growth_bytes` is by how much that grew while it ran, the middle of the rounds; the benchmark's lists grow, too.
    """

    rss_bytes: int
    rounds: tuple[int, ...]
    growth_bytes: int


@dataclass(frozen=True, slots=True)
class StartFigures:
    """Seconds from the start of the pipeline to its first analyses, and until a bare detector process is ready; the
    middle of the `rounds`."""

    seconds: float
    bare: float
    ratio: float
    rounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """What the rounds come to; ratios are those of the total rates."""

    bare: BareFigures
    host: HostFigures
    pipeline: PipelineFigures
    live: LiveFigures
    cpu: CpuFigures
    memory: MemoryFigures
    start: StartFigures


def figures(rounds: Sequence[Round], fps: float) -> Figures:
    """Put the rounds together; `fps` is that of the live camera. Raises ValueError where something was not measured."""
    bare = Rate.total(each.bare for each in rounds).fps
    host = Rate.total(each.host for each in rounds).fps
    pipeline = Rate.total(each.pipeline for each in rounds).fps
    return Figures(
        BareFigures(bare, tuple(each.bare.fps for each in rounds), _spread(each.invokes for each in rounds)),
        HostFigures(
            host,
            host / bare,
            tuple(each.host.fps for each in rounds),
            _spread(each.round_trips for each in rounds),
        ),
        PipelineFigures(pipeline, pipeline / bare, tuple(each.pipeline.fps for each in rounds)),
        _live([each.live for each in rounds], fps),
        _cpu(rounds),
        _memory([each.frame for each in rounds]),
        _start([each.frame for each in rounds]),
    )


def _cpu(rounds: Sequence[Round]) -> CpuFigures:
    cost, floor = (Cost.total(costs) for costs in zip(*((each.cost, each.floor) for each in rounds), strict=True))
    return CpuFigures(
        cost.frames,
        cost.per_frame,
        tuple(each.cost.per_frame for each in rounds),
        floor.per_frame,
        cost.per_frame / floor.per_frame if floor.per_frame else 0.0,
        median(each.frame.faults for each in rounds),
        median(each.frame.copies for each in rounds),
    )


def _memory(rounds: Sequence[Frame]) -> MemoryFigures:
    taken = tuple(each.rss_bytes for each in rounds)
    return MemoryFigures(taken[0], taken, round(median(each.grown_bytes for each in rounds)))


def _start(rounds: Sequence[Frame]) -> StartFigures:
    ours, least = median(each.start for each in rounds), median(each.bare_start for each in rounds)
    return StartFigures(ours, least, ours / least if least else 0.0, tuple(each.start for each in rounds))


def _live(rounds: Sequence[Live], fps: float) -> LiveFigures:
    analysed, skipped, dropped = (
        sum(counts) for counts in zip(*((each.analysed, each.skipped, each.dropped) for each in rounds), strict=True)
    )
    captured = analysed + skipped + dropped
    return LiveFigures(fps, captured, analysed, skipped, dropped, _spread(each.overheads for each in rounds))


def _spread(rounds: Iterable[Iterable[float]]) -> Spread:
    return Spread.of([duration for durations in rounds for duration in durations])
