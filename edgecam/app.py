"""The composition root: configuration to objects; start, wait, stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from types import FrameType

from edgecam import cameras, detectors, sinks
from edgecam.config import CameraConfig, Config
from edgecam.detectors.process import ProcessOptions
from edgecam.errors import ConfigError, WorkerStuck
from edgecam.events import EventRules, frigate_event_id
from edgecam.filters import Filter, Filters
from edgecam.journal import Journal
from edgecam.marks import named_marks
from edgecam.messaging import Messaging
from edgecam.models import Model, labels_for, load, pair_of, resolve
from edgecam.overlay import Overlay
from edgecam.pipeline import Counters, Pipeline, PipelineParts
from edgecam.ports import Clock, Detector, Sink
from edgecam.sinks import screen
from edgecam.sinks.display import DisplaySink
from edgecam.sinks.gated import GatedSink
from edgecam.sinks.requested import RequestedSnapshotSink
from edgecam.sinks.snapshot import SnapshotSink
from edgecam.tracker import Tracker
from edgecam.types import DetectorInfo

log = logging.getLogger(__name__)

JOURNAL = "edgecam.db"
"""The journal's file in the data folder."""

EXIT_AT_ONCE = 1
"""Exit code after a second signal."""


class App:
    """Runs the pipelines until they are done, one of them fails, or somebody asks to stop. The main thread owns it.

    `display` is one of the pipelines' sinks, where there is one: whoever sits at it may ask to stop. `messaging` sends
    what the pipelines have to say: it starts before them and stops after them.
    """

    def __init__(
        self,
        pipelines: Sequence[Pipeline],
        changed: threading.Event,
        display: DisplaySink | None = None,
        messaging: Messaging | None = None,
    ) -> None:
        self.pipelines = list(pipelines)
        self.display = display
        self.messaging = messaging
        if display is not None:
            display.on_quit = self.stop
        self._changed = changed
        self._stopping = False

    def run(self, tick: Callable[[], None] = lambda: None) -> None:
        """Start, wait and stop; `tick` is called several times a second from the main thread.

        Raises what ended a pipeline, or WorkerStuck. SIGINT and SIGTERM end it in good order, a second one at once.
        """
        with self._signals():
            try:
                if self.messaging:
                    self.messaging.start()
                for pipeline in self.pipelines:
                    pipeline.start()
                self._wait(tick)
            finally:
                stuck = [error for pipeline in self.pipelines for error in pipeline.stop()]
                if self.messaging:
                    stuck += self.messaging.stop()
        tick()
        self._raise_fault(stuck)

    def stop(self) -> None:
        """Ask for an orderly end. May be called from any thread and from a signal handler."""
        self._stopping = True
        self._changed.set()

    def counters(self) -> dict[str, Counters]:
        """The counts of each camera."""
        return {pipeline.name: pipeline.counters() for pipeline in self.pipelines}

    def detectors(self) -> dict[str, DetectorInfo | None]:
        """What looks at each camera's pictures now; None before it was opened."""
        return {pipeline.name: pipeline.detect.info for pipeline in self.pipelines}

    def _wait(self, tick: Callable[[], None]) -> None:
        while not self._stopping:
            self._changed.wait(0.2)
            self._changed.clear()
            tick()
            if self.messaging:
                self.messaging.tick(self.pipelines)
            if self._faults() or all(pipeline.done for pipeline in self.pipelines):
                return

    def _faults(self) -> list[BaseException]:
        found = [pipeline.fault for pipeline in self.pipelines]
        if self.messaging:
            found.append(self.messaging.publisher.fault)
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
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
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


def tidy(config: Config, clock: Clock) -> None:
    """Put right, before anything runs, what a crash or a power cut left behind. Raises SinkError."""
    if not config.journal.enabled:
        return
    with closing(Journal(config.data_dir / JOURNAL, outbox=config.mqtt.enabled, clock=clock)) as journal:
        journal.open()
        cut = journal.close_open_events("edgecam had stopped without ending it")
    if cut:
        log.warning("%d events were left open by the last run: marked as cut", cut)


def build(config: Config, clock: Clock) -> App:
    """Make the objects that the configuration names. No device is opened yet. Raises ConfigError, ModelError."""
    if not config.enabled_cameras:
        raise ConfigError("no camera to run: add a [cameras.NAME] section, or set enabled = true in one")
    changed = threading.Event()
    model = resolve(config.detector.model, folders=model_folders(config))
    announce(model)
    display = build_display(config, clock)
    parts = [build_parts(config, name, camera, model, clock) for name, camera in config.enabled_cameras.items()]
    messaging = build_messaging(config, model, parts, clock, changed.set)
    parts = [replace(each, sinks=build_sinks(config, each, messaging)) for each in parts]
    parts[0] = with_display(parts[0], display)
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
    return App(pipelines, changed, display, messaging)


def model_folders(config: Config) -> tuple[Path, ...]:
    """Where this configuration has models of its own."""
    return (config.data_dir / "models",)


def announce(model: Model) -> None:
    """Say what the user of this model should know."""
    if model.note:
        log.warning("%s: %s", model.name, model.note)


def build_parts(config: Config, name: str, camera: CameraConfig, model: Model, clock: Clock) -> PipelineParts:
    """What one camera's pipeline is made of, but for its sinks."""
    input_size = load(model.path).input_size
    rules = build_rules(config, name, camera, clock)
    return PipelineParts(
        name=name,
        camera=cameras.create(camera.type, **camera.options(), lores_size=input_size, clock=clock),
        detector=build_detector(config, model),
        tracker=Tracker(**config.tracker.model_dump(), high_score=rules.lowest_threshold),
        rules=rules,
        sinks=(),
        overlay=build_overlay(config),
        clock=clock,
        caution="rendered scenes only" if model.note else "",
    )


def build_rules(config: Config, name: str, camera: CameraConfig, clock: Clock) -> EventRules:
    """The event rules of one camera."""
    options, random = config.events, Random()
    own = {label: Filter(**options.filter(label)) for label in {*options.thresholds, *options.filters}}
    return EventRules(
        name,
        filters=Filters(Filter(**options.filter()), own, frozenset(options.labels), frozenset(options.exclude_labels)),
        marks=named_marks(**camera.marks()),
        **options.timing(),
        clock=clock,
        new_id=lambda started: frigate_event_id(started, random),
    )


def build_detector(config: Config, model: Model) -> Detector:
    """The detector that the configuration names. Raises ModelError where the model does not suit the device."""
    options = config.detector
    labels = Path(options.labels) if options.labels else model.labels
    processes = ProcessOptions(runtime=options.runtime, threads=options.threads, **config.edgetpu.model_dump())
    folders = model_folders(config)
    return detectors.choose(options.device, model, labels, processes, isolate=options.isolate, folders=folders)


def build_overlay(config: Config) -> Overlay | None:
    """What draws on the picture; None where nothing is to be drawn."""
    options = config.overlay
    if not options.enabled:
        return None
    return Overlay(show_labels=options.labels, show_clock=options.clock, show_status=options.status)


def build_display(config: Config, clock: Clock) -> DisplaySink | None:
    """The display that the configuration names, one for all cameras. Raises InputError where its library is missing."""
    if not config.display.enabled:
        return None
    return DisplaySink(screen.create(**config.display.model_dump(exclude={"enabled"})), clock)


def with_display(parts: PipelineParts, display: DisplaySink | None) -> PipelineParts:
    """The same parts, and the display."""
    return parts if display is None else replace(parts, sinks=[*parts.sinks, display])


def build_messaging(
    config: Config, model: Model, parts: Sequence[PipelineParts], clock: Clock, on_exit: Callable[[], None]
) -> Messaging | None:
    """What speaks to the broker; None where that is not wanted. Raises ConfigError."""
    if not config.mqtt.enabled:
        return None
    chosen = Path(config.detector.labels) if config.detector.labels else None
    known = labels_for(pair_of(model, model_folders(config)), chosen).names
    switches = {each.name: each.switches for each in parts}
    return Messaging(config, config.data_dir / JOURNAL, known, switches, clock, on_exit)


def build_sinks(config: Config, parts: PipelineParts, messaging: Messaging | None) -> list[Sink]:
    """The ways out of one camera's pipeline, the journal first: it remembers, whatever happens to the others."""
    data, camera, clock, made = config.data_dir, parts.name, parts.clock, []
    shots = data / "snapshots" if config.snapshots.enabled else None
    told = messaging.sink(camera) if messaging else None
    if config.journal.enabled:
        sending = {"outbox": True, "on_record": messaging.publisher.wake} if messaging else {}
        made.append(sinks.create("journal", path=data / JOURNAL, snapshots=shots, clock=clock, **sending))
    if config.jsonl.enabled:
        made.append(sinks.create("jsonl", path=data / "events" / f"{camera}.jsonl"))
    if told:
        made.append(told)
    if shots:
        saved = {"on_saved": told.saved} if told else {}
        made.append(SnapshotSink(shots, quality=config.snapshots.quality, switches=parts.switches, **saved))
    if messaging and told:
        quality, folder = config.snapshots.quality, data / "snapshots"
        pictures = RequestedSnapshotSink(
            folder, camera, clock, quality=quality, on_saved=told.saved, on_failed=told.failed
        )
        messaging.takes_pictures(camera, pictures)
        made.append(pictures)
    if config.video.enabled:
        started = clock.wall(clock.monotonic())
        path = data / "video" / camera / f"{started:%Y-%m-%d}" / f"{started:%H-%M-%S}.mp4"
        video = sinks.create("video", path=path, **config.video.model_dump(exclude={"enabled"}))
        made.append(GatedSink(video, parts.switches, "recordings"))
    return made
