"""How the application is: gathered from its parts, as facts for whoever tells them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from edgecam.health.facts import BoardFacts, CameraFacts, Facts, MqttFacts, StorageFacts
from edgecam.housekeeping import HousekeepingFacts, HousekeepingWorker
from edgecam.pipeline import Pipeline

if TYPE_CHECKING:
    from edgecam.health.services import Health
    from edgecam.messaging import Messaging


def gather(
    pipelines: Sequence[Pipeline],
    messaging: Messaging | None,
    housekeeping: HousekeepingWorker | None,
    folder: Path,
    health: Health | None = None,
) -> Facts:
    """The facts now; `folder` is the one with edgecam's data. Waits for nothing, and may be called in any thread."""
    kept = housekeeping.facts if housekeeping else None
    return Facts(
        cameras={pipeline.name: _camera(pipeline) for pipeline in pipelines},
        mqtt=messaging.facts() if messaging else MqttFacts(),
        folder=folder,
        troubles=list(_troubles(messaging, kept, health)),
        storage=_storage(kept) if kept else StorageFacts(),
        board=health.facts if health else BoardFacts(),
    )


def detector_losses(pipelines: Sequence[Pipeline]) -> Mapping[str, float]:
    """The cameras whose detector is lost, or not the one that was asked for, and since when, monotonic seconds."""
    losses = {}
    for pipeline in pipelines:
        info, lost = pipeline.detect.info, pipeline.detect.lost_since
        if lost is not None:
            losses[pipeline.name] = lost
        elif info is not None and info.degraded:
            losses[pipeline.name] = info.since
    return losses


def _troubles(
    messaging: Messaging | None, housekeeping: HousekeepingFacts | None, health: Health | None
) -> Iterator[str]:
    if messaging and messaging.publisher.trouble:
        yield f"MQTT: {messaging.publisher.trouble}"
    if housekeeping and housekeeping.trouble:
        yield housekeeping.trouble
    yield from health.troubles if health else ()


def _storage(facts: HousekeepingFacts) -> StorageFacts:
    return StorageFacts(**{field.name: getattr(facts, field.name) for field in fields(StorageFacts)})


def _camera(pipeline: Pipeline) -> CameraFacts:
    detect, output = pipeline.detect, pipeline.output
    return CameraFacts(
        detector=detect.info,
        detector_lost_since=detect.lost_since,
        camera_lost_since=pipeline.capture.lost_since,
        reopened=pipeline.capture.reopened,
        switches=pipeline.switches.states(),
        troubles=[outlet.trouble for outlet in output.outlets if outlet.trouble],
        counters=asdict(pipeline.counters()),
        latencies={**detect.latencies.summary(), **output.latencies.summary()},
    )
