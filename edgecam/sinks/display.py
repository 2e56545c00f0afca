"""The display: the newest frames of all cameras on one screen, at the screen's own pace."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock
from time import monotonic

from edgecam.errors import SinkError, WorkerStuck
from edgecam.ports import Clock, Sink
from edgecam.sinks.display_view import Layout, Seat, View
from edgecam.sinks.display_worker import DisplayWorker
from edgecam.sinks.screen import Screen
from edgecam.types import AnnotatedFrame

log = logging.getLogger(__name__)

STUCK_AFTER = 30.0
"""Seconds without a sign of life from a screen after which it is said to be stuck."""
CLOSE_LIMIT = 3.0
"""Seconds the screen has to end; the output thread waits for it within its own limit."""


class Display:
    """Shows the newest frames of `cameras`, never waits for the screen and never fails because of it.

    Each camera's frames come in by its own sink, `sink`. A thread of its own owns the screen while any of the sinks is
    open: it opens it, again and again where there is none, and draws at most `fps` times a second, one camera or all
    (see `View`). It counts the frames it has shown in `shown`; `skipped` are those that a newer one overtook, of
    cameras that were not on the screen, or for which there was none. `state` says in words what is shown where, or why
    nothing is. The keys: `q` calls `on_quit`, in that thread, the space bar freezes the picture until it is pressed
    again, the others choose (see `View.obey`).
    """

    def __init__(
        self,
        screen: Screen,
        clock: Clock,
        cameras: Sequence[str],
        *,
        layout: Layout = "grid",
        camera: str = "",
        fps: float = 30.0,
        stuck_after: float = STUCK_AFTER,
        close_limit: float = CLOSE_LIMIT,
    ) -> None:
        self.on_quit: Callable[[], None] | None = None
        self._clock = clock
        self._screen = screen
        self._view = View(cameras, layout, camera)
        self._fps = fps
        self._stuck_after = stuck_after
        self._close_limit = close_limit
        self._stuck = False
        self._worker: DisplayWorker | None = None
        self._users: set[str] = set()
        self._lock = Lock()

    @property
    def shown(self) -> int:
        """Frames that were shown."""
        return sum(seat.shown for seat in self._view.seats)

    @property
    def skipped(self) -> int:
        """Frames that were taken and not shown; the newest may still be."""
        return sum(seat.written - seat.shown for seat in self._view.seats)

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

    def sink(self, camera: str) -> DisplaySink:
        """The way in for a camera's frames. Raises KeyError for one that is not among the display's."""
        return DisplaySink(self, camera)

    def seat(self, camera: str) -> Seat:
        """Where a camera's newest frame waits. Raises KeyError."""
        return {seat.name: seat for seat in self._view.seats}[camera]

    def arrange(self, layout: Layout, camera: str, fps: float) -> None:
        """Show something else from now on, at another pace. From any thread."""
        self._fps = fps

        def change() -> None:
            self._view.arrange(layout, camera)
            if self._worker is not None:
                self._worker.interval = 1 / fps

        if self._worker is None or not self._worker.is_alive():
            change()
        else:
            self._worker.between_turns(change)

    def enter(self, camera: str) -> None:
        """Have the screen taken, where it is not yet. Raises SinkError."""
        with self._lock:
            worker = self._worker
            if worker is None or not worker.is_alive():
                self._worker = worker = DisplayWorker(self._screen, self._view, self._clock, self._quit, self._fps)
                worker.start()
            elif worker.stopping.is_set():
                raise SinkError("display: the screen of before still hangs")
            self._users.add(camera)

    def leave(self, camera: str) -> None:
        """Have the screen given back, where no other camera is shown on it. Raises SinkError where it hangs."""
        with self._lock:
            self._users.discard(camera)
            worker = self._worker
            if self._users or worker is None or worker.stopping.is_set():
                return
            worker.stopping.set()
        try:
            worker.join_within(self._close_limit)
        except WorkerStuck as error:
            raise SinkError(f"{error} (left behind)") from error

    def take(self, seat: Seat, annotated: AnnotatedFrame) -> None:
        """Let this be a camera's newest frame. Raises SinkError before the first `enter`."""
        worker = self._worker
        if worker is None:
            raise SinkError("display: not open")
        seat.offer(annotated, self._clock.monotonic())
        if seat in self._view.visible:
            worker.look()
        stuck = worker.is_alive() and monotonic() - worker.beat > self._stuck_after
        if stuck != self._stuck:
            self._say(stuck=stuck)

    def _say(self, *, stuck: bool) -> None:
        """Say once that the screen hangs, and once that it does no more."""
        with self._lock:
            if stuck == self._stuck:
                return
            self._stuck = stuck
        log.warning("display: %s", self.state)

    def _quit(self) -> None:
        if self.on_quit is not None:
            self.on_quit()


class DisplaySink(Sink):
    """One camera's frames on their way to the display; takes any number of them and waits for nothing."""

    name = "display"

    def __init__(self, display: Display, camera: str) -> None:
        """Raises KeyError for a camera that is not among the display's."""
        self._display = display
        self._seat = display.seat(camera)

    def open(self) -> None:
        self._display.enter(self._seat.name)

    def write(self, annotated: AnnotatedFrame) -> None:
        self._display.take(self._seat, annotated)

    def close(self) -> None:
        self._display.leave(self._seat.name)
