"""What other threads want the main thread to do, and wait for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from edgecam.errors import EdgecamError

T = TypeVar("T")

PATIENCE = 15.0
"""Longest wait for an errand, seconds: several turns of the main thread, and a configuration read on a slow card."""


class Errands:
    """A queue of calls; `wake` has the thread that calls `run` look at it soon. Who asks waits: one call a thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()

    def ask(self, action: Callable[[], T], timeout: float = PATIENCE) -> T:
        """Have it done, and return or raise what it does. Raises EdgecamError where it is not done in time."""
        answer: Future[T] = Future()
        self._waiting.append((action, answer))
        self._wake()
        try:
            return answer.result(timeout)
        except TimeoutError:
            answer.cancel()  # what has not begun is not begun any more
            raise EdgecamError(f"edgecam is busy and did not come to it within {timeout:g} s: try again") from None

    def run(self) -> None:
        """Do what was asked for. A fault of ours goes to whoever asked, any other is a bug and raised here."""
        while self._waiting:
            action, answer = self._waiting.popleft()
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                answer.set_result(action())
            except EdgecamError as error:
                answer.set_exception(error)
