"""When which fault strikes, drawn from a seed: every kind comes before any comes again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

GAP = (8.0, 28.0)
"""Seconds from one strike to the next, at least and at most."""
CALM = 45.0
"""Seconds at the beginning and at the end in which nothing strikes."""
_SAME_PART = 8.0
"""Seconds between the mending of a part and its next fault."""
_AROUND_ALONE = 30.0
"""Seconds without any other fault before and after one that must be alone."""
_BETWEEN_RESTARTS = 40.0
"""Seconds between two faults that end the unit: five failures in 90 s are systemd's limit."""


@dataclass(frozen=True)
class Kind:
    """A fault: the part that it strikes, how long it lasts (seconds, at least and at most), and what it entails."""

    name: str
    part: str
    lasts: tuple[float, float]
    restarts: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Planned:
    """A fault to come: seconds after the beginning, how long, and a number for what it has to draw itself."""

    number: int
    kind: Kind
    at: float
    lasts: float
    draw: float

    @property
    def ends(self) -> float:
        """Seconds after the beginning at which it is mended."""
        return self.at + self.lasts


def draw_plan(kinds: Sequence[Kind], seconds: float, seed: int) -> list[Planned]:
    """All faults of a soak of so many seconds, by their time. The same arguments give the same plan."""
    lots = random.Random(seed)
    plan: list[Planned] = []
    moment = CALM
    while True:
        for kind in lots.sample(kinds, len(kinds)):
            at = _earliest(kind, moment + lots.uniform(*GAP), plan)
            planned = Planned(len(plan) + 1, kind, round(at, 1), round(lots.uniform(*kind.lasts), 1), lots.random())
            if planned.ends > seconds - CALM:
                return plan
            plan.append(planned)
            moment = at


def _earliest(kind: Kind, at: float, plan: Sequence[Planned]) -> float:
    for before in plan:
        if kind.alone or before.kind.alone:
            at = max(at, before.ends + _AROUND_ALONE)
        if before.kind.part == kind.part:
            at = max(at, before.ends + _SAME_PART)
        if kind.restarts and before.kind.restarts:
            at = max(at, before.ends + _BETWEEN_RESTARTS)
    return at
