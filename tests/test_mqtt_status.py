"""Status and statistics: what they say, and when they say it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edgecam.health import status
from edgecam.health.board import temperature_celsius
from edgecam.health.facts import CameraFacts, Facts, MqttFacts
from edgecam.health.stats import CameraLatencies, Counts, StatsReport
from edgecam.health.status import StatusReport, SwitchStates
from edgecam.latency import Latencies, Latency
from edgecam.mqtt.reporter import Reporter
from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.topics import SWITCHES, Topics
from edgecam.pipeline import Counters
from edgecam.testing import ManualClock
from edgecam.types import DetectorInfo

TOPICS = Topics()
WALL_AT_ZERO = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
NOTHING_YET = {field.name: 0 for field in fields(Counters)}


def camera(**changes: Any) -> CameraFacts:
    stages = Latencies("detect", "inference", "output", "event").summary()
    well = CameraFacts(
        detector=DetectorInfo("mobiledet", "litert 1.4", "usb:2-1", (320, 320), since=5.0),
        detector_lost_since=None,
        camera_lost_since=None,
        reopened=0,
        switches=dict.fromkeys(SWITCHES, True),
        troubles=(),
        counters=NOTHING_YET,
        latencies=stages,
    )
    return replace(well, **changes)


def facts(folder: Path, mqtt: MqttFacts | None = None, **cameras: CameraFacts) -> Facts:
    return Facts(cameras or {"front": camera()}, mqtt or MqttFacts(), folder)


def counted(frames: int) -> Mapping[str, int]:
    return NOTHING_YET | {"frames_captured": frames, "frames_analysed": frames // 2, "frames_written": frames}


def test_all_is_well(tmp_path: Path) -> None:
    clock = ManualClock()
    clock.advance(100.0)
    document = StatusReport(clock).document(facts(tmp_path))
    assert (document.status, document.reasons, document.since) == ("ok", [], WALL_AT_ZERO + 100)
    assert document.cameras["front"].detector.device == "usb:2-1"
    assert document.cameras["front"].detector.since == WALL_AT_ZERO + 5
    assert document.cameras["front"].camera.open
    assert document.version.runtime == "litert 1.4"
    assert document.disk.free_bytes is not None


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"camera_lost_since": 3.0}, ["front: the camera is lost"]),
        ({"detector_lost_since": 3.0}, ["front: the detector is lost"]),
        (
            {"detector": DetectorInfo("m", "r", "cpu", (1, 1), degraded="no Edge TPU: the CPU detects")},
            ["front: no Edge TPU: the CPU detects"],
        ),
        ({"troubles": ["/d/a.mp4: the disk is full"]}, ["front: /d/a.mp4: the disk is full"]),
        ({"detector": None}, []),
        ({"detector_lost_since": 3.0, "switches": dict.fromkeys(SWITCHES, False)}, []),
    ],
)
def test_why_it_is_degraded(tmp_path: Path, changes: dict[str, Any], reasons: list[str]) -> None:
    document = StatusReport(ManualClock()).document(facts(tmp_path, front=camera(**changes), back=camera()))
    assert document.reasons == reasons
    assert document.status == ("degraded" if reasons else "ok")


def test_little_space_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "LITTLE_SPACE_BYTES", 10**18)
    document = StatusReport(ManualClock()).document(facts(tmp_path))
    assert document.reasons == [f"less than 1000000000000 MB are free at {tmp_path}"]


def test_a_disk_that_cannot_be_asked(tmp_path: Path) -> None:
    document = StatusReport(ManualClock()).document(facts(tmp_path / "gone"))
    assert (document.disk.free_bytes, document.disk.total_bytes, document.status) == (None, None, "ok")


def test_since_is_the_change_of_the_status_whatever_the_clock_does(tmp_path: Path) -> None:
    clock = ManualClock()
    report = StatusReport(clock)
    lost = facts(tmp_path, front=camera(camera_lost_since=3.0))
    clock.advance(10.0)
    assert report.document(lost).since == WALL_AT_ZERO + 10
    clock.advance(10.0)
    both = facts(tmp_path, front=camera(camera_lost_since=3.0, detector_lost_since=15.0))
    assert report.document(both).since == WALL_AT_ZERO + 10, "another reason, the same status"
    clock.step(3600)
    told = report.document(lost)
    assert told.since == WALL_AT_ZERO + 10 + 3600
    assert told.cameras["front"].camera.lost_since == WALL_AT_ZERO + 3 + 3600
    assert report.document(facts(tmp_path)).since == WALL_AT_ZERO + 20 + 3600


def test_rates_are_those_of_the_interval_and_counts_those_since_the_start(tmp_path: Path) -> None:
    clock = ManualClock()
    report = StatsReport(clock, thermal=tmp_path)
    clock.advance(10.0)
    first = report.document(facts(tmp_path, front=camera(counters=counted(300))))
    clock.step(-3600)
    clock.advance(20.0)
    second = report.document(facts(tmp_path, front=camera(counters=counted(500)), back=camera()))
    assert [each.cameras["front"].fps.captured for each in (first, second)] == [30.0, 10.0]
    assert [each.cameras["front"].fps.analysed for each in (first, second)] == [15.0, 5.0]
    assert (second.interval, second.process.uptime) == (20.0, 30.0)
    assert second.time == WALL_AT_ZERO + 30 - 3600
    assert second.cameras["front"].counters.frames_captured == 500
    assert second.process.rss_bytes is not None
    assert second.process.rss_bytes > 10_000_000
    assert second.process.temperature_celsius is None


def test_latencies_are_told_by_stage(tmp_path: Path) -> None:
    clock = ManualClock()
    stages = dict(camera().latencies) | {"event": Latency(3, 0.0123456789, 0.02, 0.03)}
    report = StatsReport(clock)
    clock.advance(1.0)
    mqtt = MqttFacts(sent=4, acknowledged=3, publish=Latency(3, 0.1, 0.2, 0.3))
    told = report.document(facts(tmp_path, mqtt, front=camera(latencies=stages)))
    event = told.cameras["front"].latencies.event
    assert (event.count, event.p50, event.p95, event.p99) == (3, 0.012346, 0.02, 0.03)
    assert told.cameras["front"].latencies.inference.p99 is None
    assert (told.mqtt.sent, told.mqtt.acknowledged, told.mqtt.publish.p99) == (4, 3, 0.3)


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        ({}, None),
        ({"thermal_zone0": ("acpitz", "27800"), "thermal_zone1": ("cpu-thermal", "51234")}, 51.2),
        ({"thermal_zone0": ("acpitz", "27800")}, 27.8),
        ({"thermal_zone0": ("x86_pkg_temp", "nonsense"), "thermal_zone1": ("gpu", "40000")}, 40.0),
    ],
)
def test_the_temperature_is_the_processors(
    tmp_path: Path, zones: dict[str, tuple[str, str]], expected: float | None
) -> None:
    for name, (kind, temperature) in zones.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(kind + "\n")
        (tmp_path / name / "temp").write_text(temperature + "\n")
    (tmp_path / "thermal_zone9").mkdir()
    assert temperature_celsius(tmp_path) == expected


def test_the_documents_have_what_the_pipeline_counts_and_what_can_be_switched() -> None:
    assert set(Counts.model_fields) == {field.name for field in fields(Counters)}
    assert set(SwitchStates.model_fields) == set(SWITCHES)
    assert set(CameraLatencies.model_fields) == set(camera().latencies)


class Desk:
    """A reporter, a clock in the test's hands and what has been told."""

    def __init__(self, folder: Path, interval: float = 60.0) -> None:
        self.clock = ManualClock()
        self.retained = RetainedTopics()
        self.facts = facts(folder)
        self.reporter = Reporter(self.retained, TOPICS, self.clock, interval=interval)
        self.looks = 0

    def gather(self) -> Facts:
        self.looks += 1
        return self.facts

    def after(self, seconds: float) -> list[str]:
        """Let time pass, a quarter of a second a tick; returns the topics that were told, each time."""
        told = []
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)
            self.reporter.tick(self.gather)
            told += [topic for topic, _ in self.retained.take()]
        return told

    def change(self, **changes: Any) -> None:
        self.facts = replace(self.facts, cameras={"front": camera(**changes)})


def test_status_is_told_at_the_start_and_statistics_soon_after(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.after(2.0) == ["edgecam/status"]
    assert desk.after(10.0) == ["edgecam/stats"]
    assert desk.looks <= 13


def test_what_changes_is_told_within_a_second_and_what_always_does_at_the_interval(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.after(15.0)
    desk.change(camera_lost_since=15.0)
    assert desk.after(1.25) == ["edgecam/status"]
    desk.change()
    assert desk.after(1.25) == ["edgecam/status"]
    desk.facts = replace(desk.facts, mqtt=MqttFacts(waiting=500, oldest_age=3.0))
    assert desk.after(20.0) == []
    desk.facts = replace(desk.facts, mqtt=MqttFacts(waiting=500, lost=1))
    assert desk.after(1.25) == ["edgecam/status"]
    desk.facts = replace(desk.facts, mqtt=MqttFacts(waiting=499, lost=1))
    assert sorted(desk.after(60.0)) == ["edgecam/stats", "edgecam/status"]


def test_a_step_of_the_clock_neither_hastens_nor_holds_up_anything(tmp_path: Path) -> None:
    desk = Desk(tmp_path, interval=10.0)
    told = []
    for seconds in (3600, -7200, 3600):
        desk.clock.step(seconds)
        told.append(desk.after(60.0).count("edgecam/stats"))
    assert told == [6, 6, 6]


def test_what_is_told_is_json_with_every_key(tmp_path: Path) -> None:
    desk = Desk(tmp_path, interval=1.0)
    desk.clock.advance(2.0)
    desk.reporter.tick(desk.gather)
    told = {topic: json.loads(payload) for topic, payload in desk.retained.take()}
    assert set(told["edgecam/status"]) == {
        "status", "reasons", "since", "clock_synced", "version", "cameras", "disk", "spool", "board", "events_lost",
    }  # fmt: skip
    assert set(told["edgecam/status"]["cameras"]["front"]) == {"detector", "camera", "switches"}
    assert set(told["edgecam/stats"]) == {"time", "interval", "cameras", "mqtt", "storage", "process"}
    assert told["edgecam/stats"]["cameras"]["front"]["counters"] == asdict(Counters(**NOTHING_YET))
