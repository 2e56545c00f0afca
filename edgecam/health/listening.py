"""What the status socket and the metrics have in common: a thread that listens, and tries again where it cannot."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable

from edgecam.backoff import Backoff
from edgecam.errors import DeviceError
from edgecam.ports import Clock
from edgecam.worker import Worker

log = logging.getLogger(__name__)

TURN = 0.5
"""Longest wait of one turn, seconds."""


class ListeningWorker(Worker):
    """Listens, and serves whoever comes. What keeps it from listening is told as `trouble` and never ends the thread:
    edgecam sees and records as well when nobody can ask how it is."""

    def __init__(self, name: str, clock: Clock, on_exit: Callable[[], None]) -> None:
        super().__init__(name, on_exit)
        self.trouble = ""
        self._clock = clock
        self._backoff = Backoff()
        self._listening = False

    def step(self) -> None:
        if not self._listening and not self._begin():
            self.stopping.wait(min(TURN, self._backoff.remaining(self._clock.monotonic())))
            return
        self.serve()

    def teardown(self) -> None:
        self._listening = False
        self.close()

    @abstractmethod
    def listen(self) -> None:
        """Begin to listen. Raises DeviceError."""

    @abstractmethod
    def serve(self) -> None:
        """Wait for whoever comes, half a second at most, and serve who is there."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening. Safe to call twice."""

    def _begin(self) -> bool:
        now = self._clock.monotonic()
        if self._backoff.remaining(now) > 0:
            return False
        try:
            self.listen()
        except DeviceError as error:
            self.close()
            self._backoff.failed(now)
            if str(error) != self.trouble:
                log.warning("%s", error)
            self.trouble = str(error)
            return False
        if self.trouble:
            log.warning("%s: listening after %.0f s", self.name, self._backoff.succeeded(now))
        self.trouble, self._listening = "", True
        return True
