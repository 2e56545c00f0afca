"""`edgecam tpu`: what it lists, and how a check goes, on the software Edge TPU."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgecam import cli


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


EdgecamTpu = Callable[..., Outcome]


@pytest.fixture
def edgecam_tpu(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> EdgecamTpu:
    """Runs `edgecam tpu` in this process."""
    monkeypatch.delenv("EDGECAM_CONFIG", raising=False)

    def command(*arguments: str | Path) -> Outcome:
        code = cli.main(["tpu", *map(str, arguments)])
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


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


class TestList:
    def test_the_table(self, edgecam_tpu: EdgecamTpu, sticks: Path) -> None:
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
    def test_the_document(self, edgecam_tpu: EdgecamTpu, sticks: Path, arguments: tuple[str, ...]) -> None:
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

    def test_it_is_what_the_bare_command_does(self, edgecam_tpu: EdgecamTpu, sticks: Path) -> None:
        assert edgecam_tpu() == edgecam_tpu("list")

    def test_none_is_no_failure_and_says_what_to_check(
        self, edgecam_tpu: EdgecamTpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EDGECAM_HOST_ROOT", str(tmp_path))
        outcome = edgecam_tpu()
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.startswith("no Edge TPU found\n")
        assert "blue USB 3 port" in outcome.out or "shows no USB devices" in outcome.out
        assert edgecam_tpu("list", "--json") == Outcome(0, "[]\n", "")

    def test_json_belongs_after_the_command(self, edgecam_tpu: EdgecamTpu) -> None:
        outcome = edgecam_tpu("--json", "check")
        assert (outcome.code, outcome.out) == (2, "")
        assert "give it after 'check'" in outcome.err
