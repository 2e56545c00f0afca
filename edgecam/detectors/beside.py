"""A thread that runs the interpreter on one picture, while its owner makes something of the one before."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecam.errors import DetectorError

_TURN = 0.5
_LAST_WAIT = 2.0


class Outputs(NamedTuple):
    """What came of one input: the output tensors, in the model's order, and the seconds of the invoke alone."""

    tensors: list[NDArray[np.generic]]
    seconds: float


class Engine(Protocol):
    """An interpreter, for one thread at a time. Both raise DetectorError."""

    def load(self, tensor: NDArray[np.generic]) -> None:
        """Take the input."""

    def run(self) -> Outputs:
        """Run it on what was loaded."""


class Beside:
    """Runs an engine on tensors, in order, in a thread of its own, from `start` to `close`; nobody else may meanwhile.

    The invoke does not hold Python's lock; all between two invokes does. So an answer is handed over only when the
    next tensor is loaded: its owner would take the lock, and the interpreter would wait for what its owner makes of it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tensors: SimpleQueue[NDArray[np.generic] | None] = SimpleQueue()
        self._answers: SimpleQueue[Outputs | DetectorError] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="invoke", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, tensor: NDArray[np.generic]) -> None:
        """Hand in an input, which must not change until it is collected."""
        self._tensors.put(tensor)

    def collect(self) -> Outputs:
        """What came of the oldest input; there must be one. Waits however long that takes.

        Raises the engine's DetectorError, or one where the thread has ended: nothing more comes then.
        """
        while True:
            with suppress(Empty):
                answer = self._answers.get(timeout=_TURN)
                break
            if not self._thread.is_alive() and self._answers.empty():
                raise DetectorError("the thread that runs the model has ended")
        if isinstance(answer, DetectorError):
            raise answer
        return answer

    def close(self) -> bool:
        """End the thread; what is under way is lost. False where an invoke hangs: the thread is left behind then."""
        with suppress(Empty):
            while True:
                self._tensors.get_nowait()
        self._tensors.put(None)
        self._thread.join(_LAST_WAIT)
        return not self._thread.is_alive()

    def _work(self) -> None:
        done: Outputs | None = None
        try:
            while True:
                if done is not None and self._tensors.empty():
                    self._answers.put(done)
                    done = None
                tensor = self._tensors.get()
                if tensor is None:
                    return
                self._engine.load(tensor)
                if done is not None:
                    self._answers.put(done)
                done = None
                done = self._engine.run()
        except DetectorError as error:
            if done is not None:
                self._answers.put(done)
            self._answers.put(error)
