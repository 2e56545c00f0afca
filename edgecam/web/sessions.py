"""Who is logged in with a browser. In memory: after a restart one logs in again."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256

MOST = 64
"""Sessions at the same time; one more ends the oldest."""


class Sessions:
    """Sessions by the hash of their key, each for `age` seconds. One thread only; `now` gives monotonic seconds."""

    def __init__(self, age: float, now: Callable[[], float]) -> None:
        self.age = age
        self._now = now
        self._ends: dict[bytes, float] = {}

    def begin(self) -> str:
        """Begin one; returns its key, which is not kept."""
        now = self._now()
        self._ends = {known: ends for known, ends in self._ends.items() if ends > now}
        while len(self._ends) >= MOST:
            del self._ends[next(iter(self._ends))]
        key = secrets.token_urlsafe(32)
        self._ends[_digest(key)] = now + self.age
        return key

    def holds(self, key: str) -> bool:
        """Whether this is the key of a session."""
        return self._ends.get(_digest(key), float("-inf")) > self._now()

    def end(self, key: str) -> None:
        """End one, if there is such."""
        self._ends.pop(_digest(key), None)

    def end_all(self) -> None:
        """End all of them."""
        self._ends.clear()


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
