"""The doctor on sick machines and on well ones: each check is provoked into failing, and each says what to do."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from doctor_machine import RULES, Machine, TickingClock, past, status_of
from edgetpu.standin import StandIn
from mqtt_broker import free_port

from edgecam.doctor import CHECKS, State
from edgecam.doctor.examination import worst
from edgecam.doctor.finding import parted

STICK = "sys/bus/usb/devices/2-1"
PYPI = Path(__file__).resolve().parent / "edgetpu" / "pycoral_pypi"
BROKEN_IMPORT = 'raise ImportError("numpy.core.multiarray failed to import")\n'

Fault = Callable[[Machine, pytest.MonkeyPatch], None]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine of which nothing is known to be wrong."""
    for name in ("EDGECAM_MODELS", "EDGECAM_HOST_ROOT", "EDGECAM_RUNTIME", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EDGECAM_LOCK_DIR", str(tmp_path))
    return Machine(tmp_path / "machine")


def plug(machine: Machine, speed: int = 5000, *, node: bool = True) -> None:
    """A running stick in port 2-1."""
    values = {"idVendor": "18d1", "idProduct": "9302", "busnum": "2", "devnum": "3", "speed": str(speed)}
    for file, value in values.items():
        machine.write(f"{STICK}/{file}", value)
    if node:
        machine.write("dev/bus/usb/002/003", "", 0o666)


def bad_config(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.trouble = f"{machine.config_path}:3: detector.device: 'gpu': allowed are auto, cpu"
    machine.configured = False


def failed_unit(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.installed(unit={"ActiveState": "failed", "Result": "watchdog", "ExecMainStatus": "6"})


def closed_data(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.user()
    machine.config_path.chmod(0o644)
    machine.data.chmod(0o755)


def open_secret(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("etc/credstore/edgecam.mqtt-password", "hidden", 0o666)


def packages_for_another_numpy(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("tflite_runtime", "ai_edge_litert"):
        machine.write(f"packages/{package}/__init__.py", "")
        machine.write(f"packages/{package}/interpreter.py", BROKEN_IMPORT)
    monkeypatch.setenv("PYTHONPATH", str(machine.root / "packages"))


def pypi_pycoral(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    python = machine.write("python", f'#!/bin/sh\nPYTHONPATH={PYPI} exec {sys.executable} "$@"\n', 0o755)
    machine.set(edgetpu={"python": str(python)})


def damaged_model(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("var/lib/edgecam/models/ssdlite_mobiledet_coco_qat_postprocess.tflite", "cut")


def no_camera(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.cameras["front"] = {"type": "v4l2", "path": str(machine.root / "dev/video7")}


def little_cma(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.cameras["front"] = {"type": "picamera2"}
    machine.write("proc/meminfo", "MemTotal: 900000 kB\nCmaTotal: 16384 kB\nCmaFree: 16000 kB\n")


def no_tpu(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.set(detector={"device": "usb"})


def idle_card(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x1ac1\n")
    machine.write("sys/bus/pci/devices/0000:01:00.0/device", "0x089a\n")


def no_rules(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(machine)


def no_library(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(machine)
    machine.set(edgetpu={"library": "/nowhere/libedgetpu.so.1"})


def weak_power(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")


def hot(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    machine.write("sys/class/thermal/thermal_zone0/temp", "84300\n")


def long_ago(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.clock = past()


def full_disk(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.free = 90_000_000


def slow_disk(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.clock = TickingClock(10.0)


def no_broker(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.set(mqtt={"enabled": True, "host": "127.0.0.1", "port": free_port()})


def window_of_a_service(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.installed()
    machine.set(display={"enabled": True, "backend": "window"})


FAULTS: dict[str, tuple[Fault, str, str]] = {
    "config": (bad_config, "'gpu'", "edgecam config check"),
    "service": (failed_unit, "watchdog, exit 6", "journalctl -u edgecam"),
    "account": (closed_data, "may not write to .*/var/lib/edgecam", "chown -R edgecam: "),
    "secrets": (open_secret, "every user .* may change .*mqtt-password", "chmod o= .*mqtt-password"),
    "numpy": (packages_for_another_numpy, "does not load with NumPy .*multiarray", "numpy<2|go together"),
    "runtime": (packages_for_another_numpy, "no runtime", "install ai-edge-litert or tflite-runtime"),
    "pycoral": (pypi_pycoral, "not Coral's", "pip uninstall pycoral"),
    "models": (damaged_model, "ssdlite_mobiledet.*tflite", "."),
    "cameras": (no_camera, "front: no camera at .*video7", "edgecam cameras"),
    "cma": (little_cma, "CMA has 16 MiB, the cameras take about [0-9]+ MiB", "cma-256"),
    "coral": (no_tpu, "'usb': no such Edge TPU, there is none", "container"),
    "gasket": (idle_card, "0000:01:00.0 has no driver", "modprobe apex.*gasket-dkms"),
    "udev": (no_rules, "1a6e:089a and 18d1:9302", "udevadm control --reload"),
    "libedgetpu": (no_library, "/nowhere/libedgetpu.so.1 cannot be loaded", "libedgetpu1-std"),
    "power": (weak_power, "now: under-voltage, throttled", "power supply"),
    "temperature": (hot, "84 degrees", "fan"),
    "clock": (long_ago, "1970", "set-ntp true"),
    "disk": (full_disk, "0.1 of 64.0 GB", "larger disk"),
    "speed": (slow_disk, "0.4 MB/s .* 1.0 MB/s", "faster card"),
    "broker": (no_broker, "127.0.0.1:[0-9]+", "."),
    "display": (window_of_a_service, "the service has no desktop", "drm"),
}


def test_every_check_has_its_fault() -> None:
    assert FAULTS.keys() == CHECKS.keys()


@pytest.mark.parametrize("name", CHECKS)
def test_a_fault_is_found_and_its_remedy_told(name: str, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    provoke, what, remedy = FAULTS[name]
    provoke(machine, monkeypatch)
    findings = machine.findings(name)
    failed = [finding for finding in findings if finding.state == State.FAIL]
    assert worst(findings) == State.FAIL
    assert any(re.search(what, each.detail) and re.search(remedy, each.remedy) for each in failed), failed
    assert all(each.check == name and each.remedy and "\n" not in each.detail for each in failed)


@pytest.mark.parametrize("name", CHECKS)
def test_nothing_is_wrong_with_a_machine_that_has_nothing(name: str, machine: Machine) -> None:
    findings = machine.findings(name)
    assert {finding.state for finding in findings} <= {State.OK, State.SKIPPED}
    assert findings


@pytest.fixture
def pi(machine: Machine, standin: StandIn, demo_edgetpu_model: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A Raspberry Pi with a software Edge TPU, everything installed, the service stopped."""
    for name, value in standin.environment.items():
        monkeypatch.setenv(name, value)
    for folder in ("sys", "dev"):
        (machine.root / folder).symlink_to(standin.folder / folder)
    models = machine.data / "models"
    models.mkdir()
    (models / "demo_edgetpu.tflite").symlink_to(demo_edgetpu_model)
    cpu = Path(__file__).resolve().parent.parent / "models" / "edgecam_demo.tflite"
    (models / "demo.tflite").symlink_to(cpu)
    machine.set(detector={"model": str(models / "demo.tflite")}, edgetpu={"library": str(standin.library)})
    machine.write("etc/udev/rules.d/60-edgecam-edgetpu.rules", RULES.read_text())
    machine.write("sys/class/thermal/thermal_zone0/temp", "48100\n")
    machine.write("sys/devices/platform/soc/soc:firmware/get_throttled", "0\n")
    machine.user()
    machine.config_path.chmod(0o644)
    machine.data.chmod(0o777)
    machine.installed(unit={"ActiveState": "active"})
    return machine


def test_a_healthy_pi_is_well(pi: Machine) -> None:
    findings = {name: pi.findings(name) for name in CHECKS}
    wrong = [each for found in findings.values() for each in found if each.state in (State.WARN, State.FAIL)]
    assert not wrong
    skipped = {name for name, found in findings.items() if found[0].state == State.SKIPPED}
    assert skipped == {"cma", "gasket", "broker", "display"}
    (matched,) = findings["libedgetpu"]
    assert re.search(
        r" matches (ai-edge-litert|tflite-runtime) .*; one inference on usb:2-1: [0-9.]+ ms", matched.detail
    )


def test_a_library_for_another_runtime(pi: Machine, standin: StandIn) -> None:
    standin.set(old_abi=1)
    finding = pi.only("libedgetpu", State.FAIL)
    assert "do not match" in finding.detail
    assert "libedgetpu" in finding.remedy


class TestARunningService:
    def test_its_edge_tpu_is_not_touched(self, pi: Machine, standin: StandIn) -> None:
        pi.installed(status_of("usb:2-1"))
        before = standin.log()
        findings = pi.findings("coral", "libedgetpu", "models")
        assert worst(findings) == State.OK
        assert "in use by edgecam" in findings[0].detail
        assert "the service runs its model with it on usb:2-1" in findings[1].detail
        assert [entry for entry in standin.log()[len(before) :] if entry["event"] != "version"] == []

    def test_one_that_may_not_be_asked_keeps_its_edge_tpu_too(self, pi: Machine, standin: StandIn) -> None:
        pi.installed(running=True)
        before = standin.log()
        assert pi.only("libedgetpu", State.SKIPPED).remedy == "stop it to have it tried"
        assert [entry for entry in standin.log()[len(before) :] if entry["event"] != "version"] == []

    def test_its_cameras_are_not_opened(self, machine: Machine) -> None:
        machine.cameras["front"] = {"type": "v4l2", "path": "/dev/video99"}
        machine.installed(status_of())
        assert machine.only("cameras", State.OK).detail == "front: the service has it, and it works"
        machine.installed(status_of(camera=False))
        assert "the service has lost it" in machine.only("cameras", State.FAIL).detail
        machine.cameras["back"] = {"type": "synthetic"}
        machine.installed(status_of())
        assert [each.state for each in machine.findings("cameras")] == [State.OK, State.WARN]
        del machine.cameras["back"]
        machine.installed(running=True)
        assert "sudo" in machine.only("cameras", State.SKIPPED).remedy

    def test_its_own_words_are_told(self, machine: Machine) -> None:
        machine.installed(status_of(reasons=["front: the camera is lost"]))
        unit, words = machine.findings("service")
        assert (unit.state, unit.detail) == (State.OK, "edgecam.service runs: front: 30.0 fps")
        assert (words.state, words.detail) == (State.WARN, "edgecam says: front: the camera is lost")


def test_messages_are_parted() -> None:
    assert parted("usb:2-1: no permission for /dev/x: `sudo it`", "?") == (
        "usb:2-1: no permission for /dev/x",
        "`sudo it`",
    )
    assert parted("nothing to do", "wait") == ("nothing to do", "wait")
    assert parted("usb:2-1: failed at work", "replug") == ("usb:2-1: failed at work", "replug")
