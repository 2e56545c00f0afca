"""How edgecam is, for whoever asks, and how it was: looked at every few seconds, by a timer in the server's loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from threading import Lock
from typing import Any

from edgecam.health.facts import Facts
from edgecam.health.report import Report
from edgecam.ports import Clock
from edgecam.web.api.history import FINE_EVERY, History

FRESH = 0.5
"""An answer is good for so many seconds: many who ask cost no more than one."""
LOOK_EVERY = 5.0
"""Seconds between two looks while nobody asks."""


class Vitals:
    """The report of `edgecam status`, and its history. Thread-safe."""

    def __init__(self, facts: Callable[[], Facts], clock: Clock) -> None:
        self.history = History()
        self._report = Report(facts, clock)
        self._lock = Lock()
        self._document: dict[str, Any] = {}
        self._stale_at = self._sample_due = float("-inf")

    def document(self) -> dict[str, Any]:
        """How everything is now, as `edgecam status --json` has it."""
        with self._lock:
            return self._current(time.monotonic())

    def look(self) -> None:
        """Look at how things stand, for rates, changes and history."""
        with self._lock:
            now = time.monotonic()
            self._report.note()
            if now >= self._sample_due:
                self._sample_due = now + FINE_EVERY
                self.history.take(self._current(now))

    async def keep_looking(self) -> None:
        """Look every few seconds, in threads of the loop's pool, until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK_EVERY)

    def _current(self, now: float) -> dict[str, Any]:
        if now >= self._stale_at:
            self._document = self._report.document()
            self._stale_at = now + FRESH
        return self._document
