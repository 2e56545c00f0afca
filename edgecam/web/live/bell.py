"""A bell that wakes a loop's tasks from another thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress

FEW = 4
"""So many are woken at once, each time."""
LINGER = 0.1
"""Seconds at least between two wake-ups of more than FEW: they get several pictures together, which costs about as much
as one, and see them half of this later."""


class Bell:
    """Wakes all tasks that wait for it, once, however often it was rung meanwhile. Belongs to one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._rung = False
        self._woke = float("-inf")
        self._waiting: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Wake who waits. From any thread; costs what one wake-up of the loop does, and nothing where one is due."""
        if not self._rung:
            self._rung = True
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                self._loop.call_soon_threadsafe(self._hear)

    async def wait(self) -> None:
        """Wait until it is rung."""
        woken = self._loop.create_future()
        self._waiting.append(woken)
        await woken

    def _hear(self) -> None:
        linger = self._woke + LINGER - self._loop.time()
        if linger > 0 and len(self._waiting) > FEW:
            self._loop.call_later(linger, self._wake)
        else:
            self._wake()

    def _wake(self) -> None:
        self._rung = False
        self._woke = self._loop.time()
        waiting, self._waiting = self._waiting, []
        for woken in waiting:
            if not woken.done():
                woken.set_result(None)
