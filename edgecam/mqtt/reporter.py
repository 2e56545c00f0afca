"""When status and statistics are told."""

from __future__ import annotations

from collections.abc import Callable

from edgecam.health.facts import Facts
from edgecam.health.stats import StatsReport
from edgecam.health.status import StatusDocument, StatusReport
from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.topics import Topics
from edgecam.ports import Clock

LOOK = 1.0
"""Seconds between two looks at how things are."""
FIRST_STATS = 10.0
"""Seconds after the start until the first statistics, where the interval is longer: nobody waits a day for them."""


class Reporter:
    """Puts the status on its topic as soon as it changes, and, with figures that always change, at each interval; the
    statistics at each interval. To be called often, from one thread."""

    def __init__(self, retained: RetainedTopics, topics: Topics, clock: Clock, *, interval: float = 60.0) -> None:
        self._retained = retained
        self._topics = topics
        self._clock = clock
        self._interval = interval
        self._status = StatusReport(clock)
        self._stats = StatsReport(clock)
        self._told: StatusDocument | None = None
        now = clock.monotonic()
        self._look_due = self._status_due = now
        self._stats_due = now + min(interval, FIRST_STATS)

    def tick(self, gather: Callable[[], Facts]) -> None:
        """Tell what is due; `gather` is called only then, at most once a second."""
        now = self._clock.monotonic()
        if now < self._look_due:
            return
        self._look_due = max(now, self._look_due + LOOK)
        facts = gather()
        self._tell_status(facts, now)
        if now >= self._stats_due:
            self._stats_due = max(now, self._stats_due + self._interval)
            self._retained.put(self._topics.stats, self._stats.document(facts).model_dump_json().encode())

    def _tell_status(self, facts: Facts, now: float) -> None:
        document = self._status.document(facts)
        if self._told is None or now >= self._status_due or _news(document) != _news(self._told):
            self._told, self._status_due = document, now + self._interval
            self._retained.put(self._topics.status, document.model_dump_json().encode())


def _news(document: StatusDocument) -> object:
    """What is told at once: all but the figures that always change."""
    return document.model_dump(exclude={"disk", "spool"}) | {"lost": document.spool.lost}
