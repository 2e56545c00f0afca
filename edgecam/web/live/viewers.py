"""Who looks: so many at the same time and no more, and none who does not take what is sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException

if TYPE_CHECKING:
    from starlette.types import Message, Send

log = logging.getLogger(__name__)

SEND_TIMEOUT = 10.0
"""Seconds in which a viewer must have taken a picture."""
LOG_EVERY = 60.0
"""Of viewers that are dropped there is one line in so many seconds."""


class TooSlowError(Exception):
    """A viewer does not take what is sent."""


class Viewers:
    """Counts them. In the server's loop alone. `dropped` were too slow."""

    def __init__(self, most: int) -> None:
        self.now = 0
        self.dropped = 0
        self._most = most
        self._quiet_until = float("-inf")

    def require_room(self) -> None:
        """Raises HTTPException where there are as many as there may be."""
        if self.now >= self._most:
            raise HTTPException(503, f"{self.now} look already: close another page, or raise web.max_viewers")

    @contextmanager
    def one(self, camera: str) -> Iterator[None]:
        """One more, as long as this lasts; who is too slow is counted and told to the log, who leaves is not."""
        self.now += 1
        try:
            yield
        except (TooSlowError, TimeoutError):
            self.dropped += 1
            self._tell(camera)
        except OSError:
            log.debug("live %s: a viewer is gone", camera)
        finally:
            self.now -= 1

    def _tell(self, camera: str) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            log.info("live %s: a viewer was too slow: sent away (%d in all)", camera, self.dropped)
            self._quiet_until = now + LOG_EVERY


async def sent(send: Send, message: Message) -> None:
    """Send something. Raises TimeoutError where it is not taken in time."""
    async with asyncio.timeout(SEND_TIMEOUT):
        await send(message)


async def until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Do all until one is done, and end the others. Raises what ended it."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
