"""The thread that owns the screen: opens it, draws on it at its own pace, and obeys the keyboard."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from edgecam.backoff import Backoff
from edgecam.errors import SinkError
from edgecam.ports import Clock
from edgecam.sinks.display_view import View
from edgecam.sinks.screen import Screen
from edgecam.worker import Worker

log = logging.getLogger(__name__)

KEYS_TURN = 0.05
"""Longest wait for a frame, seconds: between two frames the keyboard is looked at so often."""
TURN = 0.5
"""Longest wait of one turn while there is no screen."""
LONGEST_WAIT = 10.0
"""Longest wait between two tries to open the screen: whoever plugs a monitor in is looking at it."""


class DisplayWorker(Worker):
    """Shows what the view makes of the newest frames, at most `fps` times a second; nobody waits for it."""

    def __init__(self, screen: Screen, view: View, clock: Clock, on_quit: Callable[[], None], fps: float) -> None:
        super().__init__("display", on_exit=lambda: None)
        self.state = "being opened"
        self.interval = 1 / fps
        self._screen = screen
        self._view = view
        self._clock = clock
        self._on_quit = on_quit
        self._arrived = threading.Event()
        self._backoff = Backoff(limit=LONGEST_WAIT)
        self._is_open = False
        self._frozen = False
        self._due = 0.0

    def look(self) -> None:
        """Say that there is something new to show. From any thread."""
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
        self._frozen = False
        self._view.forget()
        outage = self._backoff.succeeded(self._clock.monotonic())
        self.state = f"showing {where}"
        if outage:
            log.warning("display: back after %.1f s: %s", outage, self.state)
        else:
            log.info("display: %s", self.state)

    def _show(self) -> None:
        """Wait for something new, then for its time to be drawn; half an interval early is in time.

        So a camera as fast as the screen is shown frame by frame, though none comes to the millisecond.
        """
        if self._frozen:
            self.stopping.wait(KEYS_TURN)
            return
        self._arrived.wait(KEYS_TURN)
        now = self._clock.monotonic()
        if (early := self._due - self.interval / 2 - now) > 0:
            self.stopping.wait(min(early, KEYS_TURN))
            now = self._clock.monotonic()
        if now < self._due - self.interval / 2:
            return
        self._arrived.clear()
        image = self._view.compose(now, self._screen.size)
        if image is not None:
            self._due = max(self._due + self.interval, now)
            self._screen.show(image, image.shape[1], image.shape[0] // 3 * 2)
            self._view.count_shown()

    def _obey(self) -> None:
        pressed = self._screen.keys()
        for key in pressed:
            if key == "q":
                self._on_quit()
            elif key == "space":
                self._frozen = not self._frozen
            elif self._view.obey(key):
                self._frozen = False

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
