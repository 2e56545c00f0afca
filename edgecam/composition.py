"""The parts of edgecam, made from the configuration. No device is opened here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from edgecam import cameras, detectors, sinks
from edgecam.clip_store import ClipKind, ClipStore
from edgecam.config import CameraConfig, Config
from edgecam.detectors.process import ProcessOptions
from edgecam.detectors.tiled import suited
from edgecam.event_store import EventStore
from edgecam.event_upkeep import EventUpkeep
from edgecam.events import EventRules, frigate_event_id
from edgecam.filters import Filter, Filters
from edgecam.housekeeping import HousekeepingWorker
from edgecam.inference import InferenceWorker
from edgecam.marks import named_marks
from edgecam.models import Model, labels_for, load, pair_of
from edgecam.overlay import Overlay
from edgecam.parking import Parking
from edgecam.pipeline import PipelineParts
from edgecam.ports import Clock, Detector, Sink
from edgecam.retention import Policy
from edgecam.sinks import screen
from edgecam.sinks.awaited import Awaited
from edgecam.sinks.display import Display
from edgecam.sinks.gated import GatedSink
from edgecam.sinks.requested import RequestedSnapshotSink
from edgecam.sinks.snapshot import SnapshotSink
from edgecam.switches import Switches
from edgecam.tiling import Tiling
from edgecam.tracker import Tracker
from edgecam.worker import Worker

if TYPE_CHECKING:
    from edgecam.live_feed import LiveFeed
    from edgecam.messaging import Messaging
    from edgecam.viewing import Viewing

log = logging.getLogger(__name__)

JOURNAL = "edgecam.db"
"""The journal's file in the data folder."""
CLIPS, SNAPSHOTS = "clips", "snapshots"
"""Folders in the data folder."""


def model_folders(config: Config) -> tuple[Path, ...]:
    """Where this configuration has models of its own."""
    return (config.data_dir / "models",)


def announce(model: Model) -> None:
    """Say what the user of this model should know."""
    if model.note:
        log.warning("%s: %s", model.name, model.note)


def build_parts(
    config: Config,
    name: str,
    camera: CameraConfig,
    model: Model,
    clock: Clock,
    inference: InferenceWorker | None = None,
) -> PipelineParts:
    """What one camera's pipeline is made of, but for its sinks; with `inference` it shares that one's detector."""
    input_size = load(model.path).input_size
    rules = build_rules(config, name, camera, clock)
    return PipelineParts(
        name=name,
        camera=cameras.create(camera.type, **camera.options(), lores_size=input_size, clock=clock),
        detector=suited(
            inference.share(name, camera.detector_share) if inference else build_detector(config, model),
            model,
            Tiling.parse(config.detector.tiles, config.detector.tile_overlap),
        ),
        tracker=Tracker(**config.tracker.model_dump(), high_score=rules.lowest_threshold),
        rules=rules,
        sinks=(),
        overlay=build_overlay(config),
        clock=clock,
        caution="rendered scenes only" if model.note else "",
        switches=build_switches(config),
        open_limit=open_limit(config),
    )


def build_switches(config: Config) -> Switches:
    """The switches of one camera; off for good is what nothing stands behind."""
    behind = {
        "recordings": config.clips.enabled or config.continuous.enabled or config.video.enabled,
        "snapshots": config.snapshots.enabled,
    }
    return Switches(absent=[name for name, there in behind.items() if not there])


def build_rules(config: Config, name: str, camera: CameraConfig, clock: Clock) -> EventRules:
    """The event rules of one camera."""
    random = Random()
    return EventRules(
        name, **rule_options(config, camera), clock=clock, new_id=lambda started: frigate_event_id(started, random)
    )


def rule_options(config: Config, camera: CameraConfig) -> dict[str, Any]:
    """What the event rules of a camera go by: the keywords of `EventRules.adopt`."""
    options = config.events
    own = {label: Filter(**options.filter(label)) for label in {*options.thresholds, *options.filters}}
    labels, excluded = frozenset(options.labels), frozenset(options.exclude_labels)
    return {
        "filters": Filters(Filter(**options.filter()), own, labels, excluded),
        "marks": named_marks(**camera.marks()),
        **options.timing(),
    }


def build_detector(config: Config, model: Model) -> Detector:
    """The detector that the configuration names. Raises ModelError where the model does not suit the device."""
    options = config.detector
    labels = Path(options.labels) if options.labels else model.labels
    processes = ProcessOptions(runtime=options.runtime, threads=options.threads, **config.edgetpu.model_dump())
    folders = model_folders(config)
    return detectors.choose(options.device, model, labels, processes, isolate=options.isolate, folders=folders)


def build_inference(config: Config, model: Model, on_exit: Callable[[], None]) -> InferenceWorker | None:
    """What lends one detector to several cameras; None for a single one, which has it to itself. Raises ModelError."""
    if len(config.enabled_cameras) <= 1:
        return None
    worker = InferenceWorker(build_detector(config, model), on_exit)
    worker.open_limit = open_limit(config)
    return worker


def open_limit(config: Config) -> float:
    """Seconds that a thread may take to open the detector: beyond it, it hangs."""
    return config.edgetpu.open_timeout + Worker.open_limit


def build_overlay(config: Config) -> Overlay | None:
    """What draws on the picture; None where nothing is to be drawn."""
    options = config.overlay
    if not options.enabled:
        return None
    return Overlay(show_labels=options.labels, show_clock=options.clock, show_status=options.status)


def build_display(config: Config, clock: Clock) -> Display | None:
    """The display that the configuration names, one for all cameras. Raises InputError where its library is missing."""
    if not config.display.enabled:
        return None
    shown_on = screen.create(**config.display.screen())
    return Display(shown_on, clock, list(config.enabled_cameras), **config.display.arrangement())


def with_display(parts: PipelineParts, display: Display | None) -> PipelineParts:
    """The same parts, and their camera's way to the display."""
    return parts if display is None else replace(parts, sinks=[*parts.sinks, display.sink(parts.name)])


def build_messaging(
    config: Config, model: Model, parts: Sequence[PipelineParts], clock: Clock, on_exit: Callable[[], None]
) -> Messaging | None:
    """What speaks to the broker; None where that is not wanted. Raises ConfigError."""
    if not config.mqtt.enabled:
        return None
    from edgecam.messaging import Messaging

    known = known_labels(config, model)
    switches = {each.name: each.switches for each in parts}
    return Messaging(config, config.data_dir / JOURNAL, known, switches, clock, on_exit)


def build_viewing(config: Config, model: Model, path: Path | None) -> Viewing | None:
    """What looks on through the browser; None where that is not wanted. Raises ConfigError."""
    if not config.web.enabled:
        return None
    from edgecam.viewing import Viewing

    return Viewing(config, path, known_labels(config, model))


def known_labels(config: Config, model: Model) -> tuple[str, ...]:
    """The labels of the model, as the configuration has them. Raises ModelError."""
    chosen = Path(config.detector.labels) if config.detector.labels else None
    return labels_for(pair_of(model, model_folders(config)), chosen).names


def build_sinks(
    config: Config,
    parts: PipelineParts,
    messaging: Messaging | None,
    awaited: Awaited,
    viewing: Viewing | None = None,
) -> list[Sink]:
    """The ways out of one camera's pipeline, the journal first: it remembers, whatever happens to the others.

    `awaited`, from `build_awaited`, is one for all cameras.
    """
    data, camera, clock, made = config.data_dir, parts.name, parts.clock, []
    shots = data / SNAPSHOTS if config.snapshots.enabled else None
    told = messaging.sink(camera) if messaging else None
    if config.journal.enabled:
        sending = {"outbox": True, "on_record": messaging.publisher.recorded} if messaging else {}
        made.append(
            sinks.create("journal", path=data / JOURNAL, snapshots=shots, clock=clock, awaited=awaited, **sending)
        )
    if config.jsonl.enabled:
        made.append(sinks.create("jsonl", path=data / "events" / f"{camera}.jsonl"))
    if told:
        made.append(told)
    if shots:
        saved = {"on_saved": told.saved} if told else {}
        made.append(SnapshotSink(shots, quality=config.snapshots.quality, switches=parts.switches, **saved))
    if messaging and told:
        quality, folder = config.snapshots.quality, data / SNAPSHOTS
        pictures = RequestedSnapshotSink(
            folder, camera, clock, quality=quality, on_saved=told.saved, on_failed=told.failed
        )
        messaging.takes_pictures(camera, pictures)
        made.append(pictures)
    if config.clips.enabled or config.continuous.enabled:
        live = viewing.of(parts).feed if viewing else None
        made.append(GatedSink(build_clips(config, camera, clock, live), parts.switches, "recordings"))
    if config.video.enabled:
        started = clock.wall(clock.monotonic())
        path = data / "video" / camera / f"{started:%Y-%m-%d}" / f"{started:%H-%M-%S}.mp4"
        video = sinks.create("video", path=path, **config.video.model_dump(exclude={"enabled"}))
        made.append(GatedSink(video, parts.switches, "recordings"))
    return made + (viewing.sinks(parts) if viewing else [])


def build_awaited(config: Config, clock: Clock) -> Awaited:
    """What keeps the events that the journal is still to take."""
    pictures = config.data_dir / SNAPSHOTS if config.snapshots.enabled else None
    return Awaited(Parking(config.data_dir / JOURNAL), snapshots=pictures, clock=clock)


def build_clips(config: Config, camera: str, clock: Clock, live: LiveFeed | None = None) -> Sink:
    """What records one camera's events, all there is, or both."""
    from edgecam.recording.encoder import EncoderOptions
    from edgecam.sinks.clips import ClipSink

    options, continuous, data = config.clips, config.continuous, config.data_dir
    return ClipSink(
        data / CLIPS,
        camera,
        ClipStore(data / JOURNAL),
        clock,
        encoder=EncoderOptions(**options.encoding()),
        events=options.enabled,
        segment_length=continuous.segment_length if continuous.enabled else 0.0,
        live=live,
        **options.recording(),
    )


def build_housekeeping(config: Config, clock: Clock, on_exit: Callable[[], None]) -> HousekeepingWorker | None:
    """What keeps the clips within their bounds; None without a journal, which knows them."""
    if not config.journal.enabled:
        return None
    policies = retention_policies(config)
    data, path = config.data_dir, config.data_dir / JOURNAL
    events = EventUpkeep(EventStore(path), data, config.retention.events_max_age or None)
    return HousekeepingWorker(data, ClipStore(path), policies, clock, on_exit, events=events)


def retention_policies(config: Config) -> dict[ClipKind, Policy]:
    """The bounds of each kind of clip."""
    retention, continuous = config.retention, config.continuous
    return {
        ClipKind.EVENT: Policy(**retention.bounds()),
        ClipKind.CONTINUOUS: Policy(**continuous.bounds(), min_free_bytes=retention.min_free_bytes),
    }
