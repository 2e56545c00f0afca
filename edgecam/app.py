"""The composition root: configuration to objects; start, wait, stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from edgecam.clip_files import FOLDERS, settle_interrupted
from edgecam.clip_store import ClipStore
from edgecam.composition import (
    JOURNAL,
    announce,
    build_awaited,
    build_display,
    build_housekeeping,
    build_inference,
    build_messaging,
    build_parts,
    build_sinks,
    build_viewing,
    model_folders,
    with_display,
)
from edgecam.condition import detector_losses, gather
from edgecam.config import Config
from edgecam.errands import Errands
from edgecam.errors import ConfigError, WorkerStuck
from edgecam.health.facts import Facts
from edgecam.health.services import Health
from edgecam.housekeeping import HousekeepingWorker
from edgecam.journal import Journal
from edgecam.models import resolve
from edgecam.parking import Parking, record_parked
from edgecam.pipeline import Counters, Pipeline
from edgecam.ports import Clock
from edgecam.sinks.display import Display
from edgecam.supervision import Supervision
from edgecam.types import DetectorInfo
from edgecam.worker import Worker

if TYPE_CHECKING:
    from edgecam.messaging import Messaging

log = logging.getLogger(__name__)

EXIT_AT_ONCE = 1
"""Exit code after a second signal."""
STOP_TIMEOUT = 10.0
"""How long, in seconds, the publisher and the housekeeping may show no life while they stop."""


class Phase(StrEnum):
    """Where an App is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


class App:
    """Runs the pipelines until they are done, one of them fails, or somebody asks to stop. The main thread owns it.

    `display` is where they are shown, where there is one: whoever sits at it may ask to stop. `messaging` sends
    what the pipelines have to say, `housekeeping` keeps the disk in order. They are among the `services`, the threads
    that start before the pipelines and stop after them; more may be added until `run`. `folder` is the one with
    edgecam's data. `on_hangup` is what SIGHUP does, in the main thread, `on_reload` what `reload` does. `supervision`
    knows who hangs, `errands` is what others want done in the main thread.
    """

    def __init__(
        self,
        pipelines: Sequence[Pipeline],
        changed: threading.Event,
        display: Display | None = None,
        messaging: Messaging | None = None,
        housekeeping: HousekeepingWorker | None = None,
        *,
        folder: Path = Path(),
    ) -> None:
        self.pipelines = list(pipelines)
        self.phase = Phase.STARTING
        self.display = display
        self.messaging = messaging
        self.housekeeping = housekeeping
        self.health: Health | None = None
        self.services: list[Worker] = [*([messaging.publisher] if messaging else []), *filter(None, [housekeeping])]
        self.supervision = Supervision([])
        self.errands = Errands(changed.set)
        self.on_hangup: Callable[[], None] | None = None
        self.on_reload: Callable[[], list[str]] = list
        self._folder = folder
        if display is not None:
            display.on_quit = self.stop
        self._changed = changed
        self._stopping = False
        self._on_terminal = False
        self._hung_up = False

    def run(self, tick: Callable[[], None] = lambda: None) -> None:
        """Start, wait and stop; `tick` is called several times a second from the main thread, and in each phase.

        Raises what ended a pipeline, or WorkerStuck. SIGINT and SIGTERM end it in good order, a second one at once.
        """
        self.supervision = Supervision(self.workers)

        def turn() -> None:
            self.supervision.look()
            tick()

        with self._signals():
            try:
                turn()
                for service in self.services:
                    service.start()
                for pipeline in self.pipelines:
                    pipeline.start(turn)
                self.phase = Phase.RUNNING
                self._wait(turn)
            finally:
                self.phase = Phase.STOPPING
                tick()
                stuck = [error for pipeline in self.pipelines for error in pipeline.stop()]
                stuck += [error for service in reversed(self.services) if (error := service.stop_within(STOP_TIMEOUT))]
        self.phase = Phase.ENDED
        tick()
        self._raise_fault(stuck)

    @property
    def workers(self) -> list[Worker]:
        """All threads that must show life. Not the sinks on the disk: it may take its time."""
        return [*self.services, *(worker for pipeline in self.pipelines for worker in pipeline.workers)]

    def stop(self) -> None:
        """Ask for an orderly end. May be called from any thread and from a signal handler."""
        self._stopping = True
        self._changed.set()

    def reload(self) -> list[str]:
        """Read the configuration again, in the main thread; returns the keys that need a restart. From any other.

        Raises ConfigError, and EdgecamError where the main thread does not come to it.
        """
        return self.errands.ask(self.on_reload)

    def counters(self) -> dict[str, Counters]:
        """The counts of each camera."""
        return {pipeline.name: pipeline.counters() for pipeline in self.pipelines}

    def detectors(self) -> dict[str, DetectorInfo | None]:
        """What looks at each camera's pictures now; None before it was opened."""
        return {pipeline.name: pipeline.detect.info for pipeline in self.pipelines}

    def facts(self) -> Facts:
        """How everything is now."""
        facts = gather(self.pipelines, self.messaging, self.housekeeping, self._folder, self.health)
        hung = [f"{name} hangs" for name in self.supervision.hung]
        return replace(facts, troubles=[*facts.troubles, *hung]) if hung else facts

    def _wait(self, tick: Callable[[], None]) -> None:
        while not self._stopping:
            self._changed.wait(0.2)
            self._changed.clear()
            tick()
            self.errands.run()
            if self._hung_up:
                self._hung_up = False
                self._hang_up()
            if self.messaging:
                self.messaging.tick(self.facts)
            if self._faults() or all(pipeline.done for pipeline in self.pipelines):
                return

    def _faults(self) -> list[BaseException]:
        found = [pipeline.fault for pipeline in self.pipelines] + [service.fault for service in self.services]
        return [fault for fault in found if fault]

    def _raise_fault(self, stuck: list[WorkerStuck]) -> None:
        for fault in self._faults():
            raise fault
        if stuck:
            raise WorkerStuck("\n".join(map(str, stuck)))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._on_terminal = os.isatty(0)
        handlers: dict[int, Callable[[int, FrameType | None], None]] = {
            signal.SIGINT: self._on_signal,
            signal.SIGTERM: self._on_signal,
        }
        if self.on_hangup is not None:
            handlers[signal.SIGHUP] = self._on_sighup
        previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            os._exit(EXIT_AT_ONCE)
        log.info("%s: stopping", signal.Signals(number).name)
        self.stop()

    def _on_sighup(self, _number: int, _frame: FrameType | None) -> None:
        self._hung_up = True
        self._changed.set()

    def _hang_up(self) -> None:
        """SIGHUP has two meanings: to a service, read the configuration again; to others, the terminal is gone."""
        if self._on_terminal and not os.isatty(0):
            self.stop()
        elif self.on_hangup is not None:
            self.on_hangup()


def tidy(config: Config, clock: Clock) -> None:
    """Put right, before anything runs, what a crash or a power cut left behind. Raises SinkError.

    Clips first: the last message of an event that was cut says whether there is one. Then the events that the last run
    could not record, which may have the ends of others.
    """
    from edgecam.recording.adoption import adopt

    if not config.journal.enabled:
        return
    path = config.data_dir / JOURNAL
    with Journal(path, outbox=config.mqtt.enabled, clock=clock) as journal, ClipStore(path) as store:
        settled = sum(len(adopt(config.data_dir / folder, store, kind)) for folder, kind in FOLDERS.items())
        settled += settle_interrupted(store, config.data_dir)
        record_parked(Parking(path), journal)
        cut = journal.close_open_events("edgecam had stopped without ending it")
    if settled:
        log.warning("%d clips were left unfinished by the last run: brought to their end", settled)
    if cut:
        log.warning("%d events were left open by the last run: marked as cut", cut)


def build(config: Config, clock: Clock, path: Path | None = None) -> App:
    """Make the objects that the configuration, from the file at `path`, names. No device is opened yet.

    Raises ConfigError, ModelError.
    """
    if not config.enabled_cameras:
        raise ConfigError("no camera to run: add a [cameras.NAME] section, or set enabled = true in one")
    changed = threading.Event()
    model = resolve(config.detector.model, folders=model_folders(config))
    announce(model)
    display = build_display(config, clock)
    inference, cameras = build_inference(config, model, changed.set), config.enabled_cameras
    parts = [build_parts(config, name, camera, model, clock, inference) for name, camera in cameras.items()]
    messaging = build_messaging(config, model, parts, clock, changed.set)
    viewing, awaited = build_viewing(config, model, path), build_awaited(config, clock)
    parts = [replace(each, sinks=build_sinks(config, each, messaging, awaited, viewing)) for each in parts]
    parts = [with_display(each, display) for each in parts]
    pipelines = [
        Pipeline(
            each,
            changed.set,
            ring_frames=config.pipeline.ring_frames,
            output_wait=config.pipeline.output_wait,
            stop_timeout=config.pipeline.stop_timeout,
        )
        for each in parts
    ]
    housekeeping = build_housekeeping(config, clock, changed.set)
    app = App(pipelines, changed, display, messaging, housekeeping, folder=config.data_dir)
    app.health = Health(config, app.facts, lambda: detector_losses(app.pipelines), clock, changed.set)
    if viewing:
        app.health.servers.append(viewing.worker(app.facts, app.reload, clock, changed.set))
    app.services += [*([inference] if inference else []), *app.health.workers]
    return app
