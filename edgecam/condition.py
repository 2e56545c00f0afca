"""How the application is: gathered from its parts, as facts for whoever tells them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgecam.health.facts import CameraFacts, Facts, MqttFacts
from edgecam.housekeeping import HousekeepingWorker
from edgecam.pipeline import Pipeline

if TYPE_CHECKING:
    from edgecam.messaging import Messaging


def gather(
    pipelines: Sequence[Pipeline], messaging: Messaging | None, housekeeping: HousekeepingWorker | None, folder: Path
) -> Facts:
    """The facts now; `folder` is the one with edgecam's data. Waits for nothing."""
    troubles = [housekeeping.facts.trouble] if housekeeping and housekeeping.facts.trouble else []
    return Facts(
        cameras={pipeline.name: _camera(pipeline) for pipeline in pipelines},
        mqtt=messaging.facts() if messaging else MqttFacts(),
        folder=folder,
        troubles=troubles,
    )


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
