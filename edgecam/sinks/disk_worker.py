"""A disk's work in a thread of its own: whoever gives it waits while the disk is quick, and goes on when it hangs."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Condition
from time import monotonic
from typing import NamedTuple

from edgecam.errors import RingClosed
from edgecam.worker import Worker

log = logging.getLogger(__name__)

TURN = 0.5
"""Longest wait of one turn, seconds."""
PATIENCE = 0.2
"""Seconds that `do` waits for its job: less than the frames cover that may wait for a sink."""
MOST_SECONDS = 45.0
"""How long the oldest job may wait; beyond it `do` waits for the disk, and frames are refused and counted."""
MOST_BYTES = 32_000_000
"""Bytes in all jobs that wait, which bounds what a stall costs: 45 s at 5 Mbit/s, 32 s at the default `max_bitrate`."""
SAID_AFTER = 5.0
"""Seconds after which a disk that does not answer is worth a line."""


class _Job(NamedTuple):
    run: Callable[[], None]
    bytes: int
    since: float


class DiskWorker(Worker):
    """Runs jobs in order. The first one that fails with an OSError is the last: those behind it are forgotten, and the
    next call raises that error, once; then jobs are taken again.

    `do`, `drain` and `close` are for the one thread that owns it; the jobs run in this one.
    """

    def __init__(
        self,
        name: str,
        *,
        patience: float = PATIENCE,
        most_seconds: float = MOST_SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        super().__init__(name, self._ended)
        self._patience = patience
        self._most_seconds = most_seconds
        self._most_bytes = most_bytes
        self._changed = Condition()
        self._jobs: deque[_Job] = deque()
        self._waiting_bytes = 0
        self._failure: OSError | None = None
        self._patient = True
        self._closed = False
        self._said = False

    @property
    def waiting_bytes(self) -> int:
        """What the jobs that wait hold."""
        return self._waiting_bytes

    def step(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed, TURN)
            if not self._jobs:
                if self._closed:
                    raise RingClosed
                return
            job = self._jobs[0]
        failure: OSError | None = None
        try:
            job.run()
        except OSError as error:
            failure = error
        with self._changed:
            self._jobs.popleft()
            self._waiting_bytes -= job.bytes
            if failure is not None:
                self._failure = failure
                self._jobs.clear()
                self._waiting_bytes = 0
            self._changed.notify_all()

    def do(self, job: Callable[[], None], size_bytes: int = 0) -> None:
        """Have a job done, which holds so many bytes; returns when it is, or the disk takes longer than PATIENCE.

        Raises OSError where it, or one before it, has failed.
        """
        with self._changed:
            while not self._changed.wait_for(self._has_room, TURN):
                self._say()
            self._raise()
            self._jobs.append(_Job(job, size_bytes, monotonic()))
            self._waiting_bytes += size_bytes
            self._changed.notify_all()
            self._patient = self._changed.wait_for(self._is_idle, self._patience if self._patient else 0.0)
            self._say()
            self._raise()

    def drain(self) -> None:
        """Wait until all is done, however long the disk takes. Raises OSError where something failed."""
        with self._changed:
            while not self._changed.wait_for(self._is_idle, TURN):
                self._say()
            self._raise()

    def close(self) -> None:
        """Do what is left, and end the thread. Never raises; safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        while self.is_alive():
            self.join(TURN)

    def _has_room(self) -> bool:
        return self._is_idle() or (self._lag() < self._most_seconds and self._waiting_bytes < self._most_bytes)

    def _is_idle(self) -> bool:
        return not self._jobs or not self.is_alive()

    def _lag(self) -> float:
        return monotonic() - self._jobs[0].since if self._jobs else 0.0

    def _raise(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if self.fault is not None:
            raise self.fault

    def _say(self) -> None:
        """Say once that the disk hangs, and once that it does no more."""
        lag = self._lag()
        if lag > SAID_AFTER and not self._said:
            log.warning("the clips: the disk has not answered for %.0f s; what is recorded waits in memory", lag)
            self._said = True
        elif not lag and self._said:
            log.warning("the clips: the disk answers again")
            self._said = False

    def _ended(self) -> None:
        with self._changed:
            self._changed.notify_all()
