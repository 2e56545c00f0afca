"""The life of a thread: setup, step until told to stop, teardown."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from edgecam.errors import EdgecamError, EndOfStream, RingClosed, WorkerStuck

log = logging.getLogger(__name__)


class Worker(threading.Thread):
    """One thread that owns its devices for its whole life.

    `ready` is set when `setup` is done or has failed; `fault` then holds the error that ended the thread, if any;
    `beat` is the monotonic time of the last turn, `beat_limit` how many seconds may pass until the next: beyond it the
    thread hangs (see `edgecam.supervision`). `camera` is the one that it works for, "" for all or none.
    `on_exit` is called, in this thread, whenever it ends.
    """

    turn_limit: float = 20.0
    """What `beat_limit` is at ordinary turns: far beyond the half second that one should take, since a busy SD card or
    a large model on a small board is slow, not hung."""
    open_limit: float = 60.0
    """The same while devices are opened, and while everything is released."""

    def __init__(self, name: str, on_exit: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self.ready = threading.Event()
        self.fault: BaseException | None = None
        self.beat = monotonic()
        self.beat_limit = self.turn_limit
        self.camera = ""
        self._changes: deque[Callable[[], None]] = deque()
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
                with self.allowing(self.open_limit):
                    self.setup()
                self.ready.set()
                while not self.stopping.is_set():
                    self.beat = monotonic()
                    while self._changes:
                        self._changes.popleft()()
                    self.step()
            except (RingClosed, EndOfStream):
                log.debug("%s: nothing more to do", self.name)
            finally:
                with self.allowing(self.open_limit):
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

    def between_turns(self, change: Callable[[], None]) -> None:
        """Have `change` called in this thread before its next turn. From any thread; never waits."""
        self._changes.append(change)

    @contextmanager
    def allowing(self, limit: float) -> Iterator[None]:
        """Give what follows, in this thread, `limit` seconds instead of a turn's."""
        before, self.beat_limit = self.beat_limit, limit
        self.beat = monotonic()
        try:
            yield
        finally:
            self.beat = monotonic()  # first: whoever looks in between must not take it for hung
            self.beat_limit = before

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
