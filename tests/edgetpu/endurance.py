"""Plugging and pulling over and over, and opening slowly: what grows, and how long other threads have to wait."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

from edgecam.detectors.watch import TpuWatch
from edgetpu.kit import Kit, lived_in
from edgetpu.measuring import Holdings, Ticker, holdings
from edgetpu.rig import STICK, Rig, Tally

GAP = 0.050
"""Limit in seconds: the longest a thread that wants to run every millisecond may wait."""
GROWTH_BYTES = 4096
"""Limit a cycle: over 280 of them it is less than one copy of the model."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process held after so many cycles, always with the Edge TPU at work."""

    cycle: int
    holdings: Holdings


@dataclass(frozen=True, slots=True)
class Cycles:
    """Unplugged and plugged in so many times; `growth_bytes` is that of resident memory, a cycle, after the warm-up."""

    count: int
    warm_up: int
    samples: list[Sample]
    growth_bytes: float
    to_cpu: float
    back: float
    tally: Tally

    def problems(self) -> list[str]:
        """What should not be."""
        grown = [
            f"{name}: {values}"
            for name in ("threads", "children", "descriptors", "mappings")
            if len(set(values := [getattr(sample.holdings, name) for sample in self.warm])) > 1
        ]
        if self.growth_bytes > GROWTH_BYTES:
            grown.append(f"memory grows by {self.growth_bytes:.0f} bytes a cycle")
        return grown + self.tally.problems()

    @property
    def warm(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.cycle >= self.warm_up]


def cycles(kit: Kit, folder: Path, count: int, warm_up: int, every: int) -> Cycles:
    """Pull the stick and plug it in again, each time until the Edge TPU works; a sample `every` so many cycles."""
    world = kit.world(folder)
    world.plug()
    slowest_cpu = slowest_back = 0.0
    with lived_in(world):
        rig = Rig(kit, world, watch=TpuWatch(settle=0.05, interval=0.02))
        rig.start()
        rig.wait_for(STICK, rig.started)
        samples = [Sample(0, holdings())]
        for cycle in range(1, count + 1):
            pulled = time.monotonic()
            world.unplug()
            slowest_cpu = max(slowest_cpu, rig.wait_for("cpu", pulled) - pulled)
            plugged = time.monotonic()
            world.plug()
            slowest_back = max(slowest_back, rig.wait_for(STICK, plugged) - plugged)
            if cycle % every == 0 or cycle in (warm_up, count):
                samples.append(Sample(cycle, holdings()))
        rig.finish_walk()
        tally = rig.stop()
    warm = [sample for sample in samples if sample.cycle >= warm_up]
    growth = linear_regression([each.cycle for each in warm], [each.holdings.memory_bytes for each in warm]).slope
    return Cycles(count, warm_up, samples, growth, slowest_cpu, slowest_back, tally)


@dataclass(frozen=True, slots=True)
class Gaps:
    """Longest gap of a 1 ms ticker in seconds: on the CPU for as long as the opening takes, then while it opens."""

    before: float
    opening: float
    tally: Tally

    def problems(self, leeway: float = 1.0) -> list[str]:
        """What should not be; the limit of time is multiplied by `leeway`."""
        late = self.opening > GAP * leeway
        return ([f"a thread waited {1000 * self.opening:.1f} ms"] if late else []) + self.tally.problems()


def gaps(kit: Kit, folder: Path, opening: float) -> Gaps:
    """Plug in a stick that takes `opening` seconds to open, beside a running pipeline and a ticker."""
    world = kit.world(folder)
    world.set(open_ms=1000 * opening)
    with lived_in(world):
        rig = Rig(kit, world)
        rig.start()
        rig.wait_for("cpu", rig.started)
        with Ticker() as ticker:
            time.sleep(0.5)
            ticker.restart()
            time.sleep(opening)
            before = ticker.restart()
            plugged = time.monotonic()
            world.plug()
            rig.wait_for(STICK, plugged)
            opened = ticker.restart()
        rig.finish_walk()
        return Gaps(before, opened, rig.stop())
