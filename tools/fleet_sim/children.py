"""A process of the simulation that answers questions: how it is started, asked and ended."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from edgecam.errors import DeviceError

ANSWER_TIMEOUT = 120.0
"""Seconds that any answer may take: one of a machine that has far too much to do, too."""
STOP = "stop"
_SPAWN = multiprocessing.get_context("spawn")


class Child:
    """A process that runs `main(pipe, *arguments)`, which answers each message `(name, argument)` with one of its own.

    Use it as a context; at the end it is told to stop, and killed where it does not.
    """

    def __init__(self, main: Callable[..., None], *arguments: object) -> None:
        self._ours, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=main, args=(theirs, *arguments), daemon=True)
        self._theirs = theirs

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid or 0

    def tell(self, name: str, argument: object = None) -> None:
        """Send a message without waiting for the answer, which `answer` brings."""
        try:
            self._ours.send((name, argument))
        except OSError as error:
            raise DeviceError(f"the process {self._process.name} has ended: {error}") from error

    def answer(self) -> Any:
        """The answer to what was told. Raises DeviceError where there is none."""
        try:
            if self._ours.poll(ANSWER_TIMEOUT):
                return self._ours.recv()
        except (EOFError, OSError) as error:
            raise DeviceError(f"the process {self._process.name} has ended: see the lines above") from error
        raise DeviceError(f"the process {self._process.name} has said nothing for {ANSWER_TIMEOUT:g} s")

    def ask(self, name: str, argument: object = None) -> Any:
        """Send a message and wait for the answer. Raises DeviceError."""
        self.tell(name, argument)
        return self.answer()

    def __enter__(self) -> Child:
        self._process.start()
        self._theirs.close()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ours.close()  # who waits for a message then hears that there will be none
        self._process.join(30.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(10.0)


def messages(pipe: Connection, timeout: float) -> list[tuple[str, Any]]:
    """What has come, after at most `timeout` seconds; `STOP` where the other side has gone."""
    try:
        return [pipe.recv()] if pipe.poll(timeout) else []
    except (EOFError, OSError):
        return [(STOP, None)]
