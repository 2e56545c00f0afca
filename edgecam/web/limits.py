"""What one visitor may take of the server: wrong guesses, bytes of a request, lines of the log."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

BODY_LIMIT_BYTES = 256 * 1024
"""Most bytes of a request's body: a configuration of marks is far smaller."""
FREE_GUESSES = 5
"""So many wrong passwords cost no waiting."""
FIRST_WAIT, LONGEST_WAIT = 2.0, 900.0
"""Seconds to wait after the next wrong one, which double with each, and the most there are."""
GUESSES_KEPT = 3600.0
"""Seconds after which wrong guesses are forgotten."""
ADDRESSES = 1024
"""Whose guesses are remembered; beyond it the oldest are forgotten."""
GUESSES_OF_ALL, GUESSES_WINDOW = 60, 60.0
"""Wrong guesses of all addresses together, in so many seconds: beyond it nobody may guess for a while."""
LOG_EVERY = 60.0
"""Of one kind of refusal there is one line in so many seconds."""


def neighbourhood(address: str) -> str:
    """Whom an address counts as: of IPv6 its /64, all of which one household or machine has."""
    try:
        known = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(known, IPv6Address):
        return str(ip_network((known, 64), strict=False))
    return str(known)


@dataclass(slots=True)
class _Guesses:
    wrong: int = 0
    free_at: float = 0.0
    last: float = 0.0


class GuessLimit:
    """Who guessed wrong must wait, longer each time. One thread only; `now` gives monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._by_address: OrderedDict[str, _Guesses] = OrderedDict()
        self._window_ends = float("-inf")
        self._window_count = 0

    def wait(self, address: str) -> float:
        """Seconds until this address may try; 0: at once."""
        now = self._now()
        guesses = self._by_address.get(neighbourhood(address))
        own = guesses.free_at - now if guesses else 0.0
        everybody = self._window_ends - now if self._window_count >= GUESSES_OF_ALL else 0.0
        return max(own, everybody, 0.0)

    def wrong(self, address: str) -> int:
        """This address was wrong; returns how often of late."""
        now = self._now()
        if now >= self._window_ends:
            self._window_ends, self._window_count = now + GUESSES_WINDOW, 0
        self._window_count += 1
        key = neighbourhood(address)
        guesses = self._by_address.pop(key, _Guesses())
        if now - guesses.last > GUESSES_KEPT:
            guesses = _Guesses()
        guesses.wrong, guesses.last = guesses.wrong + 1, now
        beyond = guesses.wrong - FREE_GUESSES
        if beyond >= 0:
            guesses.free_at = now + min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(beyond, 16))
        self._by_address[key] = guesses
        if len(self._by_address) > ADDRESSES:
            self._by_address.popitem(last=False)
        return guesses.wrong

    def right(self, address: str) -> None:
        """This address was right: its guesses are forgotten."""
        self._by_address.pop(neighbourhood(address), None)


class Refusals:
    """Counts what was refused, and tells the log without letting anybody fill it. One thread only."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.counts: dict[str, int] = {}
        self._now = now
        self._quiet_until: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def note(self, kind: str, address: str, detail: str = "") -> None:
        """One more of a `kind`, of which there are few. `detail` may be anybody's text; it is cut and quoted."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        now = self._now()
        if now < self._quiet_until.get(kind, float("-inf")):
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return
        self._quiet_until[kind] = now + LOG_EVERY
        more = self._untold.pop(kind, 0)
        told = f": {detail[:80]!a}" if detail else ""
        log.warning("web: %s, from %s%s%s", kind, address[:64], told, f" ({more} more before)" if more else "")


class BodyLimit:
    """Refuses requests whose body is too large, also where they do not say so ahead."""

    def __init__(self, app: ASGIApp, refusals: Refusals) -> None:
        self._app = app
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        from fastapi import HTTPException

        from edgecam.web.answers import address_of, refuse

        detail = f"too large: allowed are {BODY_LIMIT_BYTES} bytes"
        taken = 0

        def note() -> None:
            self._refusals.note("a request that is too large", address_of(scope), scope["path"])

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY_LIMIT_BYTES:
                note()
                raise HTTPException(413, detail)
            return message

        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _told_bytes(scope) > BODY_LIMIT_BYTES:
            note()
            await refuse(scope, receive, send, 413, detail)
        else:
            await self._app(scope, counted, send)


def _told_bytes(scope: Scope) -> int:
    """How large a request says that it is; what is no number is too large."""
    told = dict(scope["headers"]).get(b"content-length", b"0")
    return int(told) if told.isdigit() and len(told) < 20 else BODY_LIMIT_BYTES + 1
