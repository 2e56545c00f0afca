"""tools/hardware-check: steps as values in, report out; and some of it for real, on whatever machine this is."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from edgetpu.standin import StandIn
from rich.console import Console

from edgecam.config import load
from edgecam.errors import EdgecamError

TOOLS = Path(__file__).resolve().parent.parent / "tools"
SCRIPT = TOOLS / "hardware_check.py"
sys.path.insert(0, str(TOOLS))

briefs, machine, privacy, product, steps, values, watching, writing = (
    import_module(f"hardware_report.{name}")
    for name in ("briefs", "machine", "privacy", "product", "steps", "values", "watching", "writing")
)
hardware_check = import_module("hardware_check")

STARTED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOBODY = privacy.Private((), "")
CSI = values.Camera("picamera2", "/base/soc/i2c0mux/i2c@1/imx708@1a", "imx708")
USB = values.Camera("v4l2", "/dev/v4l/by-id/usb-046d_C920_1A2B3C4D-video-index0", "C920")


def never_asked(text: str) -> None:
    raise AssertionError(f"nobody is here to answer: {text}")


def workbench(folder: Path, **plan: Any) -> Any:
    return steps.Workbench(values.Plan(**plan), folder, NOBODY, never_asked)


def step_named(name: str, made: Any) -> Any:
    return next(step for step in made if step.name == name)


def inventory_without(**there: Any) -> Any:
    """What is there; the rest is not, and says so."""
    missing = {"no_tpu": "no Edge TPU found", "no_camera": "no camera found", "no_monitor": "no monitor found"}
    for thing, reason in (("tpus", "no_tpu"), ("cameras", "no_camera"), ("monitors", "no_monitor")):
        if there.get(thing):
            missing[reason] = ""
    return values.Inventory(**there, **missing)


class TestMachine:
    @pytest.mark.parametrize(
        ("told", "meaning"),
        [
            ("throttled=0x0\n", []),
            ("throttled=0x50000\n", ["under-voltage since start", "throttled since start"]),
            ("throttled=0x80008\n", ["soft temperature limit now", "soft temperature limit since start"]),
            ("VCHI initialization failed\n", None),
        ],
    )
    def test_what_the_firmware_did(self, told: str, meaning: list[str] | None) -> None:
        assert machine.throttling(told) == meaning

    def test_the_facts_of_a_pi(self, tmp_path: Path) -> None:
        files = {
            "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            "proc/meminfo": "MemTotal:        8257872 kB\nCmaTotal:          65536 kB\n",
            "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
            "sys/class/thermal/thermal_zone0/temp": "61200\n",
            "sys/class/drm/card1-HDMI-A-1/status": "connected\n",
            "sys/class/drm/card1-HDMI-A-2/status": "disconnected\n",
        }
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        facts = machine.facts(tmp_path)
        assert facts["board"] == "Raspberry Pi 5 Model B Rev 1.0"
        assert (facts["memory_mib"], facts["cma_mib"]) == (8064.3, 64.0)
        assert facts["system"] == "Debian GNU/Linux 13 (trixie)"
        assert (facts["celsius"], facts["monitors"]) == (61.2, ["HDMI-A-1"])

    def test_a_machine_that_tells_nothing(self, tmp_path: Path) -> None:
        facts = machine.facts(tmp_path)
        assert facts["board"] is facts["celsius"] is facts["memory_mib"] is None


class TestPrivacy:
    PRIVATE = privacy.Private((("/home/ann/edgecam", "CHECKOUT"), ("/home/ann", "~")), "annspi")

    @pytest.mark.parametrize(
        ("said", "kept"),
        [
            ("/home/ann/edgecam/models/a.tflite", "CHECKOUT/models/a.tflite"),
            ("/home/ann/a: no, /home/bob/b", "~/a: no, ~/b"),
            ("http://192.168.1.20:8080/ and fe80::1ff:fe23:4567:890a", "http://[address]:8080/ and [address]"),
            ("mac dc:a6:32:01:02:03", "mac [address]"),
            ("annspi: in use", "[host]: in use"),
            (USB.which, "/dev/v4l/by-id/…-video-index0"),
        ],
    )
    def test_what_is_private_is_taken_out(self, said: str, kept: str) -> None:
        assert self.PRIVATE.text(said) == kept
        assert self.PRIVATE.document({"a": [said, 1]}) == {"a": [kept, 1]}

    @pytest.mark.parametrize(
        "said", ["ai-edge-litert 2.3.0", "usb:2-1", "18d1:9302", "0000:01:00.0", "12:09:04", CSI.which]
    )
    def test_what_is_not_stays(self, said: str) -> None:
        assert self.PRIVATE.text(said) == said


class TestProduct:
    @pytest.mark.parametrize(
        ("code", "out", "err", "document", "reason"),
        [
            (0, '{"a": 1}\n', "edgecam: a warning\n", {"a": 1}, ""),
            (1, '[{"a": 1}]', "edgecam: first\nedgecam: no stick\n", [{"a": 1}], "no stick"),
            (-9, "", "", None, "killed by signal 9"),
            (2, "{", "", None, "exit code 2"),
        ],
    )
    def test_how_it_ended(self, code: int, out: str, err: str, document: Any, reason: str) -> None:
        done = product.done(code, out, err)
        assert (done.document, done.reason) == (document, reason)
        assert done.said == tuple(line.removeprefix("edgecam: ") for line in err.splitlines())

    def test_what_takes_too_long_is_stopped_and_says_its_last_words(self, tmp_path: Path) -> None:
        # A suite that runs in the background ignores SIGINT, and so do its children unless they say otherwise.
        program = "import signal, sys, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        program += "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    sys.exit('edgecam: bye')"
        done = product.run(("-c", program), (), 3.0, tmp_path)
        assert done.reason == "not done after 3 s: bye"


class TestSteps:
    def test_what_is_there_by_what_the_commands_say(self) -> None:
        listed = {
            "picamera2": {"cameras": [{"camera_id": CSI.which, "model": "imx708"}], "problem": ""},
            "v4l2": {"cameras": [{"path": USB.which, "name": "C920"}]},
        }
        found = steps.inventory([{"device": "usb:2-1"}], listed, ("HDMI-A-1",))
        assert found == values.Inventory(("usb:2-1",), (CSI, USB), ("HDMI-A-1",))

    def test_what_is_not_there_says_why(self) -> None:
        listed = {"picamera2": {"cameras": [], "problem": "not installed"}, "v4l2": {"cameras": []}}
        found = steps.inventory([], listed, ())
        reasons = ("no Edge TPU found", "no camera found: not installed", "no monitor found")
        assert (found.no_tpu, found.no_camera, found.no_monitor) == reasons
        assert steps.inventory(None, None, ()).no_camera == "no camera found"

    def test_a_bare_machine_does_what_it_can(self, tmp_path: Path) -> None:
        made = list(workbench(tmp_path).rest(inventory_without(), interactive=True))
        assert [step.name for step in made if not step.why_not] == ["bench cpu", "demo"]
        outcomes = [step.perform() for step in made if step.why_not]
        assert {outcome.state for outcome in outcomes} == {"not here"}
        assert all(outcome.reason for outcome in outcomes)
        assert {step.kind for step in made} <= set(steps.KINDS)

    def test_everything_there_is_gets_its_steps(self, tmp_path: Path) -> None:
        found = inventory_without(tpus=("usb:2-1", "pci:apex_0"), cameras=(CSI, USB), monitors=("HDMI-A-1",))
        made = list(workbench(tmp_path).rest(found, interactive=True))
        assert [step.name for step in made if not step.why_not] == [
            *("tpu check", "bench cpu", "bench usb:2-1", "bench pci:apex_0", "demo", "demo --display"),
            *("watch imx708", "watch C920", "unplug usb:2-1", "unplug C920", "unplug HDMI-A-1"),
        ]

    def test_the_ribbon_of_a_camera_is_never_to_be_pulled(self, tmp_path: Path) -> None:
        made = workbench(tmp_path).rest(inventory_without(cameras=(CSI,)), interactive=True)
        assert "must not be pulled" in step_named("unplug imx708", made).why_not

    @pytest.mark.parametrize("camera", [CSI, USB, values.SYNTHETIC], ids=lambda camera: camera.kind)
    def test_its_configurations_are_valid(self, camera: Any, tmp_path: Path) -> None:
        file = tmp_path / "edgecam.toml"
        for display in (True, False):
            file.write_text(steps.configuration(camera, display=display), encoding="utf-8")
            config = load(file, cameras_needed=True)
            assert config.display.enabled is display
            section = config.cameras[watching.CAMERA].model_dump()
            assert {name: value for name, value in camera.section.items() if value}.items() <= section.items()


class TestUnplugging:
    @staticmethod
    def document(*devices: tuple[float, str], **more: Any) -> dict[str, Any]:
        changes = [{"at": at, "device": device, "display": device} for at, device in devices]
        counts = {"frames_captured": 900, "frames_dropped": 1, "frames_failed": 0}
        return {"changes": changes, **counts, **more}

    def test_a_stick_that_went_and_came_back(self) -> None:
        seen = self.document((0.1, "cpu"), (2.0, "usb:2-1"), (15.0, "cpu"), (26.5, "usb:1-1,usb:2-1"))
        assert briefs.stick_pulled(seen, "usb:2-1") == (
            "went at 15.0 s, in use again 11.5 s later; 900 captured, 1 dropped, 0 failed",
            "",
        )

    @pytest.mark.parametrize(
        ("devices", "problem"),
        [
            ([(0.1, "cpu")], "the stick was never in use"),
            ([(0.1, "cpu"), (2.0, "usb:2-1")], "the stick was not seen to go"),
            ([(2.0, "usb:2-1"), (15.0, "usb:2-10")], "the stick went at 15.0 s and was not seen to come back"),
        ],
    )
    def test_a_stick_that_did_not(self, devices: list[tuple[float, str]], problem: str) -> None:
        assert briefs.stick_pulled(self.document(*devices), "usb:2-1") == ("", problem)

    def test_a_monitor(self) -> None:
        seen = self.document((0.1, "being opened"), (1.0, "showing A"), (9.0, "no monitor"), (12.0, "showing A"))
        assert briefs.monitor_pulled(seen)[0].startswith("went at 9.0 s, in use again 3.0 s later")

    def test_a_camera(self) -> None:
        assert briefs.camera_pulled(self.document(reopened=2, longest_pause=11.25))[1] == ""
        assert "not seen to go" in briefs.camera_pulled(self.document(reopened=0, longest_pause=0.03))[1]


class TestWatching:
    def test_the_figures_of_the_notes(self) -> None:
        notes = [
            watching.Note(0, 10.0, 10.25, 10.125, 0.0625),
            watching.Note(1, 10.5, 10.75, None, None),
            watching.Note(3, 11.5, 11.75, 11.625, 0.0625),
        ]
        figures = watching.figures(notes)
        assert (figures["seconds"], figures["fps"], figures["longest_pause"]) == (1.5, 2.0, 1.0)
        assert figures["interval"] == {"count": 1, "p50": 0.5, "p95": 0.5, "p99": 0.5}
        assert figures["latency_analysed"] == {"count": 2, "p50": 0.125, "p95": 0.125, "p99": 0.125}
        assert figures["latency_written"]["count"] == 3
        assert figures["inference"]["p50"] == 0.0625

    def test_no_analysis(self) -> None:
        two = [watching.Note(number, float(number), number + 0.5, None, None) for number in range(2)]
        assert watching.figures(two)["latency_analysed"] is None


def report_of(*outcomes: Any, stand_in: bool = False) -> Any:
    return writing.Report(STARTED, "0.1.0", "abc", ["--quick"], stand_in, outcomes)


class TestReport:
    GOOD = values.Outcome(
        "bench cpu", values.State.OK, "edgecam bench", 2.0, brief="9 fps", figures={"bare": {"rounds": [1, 2]}}
    )
    ABSENT = values.Outcome("tpu check", values.State.ABSENT, reason="no Edge TPU found")
    BAD = values.Outcome(
        "watch a|b", values.State.FAILED, "x", 1.0, reason="in use", heat={"throttled": ["hot now"]}, said=("a word",)
    )

    def test_it_is_complete_where_all_that_could_run_ran(self) -> None:
        assert report_of(self.GOOD, self.ABSENT).complete
        assert not report_of(self.GOOD, self.BAD).complete
        assert not report_of(values.Outcome("demo", values.State.STOPPED)).complete

    def test_both_forms(self, tmp_path: Path) -> None:
        report = report_of(self.GOOD, self.ABSENT, self.BAD)
        writing.write(report, tmp_path)
        document = json.loads((tmp_path / "report.json").read_text())
        assert document == json.loads(json.dumps(report.document()))
        assert [step["state"] for step in document["steps"]] == ["ok", "not here", "failed"]
        text = (tmp_path / "report.md").read_text(encoding="utf-8")
        assert "| bench cpu | ok | 2.0 |  | 9 fps |" in text
        assert "bare.rounds  1 2" in text
        assert "| watch a\\|b | failed | 1.0 |  | in use |" in text
        assert "hot now" in text
        assert "> a word" in text
        assert "## tpu check" not in text
        assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]

    def test_a_pretended_host_is_said_to_be_one(self) -> None:
        assert "no figure here is of real hardware" in report_of(stand_in=True).markdown()
        assert "real hardware" not in report_of().markdown()

    def test_long_lists_are_cut(self) -> None:
        lines = list(writing.flat({"sizes": [{"w": number} for number in range(100)]}))
        assert len(lines) == 41
        assert lines[-1] == ("sizes[…]", "60 more, in report.json")

    def test_a_second_report_of_a_day_has_its_own_folder(self, tmp_path: Path) -> None:
        first, second = (writing.new_folder(tmp_path, STARTED) for _ in range(2))
        assert re.fullmatch(r"hardware-report-2026-11-21-[A-Za-z0-9-]+", first.name)
        assert second.name == f"{first.name}-2"


def test_ctrl_c_keeps_what_was_done(tmp_path: Path) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    options = argparse.Namespace(only=["bench"], quick=True, interactive=False, pull=False)
    check = hardware_check.Check(options, tmp_path, STARTED, Console(file=StringIO()))
    made = [
        steps.Step("bench cpu", "bench", lambda: TestReport.GOOD),
        steps.Step("bench usb:2-1", "bench", interrupted),
    ]
    with pytest.raises(KeyboardInterrupt):
        check._perform(made)
    document = json.loads((tmp_path / "report.json").read_text())
    told = [(step["step"], step["state"]) for step in document["steps"]]
    assert told == [("bench cpu", "ok"), ("bench usb:2-1", "stopped")]
    assert document["complete"] is False


class TestForReal:
    def test_the_machine(self, tmp_path: Path) -> None:
        command = [sys.executable, str(SCRIPT), "--only", "machine", "--out", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        folder = Path(done.stdout.strip())
        assert folder.parent == tmp_path
        (step,) = json.loads((folder / "report.json").read_text())["steps"]
        assert step["figures"]["python"] == ".".join(map(str, sys.version_info[:3]))
        assert "numpy" in step["figures"]["python_packages"]
        assert str(Path.home()) not in (folder / "report.md").read_text(encoding="utf-8")
        host = socket.gethostname()
        assert host not in json.dumps([value for value in step["figures"].values() if isinstance(value, str)])

    def test_wrong_usage(self, tmp_path: Path) -> None:
        for wrong in (["--only", "nothing"], ["--interactive"]):
            command = [sys.executable, str(SCRIPT), *wrong, "--out", str(tmp_path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            assert done.returncode == 2, done.stderr
        assert not list(tmp_path.iterdir())

    def test_bench(self, tmp_path: Path) -> None:
        made = workbench(tmp_path, bench=0.3, rounds=1).rest(inventory_without(), interactive=False)
        outcome = step_named("bench cpu", made).perform()
        assert outcome.state == "ok", outcome.reason
        assert outcome.figures["bare"]["fps"] > 0
        assert outcome.command == "edgecam bench --device cpu --seconds 0.3 --rounds 1 --json"

    def test_watching_a_camera(self, tmp_path: Path) -> None:
        found = inventory_without(cameras=(values.SYNTHETIC,))
        made = workbench(tmp_path, watch=1.0).rest(found, interactive=False)
        outcome = step_named("watch rendered scenes", made).perform()
        assert outcome.state == "ok", outcome.reason
        figures = outcome.figures
        assert figures["frames_captured"] == figures["frames_written"] + figures["frames_dropped"] > 0
        assert figures["size"] == [1280, 720]
        assert figures["latency_written"]["p50"] > 0
        assert figures["changes"][0]["device"] == "cpu"

    def test_a_camera_that_is_gone_is_said_to_be(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watching, "PATIENCE", 0.0)
        file = tmp_path / "edgecam.toml"
        gone = values.Camera("v4l2", str(tmp_path / "video9"), "gone")
        file.write_text(steps.configuration(gone, display=False), encoding="utf-8")
        with pytest.raises(EdgecamError, match=r"only 0 frames came: .*video9"):
            watching.watch(load(file), 0.5)

    def test_an_edge_tpu(
        self, tmp_path: Path, standin: StandIn, demo_edgetpu_model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in standin.environment.items():
            monkeypatch.setenv(name, value)
        models = Path(shutil.copytree(TOOLS.parent / "models", tmp_path / "models"))
        shutil.copy(demo_edgetpu_model, models)
        monkeypatch.setenv("EDGECAM_MODELS", str(models))
        monkeypatch.delenv("EDGECAM_CONFIG", raising=False)
        bench = workbench(tmp_path)
        assert step_named("tpu list", bench.first(pull=False)).perform().brief == "usb:2-1 5000 Mbit/s"
        assert bench.inventory.tpus == ("usb:2-1",)
        checked = step_named("tpu check", bench.rest(bench.inventory, interactive=False)).perform()
        assert checked.state == "ok", checked.reason
        assert checked.brief.startswith("usb:2-1: open ")
