"""The figures of the stages of a frame, each beside its limit: the least that the same work takes without edgecam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from edgecam.benchmark.figures import Cost, Spread


class Measured(NamedTuple):
    """One piece of work in one round: the seconds of each time it was done, and the CPU time of all of them."""

    durations: tuple[float, ...]
    cpu: float

    @property
    def cost(self) -> Cost:
        return Cost(len(self.durations), self.cpu)


class StageRound(NamedTuple):
    """One stage in one round, and its limit (see `stages`), done in turn with it."""

    name: str
    against: str
    stage: Measured
    limit: Measured

    @property
    def ratio(self) -> float:
        """Its CPU time, in that of the limit."""
        limit = self.limit.cost.per_frame
        return self.stage.cost.per_frame / limit if limit else 0.0


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage: how long it takes and its CPU seconds a frame, the same of its limit, which `against` names.

    `ratio` is that of the CPU times, the middle one of the `rounds`. Of inference all are times by the clock: it is the
    device that works.
    """

    name: str
    against: str
    duration: Spread
    cpu: float
    limit_duration: Spread
    limit_cpu: float
    ratio: float
    rounds: tuple[float, ...]


def stage_figures(rounds: Sequence[Sequence[StageRound]]) -> tuple[StageFigures, ...]:
    """Put the rounds together, each with the same stages in the same order."""
    return tuple(_stage(same) for same in zip(*rounds, strict=True))


def _stage(rounds: Sequence[StageRound]) -> StageFigures:
    ratios = tuple(each.ratio for each in rounds)
    return StageFigures(
        rounds[0].name,
        rounds[0].against,
        _spread([each.stage for each in rounds]),
        Cost.total(each.stage.cost for each in rounds).per_frame,
        _spread([each.limit for each in rounds]),
        Cost.total(each.limit.cost for each in rounds).per_frame,
        median(ratios),
        ratios,
    )


def _spread(rounds: Sequence[Measured]) -> Spread:
    return Spread.of([duration for each in rounds for duration in each.durations])
