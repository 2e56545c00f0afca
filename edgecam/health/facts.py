"""What the application knows of itself, for status and statistics. Times are monotonic seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgecam.latency import Latency
from edgecam.types import DetectorInfo


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """One camera's pipeline.

    `camera_lost_since` and `detector_lost_since` are None while they work, `detector` before it was opened. `troubles`
    are what is wrong with the sinks, in words; `counters` those of the pipeline by name; `latencies` by stage.
    """

    detector: DetectorInfo | None
    detector_lost_since: float | None
    camera_lost_since: float | None
    reopened: int
    switches: Mapping[str, bool]
    troubles: Sequence[str]
    counters: Mapping[str, int]
    latencies: Mapping[str, Latency]


@dataclass(frozen=True, slots=True)
class MqttFacts:
    """What waits for the broker, was lost waiting, and went there.

    `oldest_age` is None where nothing waits or its age is not known.
    """

    waiting: int = 0
    lost: int = 0
    oldest_age: float | None = None
    sent: int = 0
    acknowledged: int = 0
    publish: Latency = field(default_factory=Latency)


@dataclass(frozen=True, slots=True)
class Facts:
    """All cameras by name, the way to the broker, and the folder on whose disk everything lies.

    `troubles` are what else is wrong, in words.
    """

    cameras: Mapping[str, CameraFacts]
    mqtt: MqttFacts
    folder: Path
    troubles: Sequence[str] = ()
