"""The configuration read again: what changes at once, what waits for a restart, and a bad file that changes nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from fake_screen import FakeScreen

from edgecam.app import App, build
from edgecam.clock import SystemClock
from edgecam.config import load
from edgecam.events import EventRules
from edgecam.filters import Filter, Filters
from edgecam.lines import Line
from edgecam.marks import Marks
from edgecam.reloading import LIVE, Reloading, changes
from edgecam.sinks import screen
from edgecam.sinks.requested import RequestedSnapshotSink
from edgecam.sinks.snapshot import SnapshotSink
from edgecam.testing import ManualClock
from edgecam.types import BBox, Detection, Event, EventType, Track
from edgecam.zones import Zone

CAMERA = '[cameras.front]\ntype = "synthetic"\n'


class Rig:
    """An App that is not started, its configuration file, and what reads it again."""

    def __init__(self, folder: Path, text: str = "") -> None:
        self.path = folder / "edgecam.toml"
        self.write(text)
        config = load(self.path)
        self.app: App = build(config, SystemClock())
        self.reloading = Reloading(self.path, config, self.app)

    def write(self, text: str, camera: str = "") -> None:
        self.path.write_text(f'data_dir = "data"\n{text}\n{CAMERA}{camera}\n', encoding="utf-8")

    def turn(self) -> None:
        """What each thread does before its next turn."""
        for worker in self.app.workers:
            while worker._changes:
                worker._changes.popleft()()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)


def test_what_the_display_shows_changes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "create", lambda **_options: FakeScreen())
    enabled, back = "[display]\nenabled = true\n", '[cameras.back]\ntype = "synthetic"\n'
    rig = Rig(tmp_path, enabled + back)
    assert rig.app.display is not None
    assert [seat.name for seat in rig.app.display._view.visible] == ["back", "front"]
    rig.write(f'{enabled}layout = "single"\ncamera = "front"\nfps = 5.0\n{back}')
    assert rig.reloading.follow_file() == []
    assert [seat.name for seat in rig.app.display._view.visible] == ["front"]
    rig.write(f'{enabled}connector = "HDMI-A-2"\n{back}')
    assert rig.reloading.follow_file() == ["display.connector"]


def test_what_can_change_does_between_two_turns(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    (pipeline,), caplog_before = rig.app.pipelines, len(caplog.records)
    rig.write(
        "[events]\nthreshold = 0.8\nstationary_memory = 7.0\n[snapshots]\nquality = 11\n[overlay]\nclock = false\n"
        "[retention]\nmax_bytes = 5000000",
        "[cameras.front.zones.drive]\npolygon = [[0, 0], [1, 0], [1, 1]]",
    )
    rig.reloading.read_again()
    assert pipeline.detect._rules.lowest_threshold == 0.5, "not in the middle of a turn"
    rig.turn()
    rules = pipeline.detect._rules
    assert (rules.lowest_threshold, rules._stationary_memory) == (0.8, 7.0)
    assert pipeline.detect._tracker.high_score == 0.8
    assert [zone.name for zone in rules._marks.zones] == ["drive"]
    assert pipeline.output._overlay is not None
    assert not pipeline.output._overlay._show_clock
    shots = [sink for sink in pipeline.sinks if isinstance(sink, SnapshotSink | RequestedSnapshotSink)]
    assert [sink.quality for sink in shots] == [11]
    assert rig.app.housekeeping is not None
    assert any(policy.max_bytes == 5_000_000 for _, policy in rig.app.housekeeping._thinning._kinds)
    said = [record.message for record in caplog.records[caplog_before:]]
    assert len(said) == 1
    for key in ("events.threshold", "overlay.clock", "snapshots.quality", "retention.max_bytes", "zones.drive.polygon"):
        assert key in said[0]
    rig.write("[overlay]\nenabled = false")
    rig.reloading.read_again()
    rig.turn()
    assert pipeline.output._overlay is None
    assert rules.lowest_threshold == 0.5


def test_what_cannot_is_named_until_it_is_as_it_was(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.write("[detector]\nthreads = 2\n[events]\nthreshold = 0.6", "fps = 7.0\nenabled = true")
    rig.reloading.read_again()
    assert "these need a restart of edgecam: cameras.front.fps, detector.threads" in caplog.text
    assert "now in force: events.threshold" in caplog.text
    caplog.clear()
    rig.reloading.read_again()
    assert "no change" in caplog.text
    assert "these need a restart of edgecam: cameras.front.fps, detector.threads" in caplog.text
    caplog.clear()
    rig.write("")
    rig.reloading.read_again()
    assert "restart" not in caplog.text


def test_marks_of_a_camera_that_does_not_run_wait_too(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.write("", '[cameras.back]\ntype = "synthetic"\nmasks = [[[0, 0], [1, 0], [1, 1]]]')
    rig.reloading.read_again()
    assert "no change" in caplog.text
    assert "cameras.back.masks" in caplog.text


@pytest.mark.parametrize("text", ["[events]\nthreshold = 3", "[events", "[nonsense]\nx = 1"])
def test_a_bad_file_changes_nothing(rig: Rig, caplog: pytest.LogCaptureFixture, text: str) -> None:
    rig.write(text)
    rig.reloading.read_again()
    rig.turn()
    assert rig.app.pipelines[0].detect._rules.lowest_threshold == 0.5
    assert "the one that runs stays in force" in caplog.text
    assert str(rig.path) in caplog.text
    rig.path.unlink()
    rig.reloading.read_again()
    assert "not found" in caplog.text


def test_no_value_is_ever_said(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    before = load(rig.path)
    rig.write('[mqtt]\nenabled = true\nusername = "tomato"')
    rig.reloading.read_again()
    assert set(changes(before, load(rig.path))) == {"mqtt.enabled", "mqtt.username"}
    assert "mqtt.username" in caplog.text
    assert "tomato" not in caplog.text


def test_new_zones_are_announced_at_the_next_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mqtt = "[mqtt]\nenabled = true\n"
    rig = Rig(tmp_path, mqtt)
    rig.write(mqtt, "[cameras.front.zones.drive]\npolygon = [[0, 0], [1, 0], [1, 1]]")
    rig.reloading.read_again()
    assert "at the next start" in caplog.text
    caplog.clear()
    rig.write(mqtt, "[cameras.front.zones.drive]\npolygon = [[0, 0], [1, 0], [0, 1]]")
    rig.reloading.read_again()
    assert "at the next start" not in caplog.text


@pytest.mark.parametrize(
    ("key", "live"),
    [
        ("events.filters.person.threshold", True),
        ("cameras.front.required_zones", True),
        ("cameras.front.zones.drive.inertia", True),
        ("cameras.front.privacy_masks", False),
        ("cameras.front.path", False),
        ("snapshots.enabled", False),
        ("mqtt.host", False),
        ("data_dir", False),
    ],
)
def test_which_keys_change_at_once(key: str, live: bool) -> None:  # noqa: FBT001
    assert bool(LIVE.fullmatch(key)) is live


def seen(track_id: int, sequence: int, box: BBox) -> Track:
    return Track(track_id, "dog", 0.9, box, sequence + 3, 0, BBox(0, 0, 0, 0), confirmed=True)


def told(rules: EventRules, sequence: int, box: BBox) -> tuple[Event, ...]:
    return rules.update(sequence, sequence / 10, [seen(1, sequence, box)], (640, 480))


def settings(marks: Marks, threshold: float = 0.5) -> dict[str, object]:
    filters = Filters(Filter(threshold=threshold))
    return {
        "filters": filters, "marks": marks, "update_interval": 1.0, "stationary_after": 5.0, "stationary_memory": 60.0,
    }  # fmt: skip


def test_an_open_event_goes_on_by_the_new_settings() -> None:
    yard = Zone("yard", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)), inertia=1)
    gate = Line("gate", ((0.5, 0.0), (0.5, 1.0)))
    street = Zone("street", ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)), inertia=1)
    rules = EventRules("front", marks=Marks(zones=(yard,)), clock=ManualClock(), new_id=str)
    left, right = BBox(0.1, 0.2, 0.3, 0.6), BBox(0.7, 0.2, 0.9, 0.6)
    (new,) = told(rules, 0, left)
    assert new.current_zones == ("yard",)
    rules.adopt(**settings(Marks(zones=(yard, street), lines=(gate,)), threshold=0.95))  # type: ignore[arg-type]
    assert told(rules, 1, left) == (), "it is in the yard as before"
    assert rules.accept([Detection("dog", 0.4, left)]) == [], "by the new threshold"
    (moved,) = told(rules, 12, right)
    assert (moved.type, moved.event_id) == (EventType.UPDATE, new.event_id)
    assert moved.entered_zones == ("yard", "street")
    assert [crossing.line for crossing in moved.crossings] == ["gate"]
    rules.adopt(**settings(Marks()))  # type: ignore[arg-type]
    assert all(event.current_zones == () for event in told(rules, 40, left))
