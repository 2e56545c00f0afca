"""When to try a failed device again: after 1 s, then 2, 4 … up to 30."""

from __future__ import annotations


class Backoff:
    """Counts the tries since the last success. Time is an argument, monotonic seconds."""

    def __init__(self, first: float = 1.0, limit: float = 30.0) -> None:
        self._first = first
        self._limit = limit
        self._failures = 0
        self._due = float("-inf")
        self.since: float | None = None

    def failed(self, now: float, limit: float | None = None) -> float:
        """Note a failure; returns the wait in seconds until the next try. `since` is the first failure's time.

        `limit` is another longest wait, for this once.
        """
        if self.since is None:
            self.since = now
        wait = min(self._limit if limit is None else limit, self._first * 2.0**self._failures)
        self._failures += 1
        self._due = now + wait
        return wait

    def remaining(self, now: float) -> float:
        """Seconds until the next try is due; 0 when it is."""
        return max(0.0, self._due - now)

    def skip(self) -> None:
        """Make the next try due at once."""
        self._due = float("-inf")

    def succeeded(self, now: float) -> float:
        """Note a success; returns the outage's length in seconds, 0 if there was none."""
        outage = 0.0 if self.since is None else now - self.since
        self.since = None
        self._failures = 0
        self._due = float("-inf")
        return outage
