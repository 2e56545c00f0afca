"""What the rounds look with: every frame's number and time, and what this process holds."""

from __future__ import annotations

import gc
import os
import threading
from itertools import pairwise
from pathlib import Path
from statistics import median

from edgecam.ports import Clock, Sink
from edgecam.types import AnnotatedFrame, Frame


class Witness(Sink):
    """Writes down the sequence and the times of all frames."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: list[tuple[int, float, float]] = []

    def write(self, annotated: AnnotatedFrame) -> None:
        self.see(annotated.frame)

    def see(self, frame: Frame) -> None:
        """Write down a frame that has just come."""
        self._seen.append((frame.sequence, frame.timestamp, self._clock.monotonic() - frame.timestamp))

    @property
    def frames(self) -> int:
        return len(self._seen)

    def figures(self) -> dict[str, str]:
        """The rate, and how old the frames were when they came here."""
        steps = [after[1] - before[1] for before, after in pairwise(self._seen)]
        ages = sorted(age for *_, age in self._seen)
        rate = (len(self._seen) - 1) / (self._seen[-1][1] - self._seen[0][1]) if steps else 0.0
        return {
            "frames": str(len(self._seen)),
            "rate": f"{rate:.2f} fps, median interval {1000 * median(steps or [0]):.1f} ms",
            "age of a frame at the sink": f"median {1000 * median(ages):.1f} ms, oldest {1000 * ages[-1]:.1f} ms",
        }

    def complaints(self, *, gaps: int = 0) -> list[str]:
        """What is wrong with numbers and times; `gaps` frames may be missing."""
        found = []
        missing = sum(after[0] - before[0] - 1 for before, after in pairwise(self._seen))
        if missing != gaps:
            found.append(f"{missing} sequence numbers are missing, {gaps} were dropped")
        if any(after[0] <= before[0] for before, after in pairwise(self._seen)):
            found.append("the sequence goes back")
        if any(after[1] <= before[1] for before, after in pairwise(self._seen)):
            found.append("the timestamps do not increase")
        if any(age < -0.001 for *_, age in self._seen):
            found.append("a frame is from the future")
        return found


class Holdings:
    """Memory, files and threads of this process, from the moment it is made."""

    def __init__(self) -> None:
        self._before = _held()

    def figures(self) -> dict[str, str]:
        """What was, and what is."""
        rows = zip(("memory", "files", "threads"), ("MiB", "", ""), self._before, _held(), strict=True)
        return {name: f"{before} -> {now} {unit}".strip() for name, unit, before, now in rows}

    def growth(self) -> tuple[int, int, int]:
        """MiB, files and threads more than at first."""
        memory, files, threads = (now - before for before, now in zip(self._before, _held(), strict=True))
        return memory, files, threads


def _held() -> tuple[int, int, int]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") // 2**20
    return memory, len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
