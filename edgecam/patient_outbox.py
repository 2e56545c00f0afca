"""The outbox in a thread of its own: a disk that hangs does not hold up who publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, TypeVar

from edgecam.errors import EdgecamError, RingClosed
from edgecam.outbox import Moment, Outbox, OutboxMessage, OutboxStalled
from edgecam.worker import Worker

PATIENCE = 1.0
"""Longest wait for an answer of the disk, seconds."""

_TURN = 0.5

_T = TypeVar("_T")


class PatientOutbox:
    """An Outbox whose every call ends within `patience` seconds: by OutboxStalled where the disk has not answered.

    The call that was not answered goes on meanwhile, and until it ends each further one raises at once, so that the
    outbox is asked one thing at a time. What it answers then nobody hears: all that an Outbox does can be done again.
    Used by one thread.
    """

    def __init__(self, outbox: Outbox, patience: float = PATIENCE) -> None:
        self._outbox = outbox
        self.patience = patience
        self._caller: _Caller | None = None
        self._unanswered: Future[Any] | None = None
        self._asked_at = 0.0

    def open(self) -> None:
        """As Outbox's."""
        self._ask(self._outbox.open)

    def close(self) -> None:
        """As Outbox's; the thread ends. While the disk hangs both are left as they are."""
        if self._caller is not None:
            self._ask(self._outbox.close)
            self._caller.calls.put(None)
            self._caller.join(self.patience)
            self._caller = None

    def pending(self, after: int, limit: int) -> list[OutboxMessage]:
        """As Outbox's."""
        return self._ask(partial(self._outbox.pending, after, limit))

    def acknowledge(self, sequences: Iterable[int]) -> None:
        """As Outbox's."""
        self._ask(partial(self._outbox.acknowledge, tuple(sequences)))

    def length(self) -> int:
        """As Outbox's."""
        return self._ask(self._outbox.length)

    def oldest(self) -> Moment | None:
        """As Outbox's."""
        return self._ask(self._outbox.oldest)

    def lost(self) -> int:
        """As Outbox's."""
        return self._ask(self._outbox.lost)

    def trim(self, now: Moment, *, messages: int, age: float, after: int = 0) -> int:
        """As Outbox's."""
        return self._ask(partial(self._outbox.trim, now, messages=messages, age=age, after=after))

    def _ask(self, call: Callable[[], _T]) -> _T:
        if self._unanswered is not None and not self._unanswered.done():
            raise self._stalled()
        if self._caller is None:
            self._caller = _Caller()
            self._caller.start()
        self._asked_at = monotonic()
        self._unanswered = answer = Future[_T]()
        self._caller.calls.put((call, answer))
        wait([answer], self.patience)
        if self._caller.fault is not None:
            raise self._caller.fault
        if not answer.done():
            raise self._stalled()
        return answer.result()

    def _stalled(self) -> OutboxStalled:
        return OutboxStalled(f"the outbox: the disk has not answered for {monotonic() - self._asked_at:.0f} s")


class _Caller(Worker):
    """Does one call after the other, until there is None."""

    def __init__(self) -> None:
        super().__init__("outbox", lambda: None)
        self.calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()

    def step(self) -> None:
        try:
            item = self.calls.get(timeout=_TURN)
        except Empty:
            return
        if item is None:
            raise RingClosed
        call, answer = item
        try:
            answer.set_result(call())
        except EdgecamError as error:
            answer.set_exception(error)
