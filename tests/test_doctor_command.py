"""`edgecam doctor` as it is used: what it prints, how it ends, and what it looks at on this very machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Edgecam, command_line
from test_mqtt_status import camera, facts
from test_status_server import listens, serving

from edgecam.doctor import CHECKS, look
from edgecam.doctor.surroundings import Answer, run_command, unit_properties

pytestmark = pytest.mark.any_runtime
PLAIN = '[cameras.front]\ntype = "synthetic"\n'


@pytest.fixture
def edgecam_doctor(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Edgecam:
    """Runs `edgecam doctor` in this process."""
    for name in ("EDGECAM_CONFIG", "EDGECAM_HOST_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return command_line(capfd, "doctor")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a rendered camera."""
    file = tmp_path / "edgecam.toml"
    file.write_text(f'data_dir = "{tmp_path}"\n{PLAIN}')
    return file


def test_a_line_for_each_finding_and_the_sum_of_them(edgecam_doctor: Edgecam, config: Path) -> None:
    outcome = edgecam_doctor("--config", config, "--only", "cameras", "--only", "config", "--only", "broker")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        f"ok       config      {config}: cameras front",
        "ok       cameras     front: rendered, needs no device",
        "skipped  broker      mqtt.enabled is false",
    ]
    assert outcome.err == "edgecam: 2 ok, 1 skipped\n"


def test_a_fault_ends_with_1_and_has_its_remedy_below(edgecam_doctor: Edgecam, config: Path) -> None:
    config.write_text(f'data_dir = "/nowhere"\n{PLAIN}fps = "many"\n')
    outcome = edgecam_doctor("-c", config, "--only", "config")
    assert outcome.code == 1
    first, second = outcome.out.splitlines()
    assert first.startswith(f"fail     config      {config}:4: cameras.front.fps: ")
    assert second.startswith(f"{' ' * 21}-> put it right in {config}")


def test_a_configuration_that_was_named_must_be_there(edgecam_doctor: Edgecam, tmp_path: Path) -> None:
    outcome = edgecam_doctor("-c", tmp_path / "none.toml", "--only", "config")
    assert outcome.code == 1
    assert "not found" in outcome.out


def test_one_json_document(edgecam_doctor: Edgecam, config: Path) -> None:
    outcome = edgecam_doctor("-c", config, "--json", "--only", "cameras")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.document == {
        "state": "ok",
        "findings": [
            {"check": "cameras", "state": "ok", "detail": "front: rendered, needs no device", "remedy": ""},
        ],
    }


def test_a_check_that_there_is_not(edgecam_doctor: Edgecam, config: Path) -> None:
    outcome = edgecam_doctor("-c", config, "--only", "luck")
    assert outcome.code == 2
    assert all(name in outcome.err for name in ("luck", *CHECKS))


def test_all_of_it_on_this_machine(edgecam_doctor: Edgecam, config: Path) -> None:
    """Whatever is wrong with it: each check ends, and says something."""
    document = edgecam_doctor("-c", config, "--json").document
    assert [*dict.fromkeys(finding["check"] for finding in document["findings"])] == list(CHECKS)
    unmended = [each for each in document["findings"] if each["state"] in ("warn", "fail") and not each["remedy"]]
    assert not unmended


def test_a_broken_numpy_stops_only_what_needs_it(config: Path, tmp_path: Path) -> None:
    broken = tmp_path / "packages" / "numpy"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text('raise ImportError("built for another world")\n')
    command = [sys.executable, "-m", "edgecam", "doctor", "--json", "-c", str(config)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(broken.parent)}
    )
    findings = json.loads(done.stdout)["findings"]
    found = {each["check"]: each["state"] for each in findings}
    assert (done.returncode, found.keys()) == (1, CHECKS.keys())
    assert any("numpy" in each["detail"] and "built for another world" in each["detail"] for each in findings)
    assert (found["config"], found["disk"], found["runtime"]) == ("ok", "ok", "fail")


def test_a_configuration_that_is_not_installed_is_no_fault(tmp_path: Path) -> None:
    here = look(tmp_path / "edgecam.toml", named=False)
    assert (here.configured, here.config_trouble) == (False, "")


def test_a_running_service_is_asked(edgecam_doctor: Edgecam, config: Path, tmp_path: Path) -> None:
    """The real status server, and what it really says."""
    path = tmp_path / "status.sock"
    config.write_text(f'data_dir = "{tmp_path}"\nstatus.socket = "{path}"\n{PLAIN}')
    lost = camera(camera_lost_since=1.0)
    with serving(path, lambda: facts(tmp_path, front=lost)):
        listens(path)
        findings = edgecam_doctor("-c", config, "--json", "--only", "service", "--only", "cameras").document["findings"]
    told = [(each["check"], each["state"], each["detail"]) for each in findings]
    assert ("service", "warn", "edgecam says: front: the camera is lost") in told
    assert told[-1] == ("cameras", "fail", "front: the service has lost it")


def test_what_systemd_says() -> None:
    told = Answer(0, "LoadState=loaded\nStatusText=front: 30 fps = fine\n", "")
    assert unit_properties(lambda command: told) == {"LoadState": "loaded", "StatusText": "front: 30 fps = fine"}
    assert unit_properties(lambda command: Answer(1, "", "System has not been booted with systemd")) == {}
    assert unit_properties(lambda command: None) == {}


def test_commands_that_are_not_there_and_that_fail() -> None:
    assert run_command(["edgecam-there-is-no-such-command"]) is None
    assert run_command(["sh", "-c", "echo out; echo err >&2; exit 3"]) == Answer(3, "out\n", "err\n")


def test_the_manual_has_every_check() -> None:
    manual = (Path(__file__).resolve().parent.parent / "docs" / "doctor.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \| [a-z0-9]", manual, re.MULTILINE) == list(CHECKS)
