"""What each of the doctor's checks tells apart beyond well and broken."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from doctor_machine import STRANGER, Machine, status_of
from mqtt_broker import EDGECAM, Certificates, Mosquitto
from picamera2_fake import Board, Sensor

from edgecam.cameras import csi_listing, v4l2_found
from edgecam.cameras.csi_listing import CsiCamera, Listing, SensorMode
from edgecam.cameras.v4l2_found import AttachedCamera, FormatModes
from edgecam.config import Config
from edgecam.doctor import State, examine
from edgecam.doctor.account import Account, find_account
from edgecam.doctor.disk import needed_per_second
from edgecam.doctor.memory import needed_bytes
from edgecam.doctor.surroundings import Answer
from edgecam.sinks import drm_library
from edgecam.testing import ManualClock

pytestmark = pytest.mark.any_runtime


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine of which nothing is known to be wrong."""
    for name in ("EDGECAM_MODELS", "EDGECAM_HOST_ROOT", "EDGECAM_RUNTIME", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("EDGECAM_MQTT_PASSWORD", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EDGECAM_LOCK_DIR", str(tmp_path))
    return Machine(tmp_path / "machine")


class TestTheService:
    @pytest.mark.parametrize(
        ("unit", "state", "what", "remedy"),
        [
            ({"LoadState": "not-found"}, State.SKIPPED, "not installed", "edgecam install"),
            ({"LoadState": "masked"}, State.FAIL, "masked", "unmask"),
            ({"LoadState": "bad-setting"}, State.FAIL, "cannot be loaded", "systemd-analyze verify"),
            ({"ActiveState": "inactive"}, State.WARN, "stopped", "systemctl start"),
            ({"ActiveState": "activating", "StatusText": "waiting"}, State.WARN, "activating: waiting", "a minute"),
            ({"ActiveState": "activating", "SubState": "auto-restart"}, State.FAIL, "again and again", "journalctl"),
            ({"ActiveState": "failed", "ExecMainStatus": "78"}, State.FAIL, "configuration", "config check"),
            ({"StatusText": "degraded: no camera"}, State.WARN, "degraded: no camera", "edgecam status"),
            ({"NRestarts": "3"}, State.WARN, "again 3 times", "journalctl"),
        ],
    )
    def test_states(self, machine: Machine, unit: dict[str, str], state: State, what: str, remedy: str) -> None:
        machine.installed(unit=unit)
        finding = machine.only("service", state)
        assert what in finding.detail
        assert remedy in finding.remedy

    def test_a_release_without_its_unit(self, machine: Machine) -> None:
        machine.installed(unit={"LoadState": "not-found"})
        machine.write("opt/edgecam/current/bin/edgecam", "")
        assert "install it again" in machine.only("service", State.FAIL).remedy

    def test_not_at_boot_and_not_reloaded(self, machine: Machine) -> None:
        machine.installed(unit={"UnitFileState": "disabled", "NeedDaemonReload": "yes"})
        runs, reload, boot = machine.findings("service")
        assert (runs.state, reload.state, boot.state) == (State.OK, State.WARN, State.WARN)
        assert "daemon-reload" in reload.remedy
        assert "enable" in boot.remedy

    def test_one_that_cannot_be_asked(self, machine: Machine) -> None:
        machine.installed(running=True)
        assert "no answer" in machine.findings("service")[1].detail
        machine.service = replace(machine.service, closed=True)
        assert machine.findings("service")[1].state == State.SKIPPED


class TestTheAccount:
    def test_another_configuration_than_the_services(self, machine: Machine) -> None:
        machine.user()
        here = replace(machine.surroundings, config_path=machine.root / "mine.toml")
        assert [each.state for each in examine(here, "account")] == [State.SKIPPED]

    def test_groups_are_its_own_those_it_was_added_to_and_those_of_the_unit(self, machine: Machine) -> None:
        machine.user(groups="video:x:44:edgecam,pi\nrender:x:105:pi\nplugdev:x:46:\nbroken:line\n")
        account = find_account("edgecam", machine.surroundings, "render")
        assert account == Account("edgecam", STRANGER, frozenset({STRANGER, 44, 105}))
        assert find_account("pi", machine.surroundings) is None

    def test_a_device_of_a_group_it_lacks(self, machine: Machine) -> None:
        node = machine.write("dev/video0", "", 0o660)
        machine.cameras["front"] = {"type": "v4l2", "path": str(node)}
        machine.user(groups=f"video:x:{node.stat().st_gid}:pi\n" if node.stat().st_gid else "")
        machine.config_path.chmod(0o644)
        machine.data.chmod(0o777)
        finding = machine.only("account", State.FAIL)
        assert f"may not use {node} (-rw-rw----" in finding.detail
        assert re.search("usermod -aG video edgecam|udev rule", finding.remedy)
        node.chmod(0o666)
        assert machine.only("account", State.OK)

    def test_a_closed_configuration(self, machine: Machine) -> None:
        machine.user()
        machine.data.chmod(0o777)
        machine.config_path.chmod(0o600)
        assert f"may not read {machine.config_path}" in machine.only("account", State.FAIL).detail
        machine.config_path.chmod(0o644)
        machine.config_path.parent.chmod(0o700)
        assert f"chgrp edgecam {machine.config_path.parent}" in machine.only("account", State.FAIL).remedy

    def test_an_installed_service_without_its_user(self, machine: Machine) -> None:
        machine.installed()
        assert "edgecam install" in machine.only("account", State.FAIL).remedy


class TestSecrets:
    def test_a_password_that_others_may_read(self, machine: Machine) -> None:
        file = machine.write("etc/edgecam/password", "hidden", 0o644)
        machine.set(mqtt={"username": "u", "password_file": str(file)})
        finding = machine.only("secrets", State.WARN)
        assert str(file) in finding.detail
        assert f"chmod o= {file}" in finding.remedy
        assert "hidden" not in finding.detail + finding.remedy
        file.chmod(0o640)
        assert str(file) in machine.only("secrets", State.OK).detail

    def test_the_password_of_the_pages(self, machine: Machine) -> None:
        file = machine.write("etc/credstore/edgecam.web-password", "a hash")
        file.chmod(0o644)
        assert str(file) in machine.only("secrets", State.WARN).detail

    def test_a_configuration_is_secret_where_it_has_a_password(self, machine: Machine) -> None:
        machine.config_path.chmod(0o644)
        assert machine.only("secrets", State.OK)
        machine.cameras["front"] = {"type": "video_file", "path": "rtsp://me:hidden@camera.lan/1"}
        assert str(machine.config_path) in machine.only("secrets", State.WARN).detail


class TestPythonPackages:
    def test_one_that_ends_its_process(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        code = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
        machine.write("packages/tflite_runtime/__init__.py", "")
        machine.write("packages/tflite_runtime/interpreter.py", code)
        monkeypatch.setenv("PYTHONPATH", str(machine.root / "packages"))
        (finding,) = (each for each in machine.findings("numpy") if "signal 11" in each.detail)
        assert finding.state == State.FAIL
        assert "numpy<2" in finding.remedy

    def test_pypis_pycoral_in_our_own_python_is_a_trap_that_harms_nothing(self, machine: Machine) -> None:
        machine.commands["/"] = Answer(0, "other\n", "")
        assert "uninstall pycoral" in machine.only("pycoral", State.WARN).remedy
        machine.commands["/"] = Answer(0, "coral\n", "")
        assert machine.only("pycoral", State.OK)

    def test_a_python_that_is_not_there(self, machine: Machine) -> None:
        machine.set(edgetpu={"python": "/nowhere/python"})
        assert "/nowhere/python" in machine.only("pycoral", State.FAIL).detail
        ours, other = machine.findings("runtime")
        assert (ours.state, other.state) == (State.OK, State.FAIL)
        assert "'/nowhere/python' has no runtime" in other.detail


class TestCameras:
    def test_usb(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        node = machine.write("dev/video0", "")
        machine.cameras["front"] = {"type": "v4l2", "path": str(node)}
        camera = AttachedCamera(str(node), str(node), "C920", "uvcvideo", "usb-1", (FormatModes("yuyv", ()),))
        monkeypatch.setattr(v4l2_found, "attached", lambda dev: (camera,))
        assert machine.only("cameras", State.OK).detail == f"front: C920 at {node}"
        busy = AttachedCamera(str(node), str(node), "video0", "", "", problem="Permission denied")
        monkeypatch.setattr(v4l2_found, "attached", lambda dev: (busy,))
        assert "usermod -aG video" in machine.only("cameras", State.FAIL).remedy

    def test_one_that_is_for_the_services_user_alone(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        machine.cameras["front"] = {"type": "v4l2", "path": "/dev/video0"}
        closed = AttachedCamera("/dev/video0", "/dev/video0", "video0", "", "", problem="Permission denied")
        monkeypatch.setattr(v4l2_found, "attached", lambda dev: (closed,))
        machine.installed(unit={"ActiveState": "inactive"})
        assert "account" in machine.only("cameras", State.SKIPPED).detail

    def test_of_libcamera(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        machine.cameras["front"] = {"type": "picamera2", "camera": 1}
        listing = Listing((CsiCamera(0, "/base/imx708@1a", "imx708", (SensorMode("SRGGB10"),)),))
        monkeypatch.setattr(csi_listing, "attached", lambda: listing)
        finding = machine.only("cameras", State.FAIL)
        assert "no camera 1, only 0 (/base/imx708@1a)" in finding.detail
        machine.cameras["front"] = {"type": "picamera2", "camera": "/base/imx708@1a"}
        assert machine.only("cameras", State.OK).detail == "front: imx708, 1 modes"

    def test_one_of_libcamera_that_another_program_has(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        board = Board(ManualClock(), Sensor()).install(monkeypatch)
        machine.cameras["front"] = {"type": "picamera2"}
        monkeypatch.setattr(csi_listing, "attached", csi_listing.ask)
        board.sensors[0].user = "somebody"
        finding = machine.only("cameras", State.FAIL)
        assert "in use by another program" in finding.detail
        assert "fuser" in finding.remedy

    def test_a_stream_is_asked_for_a_connection_and_its_password_kept(self, machine: Machine) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            machine.cameras["front"] = {"type": "video_file", "path": f"rtsp://me:hidden@127.0.0.1:{port}/1"}
            assert machine.only("cameras", State.OK).detail == f"front: 127.0.0.1:{port} accepts connections"
        finding = machine.only("cameras", State.FAIL)
        assert "Connection refused" in finding.detail
        assert "hidden" not in finding.detail + finding.remedy

    def test_a_file(self, machine: Machine) -> None:
        machine.cameras["front"] = {"type": "video_file", "path": str(machine.root / "film.mp4")}
        assert "No such file" in machine.only("cameras", State.FAIL).detail
        machine.write("film.mp4", "")
        assert machine.only("cameras", State.OK)


class TestTheEdgeTpu:
    def test_a_slow_port(self, machine: Machine) -> None:
        values = {"idVendor": "1a6e", "idProduct": "089a", "busnum": "1", "devnum": "3", "speed": "480"}
        for name, value in values.items():
            machine.write(f"sys/bus/usb/devices/1-1/{name}", value)
        machine.write("dev/bus/usb/001/003", "", 0o666)
        free, slow = machine.findings("coral")
        assert (free.state, free.detail) == (State.OK, "usb:1-1: free, 480 Mbit/s, firmware not loaded yet")
        assert slow.state == State.WARN
        assert "USB 3" in slow.remedy
        (machine.root / "dev/bus/usb/001/003").unlink()
        assert "its node" in machine.findings("coral")[0].detail

    def test_a_rule_for_one_id_only(self, machine: Machine) -> None:
        machine.write("etc/udev/rules.d/coral.rules", 'ATTR{idVendor}=="18d1", ATTR{idProduct}=="9302", MODE="0660"\n')
        assert machine.only("udev", State.SKIPPED).detail.startswith("no udev rule for 1a6e:089a;")
        machine.installed()
        assert machine.only("udev", State.FAIL).detail == "no udev rule for 1a6e:089a"

    def test_the_rules_of_libedgetpu_name_vendors_alone(self, machine: Machine) -> None:
        rules = (f'SUBSYSTEM=="usb",ATTRS{{idVendor}}=="{vendor}",GROUP="plugdev"\n' for vendor in ("1a6e", "18d1"))
        machine.write("usr/lib/udev/rules.d/60-libedgetpu1-std.rules", "".join(rules))
        assert machine.only("udev", State.OK)
        machine.write("usr/lib/udev/rules.d/60-libedgetpu1-std.rules", '# idVendor}=="1a6e" and idVendor}=="18d1"\n')
        assert machine.only("udev", State.SKIPPED)

    def test_a_card_with_its_driver(self, machine: Machine) -> None:
        card = "sys/bus/pci/devices/0000:01:00.0"
        machine.write(f"{card}/vendor", "0x1ac1\n")
        machine.write(f"{card}/device", "0x089a\n")
        (machine.root / card / "driver").symlink_to("../apex")
        assert "dmesg" in machine.only("gasket", State.FAIL).remedy
        machine.write("sys/class/apex/apex_0/uevent", "")
        assert machine.only("gasket", State.OK).detail == "driver apex, apex_0"

    def test_the_processor_is_wanted(self, machine: Machine) -> None:
        machine.set(detector={"device": "cpu"})
        assert machine.only("coral", State.SKIPPED)
        assert machine.only("libedgetpu", State.SKIPPED)

    def test_a_model_that_is_not_compiled_for_the_device(self, machine: Machine) -> None:
        machine.set(detector={"device": "usb"})
        found = machine.findings("models")[1]
        assert found.state == State.FAIL
        assert "compile" in found.detail + found.remedy


class TestTheBoard:
    def test_power_that_was_low(self, machine: Machine) -> None:
        machine.write("sys/devices/platform/soc/soc:firmware/get_throttled", "50000\n")
        assert machine.only("power", State.WARN).detail == "since the start: under-voltage, throttled"

    def test_warm(self, machine: Machine) -> None:
        machine.write("sys/class/thermal/thermal_zone0/temp", "74000\n")
        assert "74" in machine.only("temperature", State.WARN).detail

    def test_contiguous_memory(self, machine: Machine) -> None:
        machine.cameras["front"] = {"type": "picamera2"}
        assert needed_bytes(machine.surroundings.config) == 4 * 3 * (1280 * 720 + 320 * 320 + 2304 * 1296) // 2
        machine.write("proc/meminfo", "CmaTotal: 262144 kB\nCmaFree: 9000 kB\n")
        assert "256 MiB" in machine.only("cma", State.WARN).detail
        machine.installed(status_of())
        assert machine.only("cma", State.OK)

    def test_a_clock_that_nobody_sets(self, machine: Machine) -> None:
        machine.clock.right = False
        assert "set-ntp" in machine.only("clock", State.WARN).remedy
        machine.write("run/systemd/container", "systemd-nspawn")
        assert "host" in machine.only("clock", State.SKIPPED).detail


class TestTheDisk:
    def test_clips_that_go_early(self, machine: Machine) -> None:
        machine.free = 800_000_000
        assert "clips go early" in machine.only("disk", State.WARN).detail

    def test_nothing_is_left_of_the_trial(self, machine: Machine) -> None:
        assert machine.only("speed", State.OK)
        assert list(machine.data.iterdir()) == []

    def test_a_full_disk_is_not_written_to(self, machine: Machine) -> None:
        machine.free = 1_000_000
        assert "full" in machine.only("speed", State.SKIPPED).detail

    def test_what_the_clips_take(self) -> None:
        cameras = {name: {"type": "synthetic"} for name in ("a", "b")}
        assert needed_per_second(Config.model_validate({"cameras": cameras})) == 2e6
        assert needed_per_second(Config.model_validate({"cameras": cameras, "clips": {"enabled": False}})) == 0

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_closed_folder(self, machine: Machine) -> None:
        machine.data.chmod(0o555)
        assert "sudo" in machine.only("speed", State.SKIPPED).remedy


class TestTheBroker:
    def test_one_that_lets_everybody_in(self, machine: Machine, broker: Mosquitto) -> None:
        machine.set(mqtt={"enabled": True, "host": "127.0.0.1", "port": broker.port})
        assert f"127.0.0.1:{broker.port}" in machine.only("broker", State.OK).detail

    def test_the_services_own_password_is_found(
        self, machine: Machine, secure_broker: Mosquitto, certificates: Certificates
    ) -> None:
        user, password = EDGECAM
        access = {"enabled": True, "host": "127.0.0.1", "port": secure_broker.port, "username": user}
        machine.set(mqtt=access | {"tls": True, "ca_file": str(certificates.file("ca.crt"))})
        refused = machine.only("broker", State.FAIL)
        assert refused.remedy
        stored = machine.write("etc/credstore/edgecam.mqtt-password", f"{password}\n", 0o400)
        finding = machine.only("broker", State.OK)
        assert password not in finding.detail
        stored.unlink()
        machine.write("run/credentials/edgecam.service/mqtt-password", password, 0o400)
        assert machine.only("broker", State.OK)

    def test_an_encrypted_password_needs_the_service(self, machine: Machine) -> None:
        machine.set(mqtt={"enabled": True, "username": "edgecam"})
        machine.write("etc/credstore.encrypted/edgecam.mqtt-password", "sealed", 0o600)
        assert "sudo edgecam doctor" in machine.only("broker", State.SKIPPED).remedy

    def test_a_password_file_that_is_not_there(self, machine: Machine) -> None:
        machine.set(mqtt={"enabled": True, "username": "u", "password_file": "/nowhere/password"})
        assert "mqtt.password_file '/nowhere/password'" in machine.only("broker", State.FAIL).detail


class TestTheDisplay:
    @pytest.fixture
    def monitor(self, machine: Machine) -> Machine:
        """A machine with a card, a monitor at one of its sockets, and libdrm."""
        try:
            drm_library.library()
        except OSError:
            pytest.skip("no libdrm: apt-get install libdrm2")
        machine.set(display={"enabled": True})
        machine.write("dev/dri/card0", "")
        machine.write("sys/class/drm/card0-HDMI-A-1/status", "connected\n")
        machine.write("sys/class/drm/card0-HDMI-A-2/status", "disconnected\n")
        return machine

    def test_a_bare_monitor(self, monitor: Machine) -> None:
        assert monitor.only("display", State.OK).detail == "a monitor at HDMI-A-1"
        monitor.set(display={"enabled": True, "connector": "HDMI-A-2"})
        assert "plug it in" in monitor.only("display", State.WARN).remedy
        monitor.set(display={"enabled": True, "connector": "DSI-1"})
        assert "there: HDMI-A-1, HDMI-A-2" in monitor.only("display", State.FAIL).detail

    def test_a_desktop_owns_it(self, monitor: Machine) -> None:
        monitor.commands["systemctl is-active display-manager"] = Answer(0, "active\n", "")
        assert "multi-user.target" in monitor.only("display", State.FAIL).remedy

    def test_no_card(self, monitor: Machine) -> None:
        (monitor.root / "dev/dri/card0").unlink()
        assert "vc4-kms-v3d" in monitor.only("display", State.FAIL).remedy

    def test_a_window_without_a_desktop(self, machine: Machine) -> None:
        machine.set(display={"enabled": True, "backend": "window"})
        assert "no desktop" in machine.only("display", State.FAIL).detail
