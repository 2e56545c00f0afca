"""`edgecam tpu`: what it lists, and how a check goes, on the software Edge TPU."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Edgecam, Outcome, command_line
from edgetpu.standin import StandIn

from edgecam.bundled import models_folder
from edgecam.commands.tpu import INVOKES
from edgecam.detectors.edgetpu import list_edge_tpus, lock_path
from edgecam.detectors.holders import lock_holder


@pytest.fixture
def edgecam_tpu(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Edgecam:
    """Runs `edgecam tpu` in this process."""
    monkeypatch.delenv("EDGECAM_CONFIG", raising=False)
    return command_line(capfd, "tpu")


@pytest.fixture
def sticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with a running stick on USB 3 and one on USB 2 that waits for its firmware and has no node."""
    for name, ids, number, speed in (("2-1", ("18d1", "9302"), 3, 5000), ("1-1.4", ("1a6e", "089a"), 7, 480)):
        folder = tmp_path / "sys/bus/usb/devices" / name
        folder.mkdir(parents=True)
        values = {"idVendor": ids[0], "idProduct": ids[1], "busnum": name[0], "devnum": number, "speed": speed}
        for attribute, value in values.items():
            (folder / attribute).write_text(f"{value}\n")
    node = tmp_path / "dev/bus/usb/002/003"
    node.parent.mkdir(parents=True)
    node.touch()
    monkeypatch.setenv("EDGECAM_HOST_ROOT", str(tmp_path))
    monkeypatch.setenv("EDGECAM_LOCK_DIR", str(tmp_path))
    return tmp_path


Check = Callable[..., Outcome]


@pytest.fixture
def check(
    edgecam_tpu: Edgecam,
    standin: StandIn,
    demo_edgetpu_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Check:
    """Runs `edgecam tpu check` on the software Edge TPU, by default with the bundled model compiled for it."""
    for name, value in standin.environment.items():
        monkeypatch.setenv(name, value)
    config = tmp_path / "edgecam.toml"
    config.write_text(f'[edgetpu]\nlibrary = "{standin.library}"\n')

    def command(*arguments: str | Path, model: str | Path = demo_edgetpu_model) -> Outcome:
        return edgecam_tpu("check", "--config", config, "--model", model, *arguments)

    return command


class TestList:
    def test_the_table(self, edgecam_tpu: Edgecam, sticks: Path) -> None:
        outcome = edgecam_tpu("list")
        assert (outcome.code, outcome.err) == (0, "")
        *table, first, second = outcome.out.splitlines()
        assert [re.split(" {2,}", line) for line in table] == [
            ["DEVICE", "STATE", "SPEED", "NODE"],
            ["usb:1-1.4", "no firmware yet", "480 Mbit/s", f"{sticks}/dev/bus/usb/001/007"],
            ["usb:2-1", "running", "5000 Mbit/s", f"{sticks}/dev/bus/usb/002/003"],
        ]
        assert first.startswith(f"usb:1-1.4: its node {sticks}/dev/bus/usb/001/007 is missing")
        assert second.startswith("usb:1-1.4: on USB 2 (480 Mbit/s)")

    @pytest.mark.parametrize("arguments", [("--json",), ("list", "--json")])
    def test_the_document(self, edgecam_tpu: Edgecam, sticks: Path, arguments: tuple[str, ...]) -> None:
        slow, fast = edgecam_tpu(*arguments).document
        assert fast == {
            "device": "usb:2-1",
            "running": True,
            "speed": 5000,
            "node": f"{sticks}/dev/bus/usb/002/003",
            "trouble": "",
            "caution": "",
        }
        assert (slow["running"], slow["trouble"] != "", slow["caution"] != "") == (False, True, True)

    def test_it_is_what_the_bare_command_does(self, edgecam_tpu: Edgecam, sticks: Path) -> None:
        assert edgecam_tpu() == edgecam_tpu("list")

    def test_none_is_no_failure_and_says_what_to_check(
        self, edgecam_tpu: Edgecam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EDGECAM_HOST_ROOT", str(tmp_path))
        outcome = edgecam_tpu()
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.startswith("no Edge TPU found\n")
        assert "blue USB 3 port" in outcome.out or "shows no USB devices" in outcome.out
        assert edgecam_tpu("list", "--json") == Outcome(0, "[]\n", "")

    def test_json_belongs_after_the_command(self, edgecam_tpu: Edgecam) -> None:
        outcome = edgecam_tpu("--json", "check")
        assert (outcome.code, outcome.out) == (2, "")
        assert "give it after 'check'" in outcome.err


class TestCheck:
    def test_one_that_works(self, check: Check, demo_edgetpu_model: Path) -> None:
        outcome = check()
        assert (outcome.code, outcome.err) == (0, "")
        told = dict(re.split(" {2,}", line) for line in outcome.out.splitlines())
        assert list(told) == ["device", "model", "runtime", "libedgetpu", "via", "open", "invoke"]
        assert told["device"] == "usb:2-1"
        assert told["model"] == str(demo_edgetpu_model)
        assert re.match(r"(ai-edge-litert|tflite-runtime) \d", told["runtime"])
        assert "EDGECAM-STAND-IN" in told["libedgetpu"]
        assert told["via"] == "libedgetpu"
        assert told["invoke"].endswith(f" ms (median of {INVOKES})")

    def test_nothing_is_left_of_it(self, check: Check) -> None:
        assert check().code == 0
        (tpu,) = list_edge_tpus()
        assert lock_path(tpu).exists()
        assert lock_holder(lock_path(tpu)) is None
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)

    def test_the_document(self, check: Check) -> None:
        (told,) = check("--json").document
        assert list(told) == [
            *("device", "model", "caution", "error", "runtime", "library", "via", "note", "open", "invoke")
        ]
        assert (told["device"], told["error"]) == ("usb:2-1", "")
        assert told["invoke"] > 0
        assert told["open"] > 0

    def test_each_of_several_and_only_those_meant(self, check: Check, standin: StandIn) -> None:
        standin.plug("1-1", firmware=False, speed=480)
        standin.plug("apex_0", kind="pci")
        standin.set(dfu_ms=50)
        told = check("--json").document
        assert [outcome["device"] for outcome in told] == ["pci:apex_0", "usb:1-1", "usb:2-1"]
        assert [outcome["error"] for outcome in told] == ["", "", ""]
        assert "USB 2" in told[1]["caution"]
        assert [outcome["device"] for outcome in check("--json", "--device", "usb:1").document] == ["usb:2-1"]

    def test_one_that_fails_does_not_hide_the_other(self, check: Check, standin: StandIn) -> None:
        standin.plug("1-1").unlink()
        outcome = check()
        assert outcome.code == 1
        assert outcome.out.startswith("device      usb:2-1\n")
        assert outcome.err.startswith("edgecam: usb:1-1: its node ")
        assert outcome.err.count("\n") == 1

    def test_what_is_known_to_fail_is_not_opened(self, check: Check, standin: StandIn) -> None:
        for node in (standin.folder / "dev").rglob("002/*"):
            node.unlink()
        (told,) = check("--json").document
        assert "is missing" in told["error"]
        assert told["invoke"] is None
        assert standin.log() == []

    @pytest.mark.parametrize(
        ("control", "said"),
        [
            ({"open_fault": "null"}, "libedgetpu lists it but cannot open it"),
            ({"old_abi": 1}, "do not match: SIGSEGV"),
            ({"fault": "error"}, "in the first inference"),
            ({"fault": "abort", "fault_after": 8}, "libedgetpu gave up at work"),
        ],
    )
    def test_a_failure_is_one_line_with_the_reason(
        self, check: Check, standin: StandIn, control: dict[str, Any], said: str
    ) -> None:
        standin.set(**control)
        outcome = check()
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err.startswith("edgecam: usb:2-1: ")
        assert outcome.err.count("\n") == 1
        assert said in outcome.err

    def test_a_model_for_the_cpu_stands_for_its_sibling(
        self, check: Check, demo_edgetpu_model: Path, tmp_path: Path
    ) -> None:
        shutil.copy(demo_edgetpu_model, tmp_path / "garden_edgetpu.tflite")
        shutil.copy(models_folder() / "edgecam_demo.tflite", tmp_path / "garden.tflite")
        (told,) = check("--json", model=tmp_path / "garden.tflite").document
        assert (told["model"], told["error"]) == (str(tmp_path / "garden_edgetpu.tflite"), "")

    def test_without_a_compiled_model_it_says_how_to_get_one(self, check: Check, standin: StandIn) -> None:
        outcome = check(model=models_folder() / "edgecam_demo.tflite")
        assert (outcome.code, outcome.out) == (1, "")
        assert "compile it with edgetpu_compiler" in outcome.err
        assert "`edgecam models pull mobiledet-edgetpu`" in outcome.err
        assert standin.log() == []

    @pytest.mark.parametrize(
        ("device", "said"),
        [
            ("usb:7", "device 'usb:7': not found: there is usb:2-1"),
            ("cpu", "device 'cpu' is no Edge TPU"),
            ("tpu", "device 'tpu': give auto, edgetpu"),
        ],
    )
    def test_a_device_that_is_not_there(self, check: Check, device: str, said: str) -> None:
        outcome = check("-d", device)
        assert (outcome.code, outcome.out) == (1, "")
        assert said in outcome.err

    def test_none_at_all(self, check: Check, standin: StandIn) -> None:
        standin.unplug("2-1")
        assert check() == Outcome(1, "", "edgecam: no Edge TPU found: see `edgecam tpu list` for what to check\n")
