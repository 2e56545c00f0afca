"""Who may come in: people with the password, programs with a token, everybody where there is no password."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from edgecam.errors import ConfigError, EdgecamError
from edgecam.web.limits import GuessLimit, Refusals
from edgecam.web.passwords import PasswordPlace, is_password, password_place
from edgecam.web.sessions import Sessions
from edgecam.web.tokens import Tokens

if TYPE_CHECKING:
    from anyio import CapacityLimiter

    from edgecam.web.premises import Premises

log = logging.getLogger(__name__)

CHECKS = 4
"""Passwords that wait to be checked; there is one at a time, and more are sent away."""


class LoginRefused(EdgecamError):
    """Nobody was let in. `wait` is how many seconds to wait before the next try; 0: none."""

    def __init__(self, detail: str, wait: float = 0.0) -> None:
        super().__init__(detail)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who was let in: "" or the name of a program's token, and whether it may change anything."""

    program: str = ""
    may_change: bool = True


class Guard:
    """Lets in whoever may. All calls come from the server's thread; `now` gives monotonic seconds.

    With `place` None there is no password, and everybody may come in. A password that cannot be read lets nobody in.
    """

    def __init__(
        self, place: PasswordPlace | None, tokens: Tokens, sessions: Sessions, cookie: str, now: Callable[[], float]
    ) -> None:
        self.place = place
        self.tokens = tokens
        self.sessions = sessions
        self.cookie = cookie
        self.refusals = Refusals(now)
        self._limit = GuessLimit(now)
        self._checking = 0
        self._turns: CapacityLimiter | None = None
        self._hash = ""

    @classmethod
    def of(cls, premises: Premises) -> Guard:
        """The guard that the configuration describes. Two edgecams of one machine have cookies of different names."""
        options, now = premises.config.web, premises.clock.monotonic
        tokens = Tokens(options.tokens_path(premises.config.data_dir))
        sessions = Sessions(options.session_age, now)
        return cls(password_place(options), tokens, sessions, f"edgecam_{options.port}", now)

    def visitor(self, headers: Mapping[bytes, bytes], address: str) -> Visitor | None:
        """Who it is that sent these headers; None where nobody who may come in."""
        if self.place is None:
            return Visitor()
        shown = headers.get(b"authorization", b"").decode("latin-1")
        if shown:
            return self._program(shown, address)
        return Visitor() if self._is_logged_in(headers) else None

    def session_key(self, headers: Mapping[bytes, bytes]) -> str:
        """The key of the session in the cookies; "" without one."""
        try:
            morsel = SimpleCookie(headers.get(b"cookie", b"")[:8192].decode("latin-1")).get(self.cookie)
        except CookieError:
            return ""
        return morsel.value if morsel else ""

    async def log_in(self, password: str, address: str) -> str:
        """The key of a new session. Raises LoginRefused."""
        if wait := self._limit.wait(address):
            self.refusals.note("too many wrong passwords", address)
            raise LoginRefused(f"too many wrong passwords: wait {wait:.0f} s", wait)
        if self._checking >= CHECKS:
            self.refusals.note("too many log-ins at once", address)
            raise LoginRefused("too many log-ins at once: try again", 1.0)
        self._checking += 1
        try:
            right = await self._check(password)
        finally:
            self._checking -= 1
        if not right:
            self._limit.wrong(address)
            self.refusals.note("a wrong password", address)
            raise LoginRefused("wrong password")
        self._limit.right(address)
        log.info("web: a log-in from %s", address)
        return self.sessions.begin()

    def log_out(self, headers: Mapping[bytes, bytes]) -> None:
        """End the session in the cookies."""
        self.sessions.end(self.session_key(headers))

    async def _check(self, password: str) -> bool:
        from anyio import CapacityLimiter, to_thread

        self._turns = self._turns or CapacityLimiter(1)
        hashed = self._current_hash()
        return bool(hashed) and await to_thread.run_sync(is_password, password, hashed, limiter=self._turns)

    def _current_hash(self) -> str:
        """The hash as it is now, "" where it cannot be read; a new one ends all sessions."""
        assert self.place is not None
        try:
            hashed = self.place.read()
        except ConfigError as error:
            self.refusals.note("no password to compare with", "itself", str(error))
            hashed = ""
        if hashed != self._hash:
            self.sessions.end_all()
        self._hash = hashed
        return hashed

    def _is_logged_in(self, headers: Mapping[bytes, bytes]) -> bool:
        key = self.session_key(headers)
        return bool(key) and bool(self._current_hash()) and self.sessions.holds(key)

    def _program(self, shown: str, address: str) -> Visitor | None:
        try:
            token = self.tokens.find(_token_in(shown))
        except ConfigError as error:
            self.refusals.note("no tokens to compare with", "itself", str(error))
            return None
        if token is None:
            self.refusals.note("a wrong token", address)
            return None
        return Visitor(token.name, may_change=not token.read_only)


def _token_in(shown: str) -> str:
    """The token in an Authorization header: as a bearer token, or as the password of whatever user."""
    kind, _, rest = shown.partition(" ")
    if kind.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return rest.strip() if kind.lower() == "bearer" else ""
