"""What was asked for, and whether it is so."""

from __future__ import annotations

from typing import NamedTuple

MULTIPLE, MULTIPLE_RECORDING = 1.25, 1.45
BEYOND_P50, BEYOND_P99 = 0.0025, 0.015
RSS_BYTES = 180e6
GROWN = 0.01
LEAST_ANALYSED = 0.97
"""Below this part of frames analysed the machine is too slow or too busy for its figures to say anything."""


class Goal(NamedTuple):
    """One figure beside what it should be at most; not `sure` where too few frames were analysed to tell."""

    name: str
    value: float
    most: float
    unit: str
    sure: bool = True

    @property
    def reached(self) -> bool:
        """Whether it is no more than that."""
        return self.value <= self.most
