"""A bell that wakes a loop's tasks from another thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Bell:
    """Wakes all tasks that wait for it, once, however often it was rung meanwhile. Belongs to the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = False
        self._waiting: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Wake who waits. From any thread; costs what one wake-up of the loop does, and nothing where one is due."""
        if not self._rung:
            self._rung = True
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    async def wait(self) -> None:
        """Wait until it is rung."""
        woken = self._loop.create_future()
        self._waiting.append(woken)
        await woken

    def _wake(self) -> None:
        self._rung = False
        waiting, self._waiting = self._waiting, []
        for woken in waiting:
            if not woken.done():
                woken.set_result(None)
