"""Whose turn it is, of several cameras that want one detector."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from edgecam.errors import DetectorError
from edgecam.types import Inference

CREDIT = 2.0
"""Turns that a camera may be behind and still catch up on."""


@dataclass(slots=True, eq=False)
class Place:
    """How one camera stands with the detector. `served` counts its turns, divided by its weight."""

    name: str
    weight: float
    served: float = 0.0
    open: bool = False
    asking: bool = False
    turn_since: float | None = None
    under_way: int = 0
    done: deque[Inference] = field(default_factory=deque)
    fault: DetectorError | None = None

    @property
    def waits(self) -> bool:
        return self.open and self.asking and self.turn_since is None

    def check(self) -> None:
        if self.fault:
            raise self.fault


def next_of(places: Iterable[Place]) -> Place | None:
    """Of those that wait, the one that has had least; None where none waits. The turn counts as taken.

    Who rests while others are served is not owed it afterwards, but for CREDIT turns: a pause for breath.
    """
    every = list(places)
    following = min((place for place in every if place.waits), key=lambda place: place.served, default=None)
    if following is not None:
        for place in every:
            place.served = max(place.served, following.served - CREDIT / place.weight)
        following.served += 1.0 / following.weight
    return following
