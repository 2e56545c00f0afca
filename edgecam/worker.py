"""The life of a thread: setup, step until told to stop, teardown."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic

from edgecam.errors import EdgecamError, EndOfStream, RingClosed, WorkerStuck

log = logging.getLogger(__name__)


class Worker(threading.Thread):
    """One thread that owns its devices for its whole life.

    `ready` is set when `setup` is done or has failed; `fault` then holds the error that ended the thread, if any;
    `beat` is the monotonic time of the last turn. `on_exit` is called, in this thread, whenever it ends.
    """

    def __init__(self, name: str, on_exit: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self.ready = threading.Event()
        self.fault: BaseException | None = None
        self.beat = monotonic()
        self._on_exit = on_exit

    def setup(self) -> None:
        """Acquire what the thread needs, in the thread."""

    def step(self) -> None:
        """One turn; returns within about half a second. Raises EndOfStream or RingClosed when all is done."""

    def teardown(self) -> None:
        """Release everything; called also when `setup` failed."""

    def run(self) -> None:
        try:
            try:
                self.setup()
                self.ready.set()
                while not self.stopping.is_set():
                    self.beat = monotonic()
                    self.step()
            except (RingClosed, EndOfStream):
                log.debug("%s: nothing more to do", self.name)
            finally:
                self.teardown()
        except EdgecamError as error:
            self.fault = error
        except Exception as error:  # the one place: whatever else ends a thread is a bug and must be reported
            self.fault = error
            log.exception("%s failed", self.name)
        finally:
            self.ready.set()
            self._on_exit()

    def wake(self) -> None:
        """Interrupt a wait, where the thread has one that can be."""

    def stop_within(self, timeout: float) -> WorkerStuck | None:
        """Have the thread end and wait for it as `join_within` does; returns what that raises."""
        self.stopping.set()
        self.wake()
        try:
            self.join_within(timeout)
        except WorkerStuck as error:
            return error
        return None

    def join_within(self, timeout: float) -> None:
        """Wait for the end of the thread, as long as it makes progress.

        Raises WorkerStuck, which names it, where it takes no turn for `timeout` seconds: a slow machine may need long
        to drain what is under way (it is bounded), a hung device never ends.
        """
        if self.ident is None:
            return
        self.beat = max(self.beat, monotonic())
        while self.is_alive():
            left = self.beat + timeout - monotonic()
            if left <= 0:
                raise WorkerStuck(f"{self.name} is stuck: no sign of life for {timeout:g} s; its device hangs")
            self.join(min(left, 1.0))
