"""How long a start takes: from the process's first moment to READY, beside a bare `import numpy` in the same run."""

from __future__ import annotations

import os
import statistics
import time

from service_lab.container import UNIT, Container
from service_lab.outcome import Outcome
from service_lab.stage import Stage, start

GOAL = 2.0
"""Seconds from exec to READY with warm caches."""
_PYTHON = "/opt/edgecam/current/bin/python"


def start_times(stage: Stage, outcome: Outcome) -> None:
    """Some of each, one after the other; the medians."""
    with stage.machine("start") as container:
        stage.configure(container)
        rounds = 3 if stage.short else 5
        starts, imports, bare = [], [], []
        for _ in range(rounds + 1):
            if not outcome.expect(start(container), f"did not start: {container.said()[-6:]}"):
                return
            starts.append(_exec_to_ready(container))
            container.run(f"systemctl stop {UNIT}", limit=120)
            imports.append(_timed(container, f"{_PYTHON} -c 'import numpy'"))
            bare.append(_timed(container, f"{_PYTHON} -c pass"))
        # The first of each warms the caches.
        took = statistics.median(starts[1:])
        each = ", ".join(f"{one:.2f}" for one in starts[1:])
        outcome.note("exec to READY", f"{took:.2f} s (median of {each})")
        busy = os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1)
        judged = "too busy for its times to be judged" if busy else "idle enough"
        outcome.note("load of the machine", f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: {judged}")
        outcome.note("the first one, cold", f"{starts[0]:.2f} s")
        outcome.note("import numpy", f"{statistics.median(imports[1:]):.2f} s")
        outcome.note("python -c pass", f"{statistics.median(bare[1:]):.2f} s")
        outcome.expect(busy or took <= GOAL, f"{took:.2f} s from exec to READY, more than {GOAL:g} s")


def _exec_to_ready(container: Container) -> float:
    times = container.show("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    return (int(times["ActiveEnterTimestampMonotonic"]) - int(times["ExecMainStartTimestampMonotonic"])) / 1e6


def _timed(container: Container, command: str) -> float:
    entering = time.monotonic()
    container.run("true")
    began = time.monotonic()
    container.run(command)
    return max(0.0, (time.monotonic() - began) - (began - entering))
