"""One take: the appliance warms up, a span of it counts, and what it took is put together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mqtt_broker import Mosquitto
from mqtt_lab import Subscriber

from bench_appliance import counting, memory
from bench_appliance.appliance import HERE, Setting, running, summary
from edgecam.errors import EdgecamError

Percentiles = dict[str, float]


@dataclass(frozen=True, slots=True)
class Bare:
    """One invoke with nothing around it: seconds by the clock (median) and of CPU time (mean)."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Take:
    """What was counted. Times in seconds.

    `frames`: captured, analysed, dropped … in the span. `threads`: CPU time, faults and context switches for each frame
    captured, by process and thread. `delays`: from a frame's timestamp to its event message at the subscriber, `sizes`
    how many messages of each type. `stages`: edgecam's own latencies of the last 1,024 times.
    """

    bare: Bare
    span: float
    frames: dict[str, int]
    threads: dict[str, counting.Counts]
    delays: Sequence[float]
    messages: dict[str, int]
    stages: dict[str, Any]
    memory: Sequence[memory.Mapping] = field(repr=False)

    @property
    def cpu(self) -> float:
        """CPU time of all processes for a frame captured."""
        return sum(counts.cpu for counts in self.threads.values())

    @property
    def analysed(self) -> float:
        """The part of the frames that was looked at."""
        return self.frames["analysed"] / max(1, self.frames["captured"])

    @property
    def multiple(self) -> float:
        """CPU time of a frame that is analysed, as a multiple of the bare invoke's.

        What a frame costs beyond the bare invokes of those that were analysed, and one invoke: where all are analysed
        that is plainly the one divided by the other.
        """
        return 1 + (self.cpu - self.bare.cpu * self.analysed) / self.bare.cpu

    @property
    def beyond(self) -> Percentiles:
        """The delays less one bare invoke by the clock."""
        return percentiles([delay - self.bare.wall for delay in self.delays])


def spent_by(pid: int, seconds: float) -> dict[tuple[str, str], counting.Counts]:
    """What each thread takes in so many seconds; looked at every second, since some end and others take their place."""
    begin = known = counting.sample(pid)
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        time.sleep(min(1.0, left))
        known = counting.followed(known, counting.sample(pid))
    return counting.between(begin, known)


def percentiles(values: Sequence[float]) -> Percentiles:
    """p50, p95 and p99; no number where there are none."""
    found = np.percentile(values, (50, 95, 99)) if values else (float("nan"),) * 3
    return {name: float(value) for name, value in zip(("p50", "p95", "p99"), found, strict=True)}


def bare_invoke(model: Path, runtime: str, threads: int, seconds: float, environment: dict[str, str]) -> Bare:
    """The bare invoke, now; on an Edge TPU where the environment is a world with one. Raises EdgecamError."""
    library = ["libedgetpu.so.1"] if environment else []
    command = [sys.executable, str(HERE / "bare.py"), str(model), runtime, str(threads), str(seconds), *library]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    if done.returncode:
        raise EdgecamError(f"the bare invoke of {model.name} failed: {done.stderr.strip().splitlines()[-1]}")
    return Bare(**json.loads(done.stdout.splitlines()[-1]))


def take(
    setting: Setting,
    folder: Path,
    broker: Mosquitto,
    bare: Callable[[], Bare],
    span: tuple[float, float],
    environment: dict[str, str],
) -> Take:
    """Run the appliance; `span` is how long it warms up and how long counts. The bare invoke comes first, and last.

    Raises EdgecamError.
    """
    before = bare()
    subscriber = Subscriber(broker)
    try:
        with running(setting, folder, environment) as appliance:
            time.sleep(span[0])
            begun, first, told = time.monotonic(), appliance.counters(), len(subscriber.told)
            spent = spent_by(appliance.pid, span[1])
            camera, seconds = appliance.camera(), time.monotonic() - begun
            heard, maps = list(subscriber.told[told:]), memory.mappings(appliance.pid)
    finally:
        subscriber.stop()
    summary(folder)
    after = bare()
    frames = {name.removeprefix("frames_"): count - first[name] for name, count in camera["counters"].items()}
    captured = max(1, frames["captured"])
    return Take(
        bare=Bare((before.wall + after.wall) / 2, (before.cpu + after.cpu) / 2),
        span=seconds,
        frames=frames,
        threads={" ".join(names): counts / captured for names, counts in spent.items()},
        delays=[each.came - each.frame_time for each in heard],
        messages={kind: sum(each.type == kind for each in heard) for kind in ("new", "update", "end")},
        stages=camera["latencies"],
        memory=maps,
    )
