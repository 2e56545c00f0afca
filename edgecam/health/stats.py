"""The statistics: rates, counts and latencies, of the last interval and since the start."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from edgecam.health.facts import CameraFacts, Facts
from edgecam.health.status import Document
from edgecam.latency import Latency
from edgecam.ports import Clock

THERMAL = Path("/sys/class/thermal")
"""Where Linux shows temperatures."""
MEMORY = Path("/proc/self/statm")
"""Where Linux shows how much memory this process has."""


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
    """edgecam's main process, and the board it runs on."""

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


class StatsDocument(Document):
    """Rates, counts and latencies."""

    time: float = Field(description="When this was put together, Unix seconds.")
    interval: float = Field(description="What the rates are taken over, seconds.", gt=0)
    cameras: dict[str, CameraStats] = Field(description="The cameras that run, by name.")
    mqtt: MqttStats
    process: ProcessStats


@dataclass(frozen=True, slots=True)
class _Then:
    """How things stood at the last document."""

    now: float
    cpu: float
    counters: Mapping[str, Mapping[str, int]]


class StatsReport:
    """Makes statistics; the rates are taken between one document and the next."""

    def __init__(self, clock: Clock, *, thermal: Path = THERMAL) -> None:
        self._clock = clock
        self._thermal = thermal
        self._started = clock.monotonic()
        self._then = _Then(self._started, time.process_time(), {})

    def document(self, facts: Facts) -> StatsDocument:
        """The statistics now; not to be asked twice at the same moment."""
        then, now, cpu = self._then, self._clock.monotonic(), time.process_time()
        self._then = _Then(now, cpu, {name: camera.counters for name, camera in facts.cameras.items()})
        elapsed = now - then.now
        return StatsDocument(
            time=round(self._clock.wall(now).timestamp(), 3),
            interval=round(elapsed, 3),
            cameras={
                name: _camera(camera, then.counters.get(name, {}), elapsed) for name, camera in facts.cameras.items()
            },
            mqtt=MqttStats(
                sent=facts.mqtt.sent,
                acknowledged=facts.mqtt.acknowledged,
                publish=_percentiles(facts.mqtt.publish),
            ),
            process=ProcessStats(
                rss_bytes=_rss_bytes(),
                cpu=round((cpu - then.cpu) / elapsed, 3),
                uptime=round(now - self._started, 1),
                temperature_celsius=temperature_celsius(self._thermal),
            ),
        )


def temperature_celsius(folder: Path = THERMAL) -> float | None:
    """The processor's temperature, of a board with several the first that is one; None where none is told."""
    zones = sorted(folder.glob("thermal_zone*"), key=lambda zone: (not _is_processor(zone), zone.name))
    for zone in zones:
        try:
            return round(int((zone / "temp").read_text()) / 1000, 1)
        except (OSError, ValueError):
            continue
    return None


def _is_processor(zone: Path) -> bool:
    try:
        kind = (zone / "type").read_text().lower()
    except OSError:
        return False
    return any(word in kind for word in ("cpu", "soc", "pkg"))


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


def _rss_bytes() -> int | None:
    try:
        return int(MEMORY.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return None
