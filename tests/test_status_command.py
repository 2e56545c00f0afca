"""`edgecam status`: the page, the JSON and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Edgecam, command_line
from test_mqtt_status import camera, counted, facts
from test_status_server import listens, serving

from edgecam.commands import status as command
from edgecam.health.board import UNDER_VOLTAGE, Board
from edgecam.health.facts import BoardFacts, Facts, MqttFacts, StorageFacts
from edgecam.health.page import length, page, size
from edgecam.health.report import Report
from edgecam.latency import Latency
from edgecam.testing import ManualClock

Served = Callable[[Facts], Path]


@pytest.fixture
def edgecam(capsys: pytest.CaptureFixture[str]) -> Edgecam:
    return command_line(capsys, "status")


@pytest.fixture
def well(tmp_path: Path) -> Iterator[Path]:
    """The socket of an edgecam that is well."""
    with serving(tmp_path / "status.sock", lambda: facts(tmp_path, front=camera(counters=counted(300)))) as server:
        listens(server.path)
        yield server.path


def test_all_is_well(edgecam: Edgecam, well: Path) -> None:
    outcome = edgecam("--socket", well)
    assert outcome.code == 0
    first, *rest = outcome.out.splitlines()
    assert " is ok since " in first
    assert any(line.split()[:4] == ["front", "yes", "mobiledet", "usb:2-1"] for line in rest)
    assert any(line.split()[:3] == ["front", "300", "150"] for line in rest)
    assert "\x1b" not in outcome.out


def test_json_is_what_the_service_says(edgecam: Edgecam, well: Path) -> None:
    outcome = edgecam("--socket", well, "--json")
    assert outcome.code == 0
    assert set(outcome.document) == {"status", "stats", "storage", "board", "process"}


def test_degraded_is_exit_code_1_and_says_why(edgecam: Edgecam, tmp_path: Path) -> None:
    with serving(tmp_path / "s", lambda: facts(tmp_path, front=camera(camera_lost_since=1.0))) as server:
        listens(server.path)
        outcome = edgecam("--socket", server.path)
        assert edgecam("--socket", server.path, "--json").code == 1
    assert outcome.code == 1
    assert "! front: the camera is lost" in outcome.out
    assert " is degraded since " in outcome.out


def test_not_running_is_exit_code_1_and_says_so(edgecam: Edgecam, tmp_path: Path) -> None:
    outcome = edgecam("--socket", tmp_path / "none")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("edgecam: edgecam is not running")
    assert outcome.err.count("\n") == 1


def test_the_configuration_says_where_to_ask(edgecam: Edgecam, well: Path, tmp_path: Path) -> None:
    config = tmp_path / "edgecam.toml"
    config.write_text(f'status.socket = "{well.name}"\n')
    assert edgecam("-c", config).code == 0


def test_without_a_readable_configuration_the_services_own_socket_is_asked(
    edgecam: Edgecam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecam.health.asking.SOCKET", tmp_path / "its.sock")
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert f"(nobody listens at {tmp_path / 'its.sock'})" in edgecam("-c", tmp_path / "none.toml").err


def test_watching_goes_on_when_the_service_is_gone(
    edgecam: Edgecam, tmp_path: Path, well: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [0]

    def interrupted(_: float) -> None:
        looks[0] += 1
        if looks[0] == 1:
            well.rename(tmp_path / "elsewhere")
        elif looks[0] == 2:
            (tmp_path / "elsewhere").rename(well)
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "sleep", interrupted)
    outcome = edgecam("--socket", well, "--watch", "--json")
    assert outcome.code == 130
    assert [json.loads(line)["status"]["status"] for line in outcome.out.splitlines()] == ["ok", "ok"]
    assert "is not running" in outcome.err


def test_a_terminal_gets_a_drawn_page(tmp_path: Path) -> None:
    rich = pytest.importorskip("rich.console")
    terminal = rich.Console(force_terminal=True, width=120, record=True, quiet=False)
    with terminal.capture() as drawn:
        terminal.print(command._drawn(page(everything_at_once(tmp_path))))
    assert "under-voltage since" in drawn.get()
    assert "usb:2-1" in drawn.get()


def everything_at_once(folder: Path) -> dict[str, object]:
    """The document of an edgecam that has something of everything."""
    clock = ManualClock()
    clock.advance(100.0)
    stages = dict(camera().latencies) | {"event": Latency(3, 0.01, 0.02, 0.03)}
    front = camera(latencies=stages, counters=counted(300), camera_lost_since=50.0)
    board = BoardFacts(
        Board("Raspberry Pi 5", (), (UNDER_VOLTAGE, "throttled"), 50.0, watched=True), {UNDER_VOLTAGE: 30.0}
    )
    mqtt = MqttFacts(4, 1, 62.5, 210, 206, Latency(3, 0.01, 0.02, 0.03))
    told = replace(facts(folder, mqtt, front=front), storage=StorageFacts(5, 0, 1, 2, 3, 4_831_838_208), board=board)
    report = Report(lambda: told, clock)
    clock.advance(10.0)
    return report.document()


def test_the_page_has_it_all(tmp_path: Path) -> None:
    parts = {title: rows for title, _, rows in page(everything_at_once(tmp_path))}
    fields = {str(row[0]): str(row[1]) for title in ("storage", "messages", "machine") for row in parts[title]}
    assert fields["written"] == "3 bytes, 4.8 GB a day"
    assert fields["waiting"] == "4, the oldest for 1 min"
    assert fields["power"].startswith("under-voltage since 20")
    assert fields["power"].endswith("; before: throttled")
    assert ["front", "event", "10.0", "20.0", "30.0"] in [[*map(str, row)][:5] for row in parts["milliseconds"]]
    assert "! front: the camera is lost" in parts


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (187_432_960, "187 MB"), (5e12, "5.0 TB")],
)
def test_sizes(count: float | None, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (3.4, "3 s"), (119, "1 min"), (7260, "2 h 1 min"), (180_000, "2 d 2 h")],
)
def test_lengths(seconds: float | None, text: str) -> None:
    assert length(seconds) == text
