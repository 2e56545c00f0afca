"""How long the stages take: the newest values of each, and their percentiles."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from threading import Lock

WINDOW = 1024
"""Values kept of each stage."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one stage took: `count` values so far, and percentiles of the newest, seconds; None without a value."""

    count: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Latencies:
    """Takes the times of a few stages from one thread and tells any other what they were like.

    Adding takes a microsecond or two on a small machine; only reading sorts. A negative time, which two clocks that
    are not quite the same can give, counts as none.
    """

    def __init__(self, *stages: str, window: int = WINDOW) -> None:
        self._lock = Lock()
        self._counts = dict.fromkeys(stages, 0)
        self._values: dict[str, deque[float]] = {stage: deque(maxlen=window) for stage in stages}

    def add(self, stage: str, seconds: float) -> None:
        """Note how long a stage took. Raises KeyError for one that was not named at first."""
        with self._lock:
            self._counts[stage] += 1
            self._values[stage].append(seconds)

    def summary(self) -> Mapping[str, Latency]:
        """Each stage, as it was of late."""
        with self._lock:
            taken = {stage: (self._counts[stage], list(values)) for stage, values in self._values.items()}
        return {stage: _latency(count, values) for stage, (count, values) in taken.items()}


def _latency(count: int, values: Iterable[float]) -> Latency:
    """The percentiles by nearest rank: each is a value that occurred."""
    ranked = sorted(max(0.0, value) for value in values)
    if not ranked:
        return Latency()
    p50, p95, p99 = (ranked[ceil(share * len(ranked)) - 1] for share in (0.50, 0.95, 0.99))
    return Latency(count, p50, p95, p99)
