"""The stream of changes (Server-Sent Events): what becomes of events, and of edgecam's own status."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, HTTPException, Response
from starlette.types import Message, Receive, Scope, Send

from edgecam.web.api.answers import refusals
from edgecam.web.api.archive import Archive
from edgecam.web.api.frigate import event_answer
from edgecam.web.api.watch import Change, EventWatch

log = logging.getLogger(__name__)

FOLLOWERS = 64
"""Who follow at the same time."""
BEHIND = 128
"""Messages that may wait for one of them; who is further behind is sent away, and comes again."""
LOOK_EVERY = 0.5
"""Seconds between two looks into the journal."""
STATUS_EVERY = 2.0
HEARTBEAT = 15.0
"""Seconds after which a line is sent although nothing has changed, so that both sides notice a dead connection."""
SEND_TIMEOUT = 20.0
"""Who has not taken a message after so many seconds is sent away."""
RETRY = 2000
"""Milliseconds after which a browser comes again."""
_COUNTERS = {"disk", "spool"}
"""What of the status changes all the time."""


class Follower:
    """One who follows. Used in the server's loop alone."""

    def __init__(self) -> None:
        self.lost = False
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(BEHIND)

    def put(self, message: bytes) -> None:
        """Have a message sent; who is too far behind gets none any more."""
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            self.lost = True
            self.end()

    def end(self) -> None:
        """Send nothing any more."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)

    async def next(self) -> bytes | None:
        """The next message, or a heartbeat; None when there are to be no more."""
        try:
            async with asyncio.timeout(HEARTBEAT):
                return await self._waiting.get()
        except TimeoutError:
            return b": nothing new\n\n"


class Changes:
    """Looks for what has changed while anybody follows, in one thread for all of them, and tells them.

    `dropped` counts followers that were sent away because they were slow.
    """

    def __init__(self, archive: Archive, status: Callable[[], dict[str, Any]]) -> None:
        self.dropped = 0
        self._archive = archive
        self._status = status
        self._followers: set[Follower] = set()
        self._looking: asyncio.Task[None] | None = None
        self._told: dict[str, Any] = {}

    def join(self) -> Follower:
        """Follow from now on. Raises HTTPException where too many do."""
        if len(self._followers) >= FOLLOWERS:
            raise HTTPException(503, f"{FOLLOWERS} follow already: close another page")
        follower = Follower()
        follower.put(f"retry: {RETRY}\n\n".encode())
        if self._told:
            follower.put(message("status", self._told))
        self._followers.add(follower)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return follower

    def leave(self, follower: Follower) -> None:
        """Follow no more."""
        self._followers.discard(follower)
        self.dropped += follower.lost
        if not self._followers and self._looking is not None:
            self._looking.cancel()
            self._looking, self._told = None, {}

    async def _look(self) -> None:
        loop, watch, status_due = asyncio.get_running_loop(), EventWatch(self._archive), 0.0
        # One thread, because SQLite's connections are each of one; it ends with the last who follows.
        thread = ThreadPoolExecutor(1, "web-changes")
        try:
            while True:
                self._tell_events(await loop.run_in_executor(thread, watch.look))
                if loop.time() >= status_due:
                    self._tell_status(await loop.run_in_executor(thread, self._status))
                    status_due = loop.time() + STATUS_EVERY
                await asyncio.sleep(LOOK_EVERY)
        finally:
            thread.submit(watch.close)
            thread.shutdown(wait=False)

    def _tell_events(self, changes: Sequence[Change]) -> None:
        for kind, found in changes:
            self._tell(message("event", {"type": str(kind), "event": event_answer(found)}))

    def _tell_status(self, status: dict[str, Any]) -> None:
        if _lasting(status) != _lasting(self._told):
            self._told = status
            self._tell(message("status", status))

    def _tell(self, told: bytes) -> None:
        for follower in self._followers:
            follower.put(told)


class EventStream(Response):
    """Sends a follower its messages until it leaves, or is too slow."""

    media_type = "text/event-stream"

    def __init__(self, changes: Changes) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._changes = changes
        self._follower = changes.join()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        follower = self._follower
        leaving = asyncio.create_task(_end_on_leaving(receive, follower))
        try:
            await _sent(send, {"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while (told := await follower.next()) is not None:
                await _sent(send, {"type": "http.response.body", "body": told, "more_body": True})
            await _sent(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, OSError):
            follower.lost = True
        finally:
            leaving.cancel()
            self._changes.leave(follower)
            if follower.lost:
                log.info("a browser was too slow for the stream of changes: sent away")


class ChangeRoutes:
    """The path of the stream."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def add_to(self, router: APIRouter) -> None:
        """Add the path."""
        stream: dict[int | str, dict[str, Any]] = {
            200: {"description": "The stream.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
        }
        router.get("/api/changes", response_class=Response, responses=stream | refusals())(self.follow)

    async def follow(self) -> Response:
        """Server-Sent Events: `event` with `type` (new, update, end) and `event`, as in /api/events; `status`, first
        and whenever it changes, as in /api/status. What happened between two connections is not told again."""
        return EventStream(self._changes)


def message(name: str, document: dict[str, Any]) -> bytes:
    """One message of the stream."""
    return f"event: {name}\ndata: {json.dumps(document, separators=(',', ':'))}\n\n".encode()


def _lasting(status: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in status.items() if key not in _COUNTERS}


async def _sent(send: Send, part: Message) -> None:
    async with asyncio.timeout(SEND_TIMEOUT):
        await send(part)


async def _end_on_leaving(receive: Receive, follower: Follower) -> None:
    with suppress(OSError):
        while (await receive())["type"] != "http.disconnect":
            pass
    follower.end()
