"""Who has something to tell, and when: visits, as a fleet of cameras sees them."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import NamedTuple

MESSAGES = 8
"""Event messages of one visit: `new`, six times `update`, `end`."""
APART = 1.0
"""Seconds between them, as `[events] update_interval` has it."""
VISIT = (MESSAGES - 1) * APART
"""Seconds that a visit lasts; so long after a change of the rate the messages are as many as they should be."""


class Due(NamedTuple):
    """One message that is to go out: when, whose, of which visit, and which of its `MESSAGES` it is, from 0."""

    at: float
    appliance: int
    visit: int
    message: int


class Traffic:
    """Visits to `appliances` cameras, each `rate` event messages a second on average.

    Visits begin at random moments, as if nobody knew of the other (a Poisson process), so several may be at one camera
    at once. Time is an argument, monotonic seconds.
    """

    def __init__(self, appliances: int, seed: int) -> None:
        self._appliances = appliances
        self._dice = Random(seed)
        self._visits = count(1)
        self._agenda: list[Due] = []
        self._rate = 0.0
        self._next = float("inf")

    def set_rate(self, rate: float, now: float) -> None:
        """From now on so many messages a second from each appliance; visits that have begun go on."""
        self._rate = rate
        self._next = self._after(now)

    def due(self, now: float) -> Iterator[Due]:
        """What is to be told by now, in order; each only once."""
        while min(self._next, self._agenda[0].at if self._agenda else float("inf")) <= now:
            if not self._agenda or self._next < self._agenda[0].at:
                self._begin()
                continue
            message = heappop(self._agenda)
            if message.message + 1 < MESSAGES:
                heappush(self._agenda, message._replace(at=message.at + APART, message=message.message + 1))
            yield message

    def _begin(self) -> None:
        heappush(self._agenda, Due(self._next, self._dice.randrange(self._appliances), next(self._visits), 0))
        self._next = self._after(self._next)

    def _after(self, now: float) -> float:
        visits = self._rate * self._appliances / MESSAGES
        return now + self._dice.expovariate(visits) if visits > 0 else float("inf")
