"""The facts as Prometheus has them: names, kinds and labels. Imports prometheus-client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from edgecam.health.board import TROUBLES, temperature_celsius
from edgecam.health.facts import BoardFacts, CameraFacts, Facts
from edgecam.health.processes import Process
from edgecam.health.status import StatusDocument
from edgecam.latency import Latency

_COUNTS = {
    "frames_captured": "Frames the camera gave.",
    "frames_analysed": "Frames the detector looked at.",
    "frames_skipped": "Frames passed over, busy with another or switched off.",
    "frames_failed": "Frames lost with a detector.",
    "frames_written": "Frames that every sink took.",
    "frames_dropped": "Frames that some sink did not take.",
    "events": "Events announced.",
    "events_lost": "Event messages that could be recorded nowhere.",
}


def figures(facts: Facts, status: StatusDocument, processes: Sequence[Process], uptime: float) -> Iterator[Metric]:
    """All figures. `uptime` is edgecam's own, in seconds."""
    versions = {name: value for name, value in status.version.model_dump().items() if value}
    yield InfoMetricFamily("edgecam", "What runs.", value=versions | {"board": facts.board.board.model})
    yield GaugeMetricFamily("edgecam_degraded", "1: it runs, but not as configured.", int(status.status != "ok"))
    yield GaugeMetricFamily("edgecam_uptime_seconds", "How long it has run.", uptime)
    yield GaugeMetricFamily("edgecam_clock_synced", "1: the clock is known to be right.", int(status.clock_synced))
    yield from _cameras(facts.cameras)
    yield from _messages(facts)
    yield from _storage(facts, status)
    yield from _processes(processes)
    yield from _board(facts.board)


def _cameras(cameras: Mapping[str, CameraFacts]) -> Iterator[Metric]:
    for name, text in _COUNTS.items():
        counter = CounterMetricFamily(f"edgecam_{name}", text, labels=["camera"])
        for camera, facts in cameras.items():
            counter.add_metric([camera], facts.counters[name])
        yield counter
    seen = GaugeMetricFamily("edgecam_camera_open", "1: the camera works.", labels=["camera"])
    losses = CounterMetricFamily("edgecam_camera_losses", "How often it was lost and came back.", labels=["camera"])
    works = GaugeMetricFamily("edgecam_detector_up", "1: the detector works.", labels=["camera"])
    degraded = GaugeMetricFamily("edgecam_detector_degraded", "1: not the one asked for.", labels=["camera"])
    which = InfoMetricFamily("edgecam_detector", "What looks at the pictures.", labels=["camera"])
    switches = GaugeMetricFamily("edgecam_switch_on", "1: switched on.", labels=["camera", "switch"])
    stages = Metric("edgecam_stage_seconds", "How long the stages took of late.", "summary")
    for camera, facts in cameras.items():
        info = facts.detector
        seen.add_metric([camera], int(facts.camera_lost_since is None))
        losses.add_metric([camera], facts.reopened)
        works.add_metric([camera], int(info is not None and facts.detector_lost_since is None))
        degraded.add_metric([camera], int(bool(info and info.degraded)))
        if info:
            which.add_metric([camera], {"model": info.model, "runtime": info.runtime, "device": info.device})
        for switch, on in facts.switches.items():
            switches.add_metric([camera, switch], int(on))
        for stage, latency in facts.latencies.items():
            _summarise(stages, {"camera": camera, "stage": stage}, latency)
    yield from (seen, losses, works, degraded, which, switches, stages)


def _summarise(metric: Metric, labels: dict[str, str], latency: Latency) -> None:
    for quantile, value in (("0.5", latency.p50), ("0.95", latency.p95), ("0.99", latency.p99)):
        if value is not None:
            metric.add_sample(metric.name, labels | {"quantile": quantile}, value)
    metric.add_sample(f"{metric.name}_count", labels, latency.count)


def _messages(facts: Facts) -> Iterator[Metric]:
    mqtt = facts.mqtt
    yield GaugeMetricFamily("edgecam_messages_waiting", "Event messages that wait for the broker.", mqtt.waiting)
    yield GaugeMetricFamily("edgecam_messages_oldest_age_seconds", "How long the oldest waits.", mqtt.oldest_age or 0.0)
    yield CounterMetricFamily("edgecam_messages_lost", "Event messages given up, ever.", mqtt.lost)
    yield CounterMetricFamily("edgecam_messages_sent", "Messages sent, twice counts twice.", mqtt.sent)
    yield CounterMetricFamily("edgecam_messages_acknowledged", "Messages that the broker took.", mqtt.acknowledged)
    publish = Metric("edgecam_publish_seconds", "From an event's record until the broker had it.", "summary")
    _summarise(publish, {}, mqtt.publish)
    yield publish


def _storage(facts: Facts, status: StatusDocument) -> Iterator[Metric]:
    storage, disk = facts.storage, status.disk
    yield GaugeMetricFamily("edgecam_clips_bytes", "What all clips take.", storage.stored_bytes)
    yield GaugeMetricFamily("edgecam_clips_over_bytes", "What they take beyond their bounds.", storage.over_bytes)
    yield CounterMetricFamily("edgecam_clips_deleted", "Clips deleted.", storage.deleted)
    yield CounterMetricFamily("edgecam_clips_deleted_bytes", "What those took.", storage.deleted_bytes)
    if storage.written_bytes is not None:
        yield CounterMetricFamily("edgecam_disk_written_bytes", "What went to the disk.", storage.written_bytes)
    if disk.free_bytes is not None and disk.total_bytes is not None:
        yield GaugeMetricFamily("edgecam_disk_free_bytes", "What is free on the disk.", disk.free_bytes)
        yield GaugeMetricFamily("edgecam_disk_size_bytes", "What there is in all.", disk.total_bytes)


def _processes(processes: Sequence[Process]) -> Iterator[Metric]:
    yield GaugeMetricFamily("edgecam_processes", "edgecam's processes.", len(processes))
    memory = sum(process.rss_bytes for process in processes)
    yield GaugeMetricFamily("edgecam_resident_memory_bytes", "Memory that they use.", memory)
    cpu = sum(process.cpu for process in processes)
    yield CounterMetricFamily("edgecam_cpu_seconds", "Processor time that they used.", cpu)


def _board(facts: BoardFacts) -> Iterator[Metric]:
    temperature = temperature_celsius()
    if temperature is not None:
        yield GaugeMetricFamily("edgecam_temperature_celsius", "Of the board's processor.", temperature)
    if facts.board.watched:
        now = GaugeMetricFamily("edgecam_throttled", "1: the board suffers this.", labels=["reason"])
        often = CounterMetricFamily("edgecam_throttled_episodes", "How often it began.", labels=["reason"])
        for word in TROUBLES.values():
            now.add_metric([word], int(word in facts.suffers))
            often.add_metric([word], facts.episodes.get(word, 0))
        yield from (now, often)
