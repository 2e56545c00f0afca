"""What is gathered from the parts, and the threads that look after health together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edgecam.condition import detector_losses, gather
from edgecam.config import Config
from edgecam.config.health import MetricsSection, StatusSection
from edgecam.health.facts import Facts
from edgecam.health.services import Health
from edgecam.housekeeping import HousekeepingFacts
from edgecam.testing import ManualClock
from edgecam.types import DetectorInfo

WELL = DetectorInfo("m", "r", "usb:2-1", (1, 1), since=7.0)


def pipeline(name: str, info: DetectorInfo | None, lost: float | None = None) -> Any:
    """As much of a pipeline as is asked about the loss of its detector."""
    return SimpleNamespace(name=name, detect=SimpleNamespace(info=info, lost_since=lost))


def test_a_detector_is_lost_or_another_one() -> None:
    cameras = [
        pipeline("well", WELL),
        pipeline("starting", None),
        pipeline("lost", WELL, 9.0),
        pipeline("degraded", replace(WELL, device="cpu", degraded="no Edge TPU", since=8.0)),
    ]
    assert detector_losses(cameras) == {"lost": 9.0, "degraded": 8.0}


def test_every_trouble_and_what_is_stored_is_told(tmp_path: Path) -> None:
    kept = HousekeepingFacts(stored_bytes=5, written_per_day=6, trouble="the disk refuses")
    messaging = SimpleNamespace(facts=lambda: None, publisher=SimpleNamespace(trouble="no broker at 10.0.0.1"))
    health = SimpleNamespace(facts=None, troubles=["the metrics at 127.0.0.1:1: taken"])
    told = gather([], cast(Any, messaging), cast(Any, SimpleNamespace(facts=kept)), tmp_path, cast(Any, health))
    assert told.troubles == ["MQTT: no broker at 10.0.0.1", "the disk refuses", "the metrics at 127.0.0.1:1: taken"]
    assert (told.storage.stored_bytes, told.storage.written_per_day) == (5, 6)


def health(config: Config) -> Health:
    return Health(config, lambda: pytest.fail("nobody asked"), dict, ManualClock(), Event().set)


def test_a_run_by_hand_watches_the_board_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert [worker.name for worker in health(Config()).workers] == ["board"]


def test_a_service_can_be_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    config = Config().model_copy(update={"metrics": MetricsSection(enabled=True)})
    made = health(config)
    assert [worker.name for worker in made.workers] == ["board", "status", "metrics"]
    assert made.troubles == []
    made.servers[0].trouble = "taken"
    assert made.troubles == ["taken"]


def test_all_of_them_together_answer(tmp_path: Path) -> None:
    from test_mqtt_status import facts
    from test_status_server import listens

    path = tmp_path / "status.sock"
    config = Config().model_copy(update={"status": StatusSection(socket=str(path))})

    def told() -> Facts:
        return facts(tmp_path)

    made = Health(config, told, dict, ManualClock(), Event().set)
    for worker in made.workers:
        worker.start()
    listens(path)
    assert [worker.stop_within(30.0) for worker in made.workers] == [None, None]
