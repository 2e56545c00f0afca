"""Memory over very many frames: the whole appliance on small pictures that come faster than anyone can look at them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from bench_appliance import memory
from bench_appliance.appliance import Setting, running, summary
from bench_appliance.counting import PROC, processes

SIZE = (320, 192)
"""Of the pictures: every part works as with large ones, and a million of them can be waited for."""
FPS = 800.0
"""As they come: a million in 21 minutes. Where the machine is slower, it takes longer."""
LATENCY_MS = 33.0
"""Of an inference, so that there are as many analyses a second as with a camera of 30 fps."""
OUTPUT_WAIT = 0.001
"""Longest wait of a frame for its analysis: nearly all go on without one, with boxes that are predicted."""
SHOWN = 8
"""Each picture of the video is shown so many times, so that what moves does not race."""
CLIPS_MAX_BYTES = 50_000_000
"""Clips beyond this are deleted, so that retention works, too."""
WARM_UP = 0.1
"""The part of the frames after which growth counts."""
_ENDS = 0.1
"""The part of the samples that stand for the begin and for the end."""
_INTERVAL = 1.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Point(NamedTuple):
    """How many frames had come by `elapsed` seconds from the first, and what all processes held then."""

    frames: int
    elapsed: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What became of the memory from the end of the warm-up on.

    `begin_bytes` and `end_bytes` are medians of a tenth of the samples each; `slope_bytes` is that of the least squares
    through all of them, for a thousand frames. `counters` are edgecam's own, of everything. `before` and `after` is
    what the memory was made of then.
    """

    points: Sequence[Point]
    begin_bytes: float
    end_bytes: float
    slope_bytes: float
    counters: dict[str, Any]
    before: Sequence[memory.Mapping]
    after: Sequence[memory.Mapping]

    @property
    def grown(self) -> float:
        """By what part of the begin it has grown."""
        return self.end_bytes / self.begin_bytes - 1


def measure(
    setting: Setting, folder: Path, frames: int, environment: dict[str, str], tick: Callable[[int], None]
) -> Growth:
    """Run until so many frames were captured; `tick` is told how many there are. Raises EdgecamError."""
    points: list[Point] = []
    before: list[memory.Mapping] = []
    with running(setting, folder, environment) as appliance:
        begun = time.monotonic()
        while not points or points[-1].frames < frames:
            time.sleep(_INTERVAL)
            captured = appliance.counters()["frames_captured"]
            points.append(Point(captured, time.monotonic() - begun, rss_bytes(appliance.pid)))
            tick(captured)
            if not before and captured >= WARM_UP * frames:
                before = memory.mappings(appliance.pid)
        after = memory.mappings(appliance.pid)
    said = summary(folder)
    counters = {name: value for name, value in said.items() if isinstance(value, int)}
    return Growth(points, *judged(points), counters, before, after)


def judged(points: Sequence[Point]) -> tuple[float, float, float]:
    """Begin, end and slope, of the points after the warm-up."""
    counted = [point for point in points if point.frames >= WARM_UP * points[-1].frames]
    some = max(1, round(_ENDS * len(counted)))
    begin, end = (median(point.rss_bytes for point in ends) for ends in (counted[:some], counted[-some:]))
    if len(counted) < 2:
        return begin, end, float("nan")
    slope, _ = np.polyfit([point.frames for point in counted], [point.rss_bytes for point in counted], 1)
    return begin, end, 1000 * float(slope)


def rss_bytes(pid: int) -> int:
    """What the process and those below it have in memory now (proc(5), statm)."""
    held = 0
    for process, _called in processes(pid):
        with suppress(OSError):  # it may just have ended
            held += int((PROC / str(process) / "statm").read_text("ascii").split()[1]) * _PAGE_BYTES
    return held


def curve(points: Sequence[Point], count: int = 10) -> list[Point]:
    """So many of the points, evenly spread, the first and the last among them."""
    last = len(points) - 1
    return [points[round(number * last / max(1, count - 1))] for number in range(count)] if last > 0 else [*points]
