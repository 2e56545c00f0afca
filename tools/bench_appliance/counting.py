"""What the kernel has counted for a process and all that it has started, thread by thread."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
MAIN = "(main)"
ENDED = "(ended)"
"""Stands for what threads took that were not seen again."""
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_CHILD, _STANDIN = "detectors/child.py", "model_runner.py"
_COUNTED = ("cpu", "faults", "switches")


@dataclass(frozen=True, slots=True)
class Counts:
    """CPU time in seconds, minor page faults, and context switches of either kind."""

    cpu: float = 0.0
    faults: float = 0
    switches: float = 0

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, name) - getattr(other, name) for name in _COUNTED))

    def __truediv__(self, number: float) -> Counts:
        return Counts(*(getattr(self, name) / number for name in _COUNTED))

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, name) + getattr(other, name) for name in _COUNTED))


@dataclass(frozen=True, slots=True)
class Sample:
    """All threads at one moment, by process, name and number; `whole` has the CPU seconds of each process, its ended
    threads among them."""

    threads: dict[tuple[str, str, int], Counts] = field(default_factory=dict)
    whole: dict[str, float] = field(default_factory=dict)


def processes(pid: int) -> Iterator[tuple[int, str]]:
    """The process and all below it, with what each is called; the software Edge TPU's own is left out."""
    with suppress(OSError):
        command = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace")
        if _STANDIN in command:
            return
        yield pid, "detector" if _CHILD in command else "edgecam"
        for task in (PROC / str(pid) / "task").iterdir():
            for child in (task / "children").read_text("ascii").split():
                yield from processes(int(child))


def sample(pid: int) -> Sample:
    """Read all counters now."""
    found = Sample()
    for process, called in processes(pid):
        with suppress(OSError):
            fields = _stat(PROC / str(process))
            found.whole[called] = found.whole.get(called, 0.0) + (int(fields[11]) + int(fields[12])) * _TICK
        for task in (PROC / str(process) / "task").iterdir():
            with suppress(OSError):
                name = MAIN if task.name == str(process) else (task / "comm").read_text("utf-8").strip()
                found.threads[called, name, int(task.name)] = _counts(task)
    return found


def followed(known: Sample, later: Sample) -> Sample:
    """The later sample, and the last that is known of threads that have ended since."""
    return Sample(known.threads | later.threads, later.whole)


def between(before: Sample, after: Sample) -> dict[tuple[str, str], Counts]:
    """What each thread took from one sample to the next, by process and name; threads of one name are one."""
    taken: dict[tuple[str, str], Counts] = {}
    for (process, name, number), counts in after.threads.items():
        spent = counts - before.threads.get((process, name, number), Counts())
        taken[process, name] = taken.get((process, name), Counts()) + spent
    named: dict[str, float] = {}
    for (process, _name), counts in taken.items():
        named[process] = named.get(process, 0.0) + counts.cpu
    for process, whole in after.whole.items():
        rest = whole - before.whole.get(process, 0.0) - named.get(process, 0.0)
        if rest > 2 * _TICK:  # both are rounded
            taken[process, ENDED] = Counts(cpu=rest)
    return taken


def _counts(task: Path) -> Counts:
    """Nanoseconds on a CPU: Documentation/scheduler/sched-stats.rst. Ticks, where the kernel has none of these."""
    fields = _stat(task)
    try:
        cpu = int((task / "schedstat").read_text("ascii").split()[0]) / 1e9
    except OSError:
        cpu = (int(fields[11]) + int(fields[12])) * _TICK
    switches = sum(
        int(line.split()[1]) for line in (task / "status").read_text("utf-8").splitlines() if "ctxt_switches" in line
    )
    return Counts(cpu, int(fields[7]), switches)


def _stat(folder: Path) -> list[str]:
    """The fields of proc(5) from the state on, number 3: the name before it may have spaces."""
    return (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
