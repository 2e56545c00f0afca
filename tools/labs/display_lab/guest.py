"""The guest: started, driven by its agent, looked at from outside, ended. It has no network."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import tempfile
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

import cv2
import numpy as np
from image import CannotRun, Disks
from numpy.typing import NDArray

SCREEN = (1280, 800)
"""The monitor's size, pixels; the demonstration's pictures are 1280x720, so there must be bars."""
PATHS = "PYTHONPATH=/opt/checkout:/opt/packages"


class Answer(NamedTuple):
    """What became of a command in the guest."""

    code: int
    out: str
    err: str


class LabFault(Exception):
    """The guest did not do what the lab needs of it."""


class Guest:
    """One machine in QEMU. Its disks are as they were after every end."""

    def __init__(self, disks: Disks, folder: Path) -> None:
        self._disks = disks
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.accelerator = ""
        self.serial = folder / "serial.log"

    def start(self) -> None:
        """Boot; returns when the guest's agent answers. Raises CannotRun, LabFault."""
        self.accelerator = "kvm" if _kvm_works(self._disks) else "tcg,thread=multi,tb-size=1024"
        self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._until(lambda: self._agent("guest-ping", limit=5) is not None, 300, "its agent does not answer")
        self._until(lambda: self.run("systemctl is-system-running --wait").code in {0, 1}, 300, "it does not get up")

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def run(self, script: str, limit: float = 120) -> Answer:
        """Run a shell script as root and wait for it. Raises LabFault where it takes longer than `limit` seconds."""
        asked: dict[str, Any] = {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True}
        started = self._agent("guest-exec", **asked)
        if started is None:
            raise LabFault("the guest's agent does not answer")
        end = monotonic() + limit
        while monotonic() < end:
            status = self._agent("guest-exec-status", pid=started["pid"])
            if status and status["exited"]:
                out, err = (base64.b64decode(status.get(key, "")).decode("utf-8", "replace") for key in _OUTPUTS)
                return Answer(status.get("exitcode", -1), out, err)
            sleep(0.2)
        raise LabFault(f"{script.strip().splitlines()[0]}: not done after {limit:.0f} s")

    def must(self, script: str, limit: float = 120) -> str:
        """As `run`, for what cannot fail; returns what it wrote. Raises LabFault."""
        answer = self.run(script, limit)
        if answer.code:
            raise LabFault(f"{script.strip().splitlines()[0]}: exit code {answer.code}: {answer.err.strip()[-400:]}")
        return answer.out

    def start_service(self, name: str, command: str, user: str = "edgecam") -> None:
        """Run a command under systemd, as a user who may use cameras and displays."""
        options = f"--unit={name} --property=User={user} --property=WorkingDirectory=~ --setenv={PATHS}"
        self.must(f"systemctl reset-failed {name} 2>/dev/null; systemd-run --quiet {options} {command}")

    def journal(self, unit: str) -> str:
        return self.must(f"journalctl --quiet --output=cat --unit={unit}")

    def wait_for(self, unit: str, words: str, limit: float, count: int = 1) -> str:
        """Wait until the journal of a unit has the words `count` times; returns it. Raises LabFault."""
        end = monotonic() + limit
        while (text := self.journal(unit)).count(words) < count:
            if monotonic() > end:
                raise LabFault(f"{unit}: no {words!r} after {limit:.0f} s: {text.strip()[-600:]}")
            sleep(0.5)
        return text

    def wait_for_end(self, unit: str, limit: float) -> str:
        """Wait until a unit has ended; returns systemd's result, "success" where all is well. Raises LabFault."""
        end = monotonic() + limit
        while monotonic() < end:
            shown = self.must(f"systemctl show {unit} --property=ActiveState,Result,ExecMainStatus")
            state = dict(line.split("=", 1) for line in shown.strip().splitlines())
            if state["ActiveState"] in {"inactive", "failed"}:
                return state["Result"]
            sleep(0.5)
        raise LabFault(f"{unit}: still runs after {limit:.0f} s")

    def read(self, path: str) -> bytes:
        return base64.b64decode(self.must(f"base64 --wrap=0 {path}"))

    def screen(self) -> NDArray[np.uint8]:
        """What the monitor shows now, as a camera in front of it would see it: B, G, R, uint8 [h, w, 3]."""
        path = self._folder / "screen.ppm"
        self._monitor("screendump", filename=str(path))
        picture = cv2.imread(str(path))
        if picture is None:
            raise LabFault("no screendump")
        return np.asarray(picture, np.uint8)

    def _command(self) -> list[str]:
        disks = self._disks
        drives = [
            option
            for image in (disks.root, disks.packages, disks.checkout)
            for option in ("-drive", f"file={image},if=virtio,format=raw,snapshot=on")
        ]
        return [
            *("nice", "-n", "10", "qemu-system-x86_64", "-accel", self.accelerator, "-machine", "q35"),
            *("-cpu", "host" if self.accelerator == "kvm" else "max", "-smp", "2", "-m", "2048", "-nic", "none"),
            *("-display", "none", "-vga", "none", "-no-reboot", "-monitor", "none", *drives),
            *("-device", "virtio-gpu-pci,xres={},yres={}".format(*SCREEN), "-device", "virtio-rng-pci"),
            *("-serial", f"file:{self.serial}", "-qmp", f"unix:{self._socket('qmp')},server=on,wait=off"),
            *("-chardev", f"socket,path={self._socket('qga')},server=on,wait=off,id=qga", "-device", "virtio-serial"),
            *("-device", "virtserialport,chardev=qga,name=org.qemu.guest_agent.0"),
            *("-kernel", str(disks.kernel), "-initrd", str(disks.initrd)),
            *("-append", "root=/dev/vda rw console=ttyS0 console=tty0 quiet mitigations=off consoleblank=0"),
        ]

    def _socket(self, name: str) -> Path:
        return self._folder / f"{name}.sock"

    def _agent(self, command: str, limit: float = 30, **arguments: Any) -> Any:
        """Ask QEMU's agent in the guest; None where it does not answer."""
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(limit)
                line.connect(str(self._socket("qga")))
                return _ask(line, command, arguments)
        except OSError:
            return None

    def _monitor(self, command: str, **arguments: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(60)
            line.connect(str(self._socket("qmp")))
            _ask(line, "qmp_capabilities", {})
            return _ask(line, command, arguments)

    def _until(self, happens: Any, limit: float, complaint: str) -> None:
        end = monotonic() + limit
        while not happens():
            assert self._process is not None
            if self._process.poll() is not None:
                raise CannotRun(f"QEMU ended with exit code {self._process.returncode}")
            if monotonic() > end:
                raise LabFault(f"{complaint} after {limit:.0f} s: see {self.serial}")
            sleep(1)


_OUTPUTS = ("out-data", "err-data")


def _ask(line: socket.socket, command: str, arguments: dict[str, Any]) -> Any:
    """One question of QEMU's protocols; greetings and events are passed over. Raises LabFault, OSError."""
    line.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    with line.makefile("rb") as file:
        for text in file:
            answer = json.loads(text)
            if "error" in answer:
                raise LabFault(f"{command}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]
    raise ConnectionError(f"{command}: no answer")


def _kvm_works(disks: Disks) -> bool:
    """Does a kernel really run on KVM? Some machines only offer it. Without a disk it panics, and QEMU ends at once."""
    if not Path("/dev/kvm").exists():
        return False
    command = [
        *("qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "512", "-display", "none", "-no-reboot"),
        *("-nic", "none", "-monitor", "none", "-kernel", str(disks.kernel), "-append", "panic=-1"),
    ]
    with tempfile.TemporaryFile() as nothing:
        probe = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=nothing, stderr=nothing)
        try:
            return probe.wait(15) == 0
        except subprocess.TimeoutExpired:
            probe.kill()
            probe.wait()
            return False
