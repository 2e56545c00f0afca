"""What the application knows of itself, for status and statistics. Times are monotonic seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgecam.health.board import Board
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
class StorageFacts:
    """What the clips take, what was deleted since the start, and what goes to the disk.

    `stored_bytes` of clips are kept, `over_bytes` of them too much, which cannot be deleted. `written_bytes` is what
    edgecam gave to the disk since its start, `written_per_day` what that is in a day: None where it is not known.
    """

    stored_bytes: int = 0
    over_bytes: int = 0
    deleted: int = 0
    deleted_bytes: int = 0
    written_bytes: int | None = None
    written_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class BoardFacts:
    """The board as it was seen last, and what it suffers: since when, of each of the words of `edgecam.health.board`.

    `episodes` counts how often each has begun since edgecam started. `beside` says of cameras whose detector is lost or
    not the one that was asked for, what the board suffered when that came about.
    """

    board: Board = field(default_factory=Board)
    suffers: Mapping[str, float] = field(default_factory=dict)
    episodes: Mapping[str, int] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """All cameras by name, the way to the broker, and the folder on whose disk everything lies.

    `troubles` are what else is wrong, in words.
    """

    cameras: Mapping[str, CameraFacts]
    mqtt: MqttFacts
    folder: Path
    troubles: Sequence[str] = ()
    storage: StorageFacts = field(default_factory=StorageFacts)
    board: BoardFacts = field(default_factory=BoardFacts)
