"""The display: the newest frame on a screen, at the screen's own pace."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from edgecam.backoff import Backoff
from edgecam.errors import SinkError, WorkerStuck
from edgecam.ports import Clock, Sink
from edgecam.sinks.screen import Screen
from edgecam.types import AnnotatedFrame
from edgecam.worker import Worker

log = logging.getLogger(__name__)

KEYS_TURN = 0.05
"""Longest wait for a frame, seconds: between two frames the keyboard is looked at so often."""
TURN = 0.5
"""Longest wait of one turn while there is no screen."""
LONGEST_WAIT = 10.0
"""Longest wait between two tries to open the screen: whoever plugs a monitor in is looking at it."""
STUCK_AFTER = 30.0
"""Seconds without a sign of life from a screen after which it is said to be stuck."""
CLOSE_LIMIT = 3.0
"""Seconds the screen has to end; the output thread waits for it within its own limit."""


class DisplaySink(Sink):
    """Shows frames, never waits for the screen and never fails because of it.

    A thread of its own owns the screen: it opens it, again and again where there is none, shows the newest frame and
    counts it in `shown`; `skipped` are those that a newer one overtook, or for which there was no screen. `state` says
    in words what is shown where, or why nothing is. The keys: `q` calls `on_quit`, in that thread, the space bar
    freezes the picture until it is pressed again.
    """

    def __init__(
        self,
        screen: Screen,
        clock: Clock,
        *,
        on_quit: Callable[[], None] | None = None,
        stuck_after: float = STUCK_AFTER,
        close_limit: float = CLOSE_LIMIT,
    ) -> None:
        self.on_quit = on_quit
        self._screen = screen
        self._clock = clock
        self._stuck_after = stuck_after
        self._close_limit = close_limit
        self._stuck = False
        self._written = 0
        self._shown_before = 0
        self._worker: DisplayWorker | None = None

    @property
    def shown(self) -> int:
        """Frames that were shown."""
        return self._shown_before + (self._worker.shown if self._worker else 0)

    @property
    def skipped(self) -> int:
        """Frames that were taken and not shown; the newest may still be."""
        return self._written - self.shown

    @property
    def state(self) -> str:
        """What the display does, in plain words; once it is closed, what it did last."""
        if self._worker is None:
            return "not opened"
        if self._stuck:
            return f"stuck: the screen has not answered for {monotonic() - self._worker.beat:.0f} s"
        return f"failed: {self._worker.fault}" if self._worker.fault else self._worker.state

    def summary(self) -> dict[str, str | int]:
        """What became of it, for a report."""
        return {"state": self.state, "shown": self.shown, "skipped": self.skipped}

    def open(self) -> None:
        if self._worker is not None:
            if self._worker.is_alive() and not self._worker.stopping.is_set():
                return
            if self._worker.is_alive():
                raise SinkError("display: the screen of before still hangs")
            self._shown_before += self._worker.shown
        self._worker = DisplayWorker(self._screen, self._clock, self._quit)
        self._worker.start()

    def write(self, annotated: AnnotatedFrame) -> None:
        if self._worker is None:
            raise SinkError("display: not open")
        self._written += 1
        self._worker.offer(annotated)
        self._look_after(self._worker)

    def close(self) -> None:
        if self._worker is None or self._worker.stopping.is_set():
            return
        self._worker.stopping.set()
        try:
            self._worker.join_within(self._close_limit)
        except WorkerStuck as error:
            raise SinkError(f"{error} (left behind)") from error

    def _look_after(self, worker: DisplayWorker) -> None:
        """Say once that the screen hangs, and once that it does no more."""
        stuck = worker.is_alive() and monotonic() - worker.beat > self._stuck_after
        if stuck != self._stuck:
            self._stuck = stuck
            log.warning("display: %s", self.state)

    def _quit(self) -> None:
        if self.on_quit is not None:
            self.on_quit()


class DisplayWorker(Worker):
    """The thread that owns the screen; nobody waits for it. `offer` may be called from any thread."""

    def __init__(self, screen: Screen, clock: Clock, on_quit: Callable[[], None]) -> None:
        super().__init__("display", on_exit=lambda: None)
        self.shown = 0
        self.state = "being opened"
        self._screen = screen
        self._clock = clock
        self._on_quit = on_quit
        self._newest: deque[AnnotatedFrame] = deque(maxlen=1)
        self._arrived = threading.Event()
        self._backoff = Backoff(limit=LONGEST_WAIT)
        self._is_open = False
        self._frozen = False

    def offer(self, annotated: AnnotatedFrame) -> None:
        """Let this be the next frame to be shown, instead of the one that still waits."""
        self._newest.append(annotated)
        self._arrived.set()

    def step(self) -> None:
        try:
            if self._is_open:
                self._show()
                self._obey()
            elif (wait := self._backoff.remaining(self._clock.monotonic())) > 0:
                self.stopping.wait(min(wait, TURN))
            else:
                self._open()
        except SinkError as error:
            self._lose(error)

    def teardown(self) -> None:
        self._screen.close()

    def _open(self) -> None:
        where = self._screen.open()
        self._is_open = True
        outage = self._backoff.succeeded(self._clock.monotonic())
        self.state = f"showing {where}"
        if outage:
            log.warning("display: back after %.1f s: %s", outage, self.state)
        else:
            log.info("display: %s", self.state)

    def _show(self) -> None:
        if not self._arrived.wait(KEYS_TURN):
            return
        self._arrived.clear()
        if self._newest and not self._frozen:
            annotated = self._newest.popleft()
            self._screen.show(annotated.image, annotated.frame.width, annotated.frame.height)
            self.shown += 1

    def _obey(self) -> None:
        pressed = self._screen.keys()
        for key in pressed:
            if key == "q":
                self._on_quit()
            elif key == "space":
                self._frozen = not self._frozen
                if not self._frozen:
                    self._arrived.set()

    def _lose(self, error: SinkError) -> None:
        self._is_open = False
        self._backoff.failed(self._clock.monotonic())
        if self.state != str(error):
            self.state = str(error)
            log.warning("display: %s", self.state)
        try:
            self._screen.close()
        except SinkError as closing:
            log.debug("display: while closing: %s", closing)
