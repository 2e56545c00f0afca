"""The service as systemd sees it: ready, alive, and how it is in a line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

from edgecam.app import App, Phase
from edgecam.backoff import Backoff
from edgecam.errors import SinkError
from edgecam.journal_faults import may_pass
from edgecam.pipeline import Pipeline
from edgecam.ports import Clock
from edgecam.systemd import Notifier

log = logging.getLogger(__name__)

T = TypeVar("T")

STATUS_EVERY = 5.0
"""Seconds between two looks at how it is."""
EXTEND_EVERY, EXTENSION = 5.0, 30.0
"""How often systemd is asked for more time while nothing can be analysed yet, and for how many seconds."""
RETRY_LIMIT = 5.0
"""Longest wait, seconds, between two tries at a disk that refuses."""


class Service:
    """Tells systemd what it wants to know of an App; `tick` is to be called by the App's `run`.

    READY once pictures of every camera that works are looked at, of one at least; as long as none is (no camera is
    there yet), and no thread hangs, systemd is asked for patience. The watchdog is petted twice in its time while no
    thread hangs; once one does it bites at once. The status is told when it changes.
    """

    def __init__(self, app: App, notifier: Notifier, clock: Clock) -> None:
        self._app = app
        self._notifier = notifier
        self._clock = clock
        self._began = monotonic()
        self._ready = False
        self._bitten = self._stopping = False
        self._pet_due = self._extend_due = self._status_due = float("-inf")
        self._said = ""
        self._captured: dict[str, int] = {}
        self._counted = self._began

    def tick(self) -> None:
        """Tell what is to be told now."""
        if not self._notifier.listening:
            return
        now = monotonic()
        if self._app.phase in (Phase.STOPPING, Phase.ENDED):
            self._stop()
            return
        if self._app.supervision.hung:
            self._bite()
        else:
            self._live(now)
        if now >= self._status_due:
            self._status_due = now + STATUS_EVERY
            self._say(self._status(now))

    def insist(self, start: Callable[[], None]) -> None:
        """Do what the start needs the disk for. Raises SinkError.

        As a service, try it again for as long as the disk refuses: systemd would give up on what fails at each start.
        """
        backoff = Backoff(limit=RETRY_LIMIT)
        while True:
            try:
                start()
            except SinkError as error:
                if not (self._notifier.listening and may_pass(error)):
                    raise
                if backoff.since is None:
                    log.error("%s; the start waits for it", error)
                self._say(f"waiting for the disk: {error}")
                self._notifier.extend(EXTENSION)
                sleep(backoff.failed(monotonic()))
            else:
                return

    def reload(self, read_again: Callable[[], T]) -> T:
        """Have the configuration read again, and tell systemd when that begins and ends. Raises what that raises."""
        if self._ready:
            self._notifier.reloading()
        try:
            return read_again()
        finally:
            if self._ready:
                self._notifier.ready()
            self._status_due = float("-inf")

    def _live(self, now: float) -> None:
        if not self._ready and self._is_ready():
            self._ready = True
            self._status_due = now
            self._notifier.ready()
            log.info("ready, after %.1f s", now - self._began)
        if not self._ready and now >= self._extend_due:
            self._extend_due = now + EXTEND_EVERY
            self._notifier.extend(EXTENSION)
        if self._notifier.watchdog is not None and now >= self._pet_due:
            self._pet_due = now + self._notifier.watchdog / 2
            self._notifier.pet()

    def _is_ready(self) -> bool:
        pipelines = self._app.pipelines
        seeing = [pipeline.ready for pipeline in pipelines]
        return any(seeing) and all(ready or _lost(each) for ready, each in zip(seeing, pipelines, strict=True))

    def _bite(self) -> None:
        self._say(f"hangs, and is restarted: {', '.join(self._app.supervision.hung)}")
        if self._notifier.watchdog is not None and not self._bitten:
            self._bitten = True
            self._notifier.bite()

    def _stop(self) -> None:
        if self._app.phase is Phase.STOPPING and not self._stopping:
            self._stopping = True
            self._notifier.stopping()
            self._say("stopping")
        elif self._app.phase is Phase.ENDED:
            self._notifier.close()

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._notifier.status(text)

    def _status(self, now: float) -> str:
        if self._app.phase is Phase.STARTING:
            return f"starting {', '.join(pipeline.name for pipeline in self._app.pipelines)}"
        reasons = self._reasons()
        if not self._ready:
            return "waiting for a first picture" + "".join(f"; {reason}" for reason in reasons)
        elapsed, self._counted = now - self._counted, now
        cameras = [self._camera(pipeline, elapsed) for pipeline in self._app.pipelines]
        return "; ".join([f"degraded: {'; '.join(reasons)}"] * bool(reasons) + cameras)

    def _camera(self, pipeline: Pipeline, elapsed: float) -> str:
        """How one camera is, in words: frame rate, detector, events."""
        counts, info = pipeline.counters(), pipeline.detect.info
        captured = counts.frames_captured - self._captured.get(pipeline.name, 0)
        self._captured[pipeline.name] = counts.frames_captured
        detector = f"{info.model} on {info.device or 'no device'}" if info else "no detector"
        if not pipeline.switches["detect"]:
            detector = "detection is off"
        rate = captured / elapsed if elapsed > 0 else 0.0
        return f"{pipeline.name}: {rate:.0f} fps, {detector}, {counts.events} events"

    def _reasons(self) -> list[str]:
        from edgecam.health.status import StatusReport

        return StatusReport(self._clock).document(self._app.facts()).reasons


def _lost(pipeline: Pipeline) -> bool:
    return pipeline.capture.lost_since is not None or pipeline.detect.lost_since is not None
