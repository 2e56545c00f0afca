"""The statistics: rates, counts and latencies, of the last interval and since the start."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import Field

from edgecam.health.board import THERMAL, temperature_celsius
from edgecam.health.facts import CameraFacts, Facts
from edgecam.health.processes import Process, own_processes
from edgecam.health.status import Document
from edgecam.latency import Latency
from edgecam.ports import Clock


class Rates(Document):
    """Frames per second over the last interval."""

    captured: float = Field(description="Frames the camera gave.", ge=0)
    analysed: float = Field(description="Frames the detector looked at.", ge=0)
    written: float = Field(description="Frames that every sink took.", ge=0)


class Counts(Document):
    """What went through since edgecam started."""

    frames_captured: int = Field(description="Frames the camera gave.", ge=0)
    frames_analysed: int = Field(description="Frames the detector looked at.", ge=0)
    frames_skipped: int = Field(description="Frames passed over, busy with another or switched off.", ge=0)
    frames_failed: int = Field(description="Frames lost with a detector.", ge=0)
    frames_written: int = Field(description="Frames that every sink took.", ge=0)
    frames_dropped: int = Field(description="Frames that some sink did not take.", ge=0)
    events: int = Field(description="Events announced.", ge=0)
    events_lost: int = Field(description="Event messages that could be recorded nowhere.", ge=0)


class Percentiles(Document):
    """How long a stage took of late (the last 1,024 times), seconds."""

    count: int = Field(description="How often since edgecam started.", ge=0)
    p50: float | None = Field(description="Half took no longer; null where there was none.")
    p95: float | None = Field(description="Nineteen in twenty took no longer; null where there was none.")
    p99: float | None = Field(description="Ninety-nine in a hundred took no longer; null where there was none.")


class CameraLatencies(Document):
    """The stages of one camera."""

    inference: Percentiles = Field(description="The detector's own time.")
    detect: Percentiles = Field(description="From a frame's timestamp until its analysis was made.")
    event: Percentiles = Field(description="From a frame's timestamp until the journal had its event messages.")
    output: Percentiles = Field(description="From a frame's timestamp until every sink had it.")


class CameraStats(Document):
    """One camera."""

    fps: Rates
    counters: Counts
    latencies: CameraLatencies


class ProcessStats(Document):
    """edgecam's processes, all together, and the board they run on."""

    count: int = Field(description="How many there are; a detector on an Edge TPU has one of its own.", ge=0)
    rss_bytes: int | None = Field(description="Memory in use; null where it cannot be asked.")
    cpu: float = Field(description="CPU cores in use over the last interval; 1 is one core all the time.", ge=0)
    uptime: float = Field(description="How long it has run, seconds.", ge=0)
    temperature_celsius: float | None = Field(description="Of the board's processor; null where it does not say.")


class MqttStats(Document):
    """What went to the broker."""

    sent: int = Field(description="Messages sent since edgecam started, retained ones too; twice counts twice.", ge=0)
    acknowledged: int = Field(description="How many of them the broker took.", ge=0)
    publish: Percentiles = Field(
        description="From an event message's being recorded until the broker had it, of those sent at once."
    )


class StorageStats(Document):
    """The clips, and what goes to the disk."""

    stored_bytes: int = Field(description="What all clips take.", ge=0)
    over_bytes: int = Field(description="What they take beyond their bounds, because nothing can be deleted.", ge=0)
    deleted: int = Field(description="Clips deleted since edgecam started.", ge=0)
    deleted_bytes: int = Field(description="What those took.", ge=0)
    written_bytes: int | None = Field(description="What edgecam gave to the disk since it started; null: not known.")
    written_per_day: int | None = Field(
        description="The same of the last day, or as much as there would be in one; null: not known, or too early."
    )


class StatsDocument(Document):
    """Rates, counts and latencies."""

    time: float = Field(description="When this was put together, Unix seconds.")
    interval: float = Field(description="What the rates are taken over, seconds.", gt=0)
    cameras: dict[str, CameraStats] = Field(description="The cameras that run, by name.")
    mqtt: MqttStats
    storage: StorageStats
    process: ProcessStats


#: No interval is shorter, seconds.
_SHORTEST = 0.001


@dataclass(frozen=True, slots=True)
class _Then:
    """How things stood at the last document."""

    now: float
    cpu: float
    counters: Mapping[str, Mapping[str, int]]


class StatsReport:
    """Makes statistics; the rates are taken between one document and the next.

    With a `window` they are taken over at least so many seconds instead, as far as `note` was called or a document
    was made before them: then documents may be asked for at any time.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        thermal: Path = THERMAL,
        window: float = 0.0,
        processes: Callable[[], list[Process]] = own_processes,
    ) -> None:
        self._clock = clock
        self._thermal = thermal
        self._window = window
        self._processes = processes
        self._started = clock.monotonic()
        self._noted: deque[_Then] = deque([_Then(self._started, time.process_time(), {})])

    def note(self, facts: Facts) -> None:
        """Remember how things stand, for the rates to come."""
        now = self._now(facts, self._processes())
        self._forget(now)
        self._noted.append(now)

    def document(self, facts: Facts) -> StatsDocument:
        """The statistics now; without a window not to be asked for twice at the same moment."""
        processes = self._processes()
        now = self._now(facts, processes)
        self._forget(now)
        then = self._noted[0]
        self._noted.append(now)
        elapsed = max(now.now - then.now, _SHORTEST)
        return StatsDocument(
            time=round(self._clock.wall(now.now).timestamp(), 3),
            interval=round(elapsed, 3),
            cameras={
                name: _camera(camera, then.counters.get(name, {}), elapsed) for name, camera in facts.cameras.items()
            },
            mqtt=MqttStats(
                sent=facts.mqtt.sent,
                acknowledged=facts.mqtt.acknowledged,
                publish=_percentiles(facts.mqtt.publish),
            ),
            storage=StorageStats(**asdict(facts.storage)),
            process=ProcessStats(
                count=len(processes),
                rss_bytes=sum(process.rss_bytes for process in processes) or None,
                cpu=round(max(0.0, now.cpu - then.cpu) / elapsed, 3),
                uptime=round(now.now - self._started, 1),
                temperature_celsius=temperature_celsius(self._thermal),
            ),
        )

    def _now(self, facts: Facts, processes: list[Process]) -> _Then:
        counters = {name: camera.counters for name, camera in facts.cameras.items()}
        return _Then(self._clock.monotonic(), _cpu(processes), counters)

    def _forget(self, now: _Then) -> None:
        """What is further back than the window reaches; one as old as that stays."""
        while len(self._noted) > 1 and now.now - self._noted[1].now >= self._window:
            self._noted.popleft()


def _cpu(processes: list[Process]) -> float:
    return sum(process.cpu for process in processes)


def _camera(facts: CameraFacts, before: Mapping[str, int], elapsed: float) -> CameraStats:
    rates = {
        name: round((facts.counters[f"frames_{name}"] - before.get(f"frames_{name}", 0)) / elapsed, 2)
        for name in ("captured", "analysed", "written")
    }
    return CameraStats(
        fps=Rates(**rates),
        counters=Counts(**facts.counters),
        latencies=CameraLatencies(**{stage: _percentiles(latency) for stage, latency in facts.latencies.items()}),
    )


def _percentiles(latency: Latency) -> Percentiles:
    p50, p95, p99 = (None if value is None else round(value, 6) for value in (latency.p50, latency.p95, latency.p99))
    return Percentiles(count=latency.count, p50=p50, p95=p95, p99=p99)
