"""An outbox on a disk that hangs when it is told to, as a frozen one does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecam.outbox import Outbox

LIMIT = 60.0


class HangingOutbox(Outbox):
    """Every access waits from `hang` to `go_on`. `waits` says whether one does, `accesses` counts them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.accesses = 0
        self.waits = False
        self._runs = threading.Event()
        self._runs.set()

    def hang(self) -> None:
        self._runs.clear()

    def go_on(self) -> None:
        self._runs.set()

    @contextmanager
    def let_go_at_the_end(self) -> Iterator[None]:
        """Whatever becomes of the test, nobody is left waiting."""
        try:
            yield
        finally:
            self.go_on()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        self.accesses += 1
        self.waits = True
        assert self._runs.wait(LIMIT), "nobody let it go on"
        self.waits = False
        with super()._faults():
            yield
