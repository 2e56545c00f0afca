"""A container whose first process is a real systemd: booted by systemd-nspawn on an overlay of an image."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service_lab.image import Image, NotHere, apt_settings, cache, pip_settings

UNIT = "edgecam.service"
LAB = "service"
BOOT_LIMIT = 30.0
_WANTS_REBOOT = 133
_NAMESPACES = ("-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w")
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}


@dataclass
class Disk:
    """Layers over an image: what is written goes into `changes`, what was there stays as it is."""

    image: Image
    folder: Path
    below: tuple[Path, ...] = ()

    @property
    def root(self) -> Path:
        """The whole, while it is mounted."""
        return self.folder / "root"

    @property
    def changes(self) -> Path:
        """What differs from the layers below."""
        return self.folder / "changes"

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Disk]:
        """Mounted, in this process's own mount namespace."""
        for part in (self.root, self.changes, self.folder / "work"):
            part.mkdir(parents=True, exist_ok=True)
        below = ":".join(map(str, (*self.below, self.image.root)))
        options = f"lowerdir={below},upperdir={self.changes},workdir={self.folder / 'work'}"
        done = _quiet(["mount", "-t", "overlay", "overlay", "-o", options, str(self.root)])
        if done.returncode:
            raise NotHere(f"overlay file systems cannot be mounted here: {done.stderr.strip()}")
        try:
            yield self
        finally:
            _quiet(["umount", "--lazy", str(self.root)])

    def hand_in(self) -> list[Path]:
        """Give it this machine's way to the packages; returns the folders and files that it has to see for that."""
        settings, places = pip_settings()
        self.write("/etc/pip.conf", settings)
        self.write("/etc/apt/apt.conf.d/99lab", "\n".join([*apt_settings(), 'Acquire::Check-Valid-Until "false";', ""]))
        return places

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file; the folders above are made."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)


@dataclass
class Container:
    """A disk that runs. Shares the machine's network, and nothing else. `leader` is its first process, from outside."""

    disk: Disk
    binds: Sequence[Path] = ()
    boot_time: float = 0.0
    leader: int = 0
    _nspawn: subprocess.Popen[bytes] | None = None
    _log: Path = field(default=Path(os.devnull))

    def boot(self) -> None:
        """Start it and wait until systemd says that it is up. Raises NotHere."""
        command = self._nspawn_command()
        self._log = self.disk.folder / "console"
        started = time.monotonic()
        with self._log.open("wb") as log:
            self._nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._await_boot()
        self.boot_time = time.monotonic() - started

    def reboot(self) -> None:
        """Boot again, as the machine does: the container's end says that it wants to be started again."""
        assert self._nspawn is not None
        self.run("systemctl reboot", limit=30)
        if (code := self._nspawn.wait(90)) != _WANTS_REBOOT:
            raise NotHere(f"the container ended with {code} instead of a reboot")
        self.boot()

    def stop(self) -> None:
        """Shut it down as a machine is; by force where that takes too long."""
        if self._nspawn is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self.leader:
                os.kill(self.leader, signal.SIGRTMIN + 4)
        try:
            self._nspawn.wait(40)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait(10)
        self._nspawn = None

    def inside(self, command: str) -> list[str]:
        """The command line that runs a shell's line in the container."""
        environment = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        return ["nsenter", "-t", str(self.leader), *_NAMESPACES, "env", "-i", *environment, "sh", "-c", command]

    def run(self, command: str, *, limit: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a shell's line in the container, as root, outside any service."""
        try:
            return subprocess.run(
                self.inside(command), stdin=subprocess.DEVNULL, capture_output=True,
                text=True, errors="replace", check=False, timeout=limit,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            said = [part.decode(errors="replace") if part else "" for part in (error.stdout, error.stderr)]
            return subprocess.CompletedProcess(command, 124, said[0], f"{said[1]}\nnot done after {limit:g} s")

    def show(self, *names: str) -> dict[str, str]:
        """Properties of the service, as systemd has them."""
        wanted = ",".join(names)
        lines = self.run(f"systemctl show {UNIT} --property={wanted}").stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def journal(self, since: float = 0.0, unit: str = UNIT) -> list[dict[str, Any]]:
        """The records of a service from a time on (seconds of the epoch), the oldest first."""
        done = self.run(f"journalctl --all --no-pager --output=json --unit={unit} --since=@{since:.6f}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def said(self, since: float = 0.0) -> list[str]:
        """The messages of the service's journal."""
        return [_text(record.get("MESSAGE")) for record in self.journal(since)]

    def until(self, condition: Callable[[], object], limit: float) -> float | None:
        """Seconds until it was so; None where it was not within the limit."""
        started = time.monotonic()
        while time.monotonic() - started < limit:
            if condition():
                return time.monotonic() - started
            time.sleep(0.2)
        return None

    def is_active(self) -> bool:
        """Whether the service is ready."""
        return self.run(f"systemctl is-active {UNIT}").stdout.strip() == "active"

    def _nspawn_command(self) -> list[str]:
        kept = cache(LAB)
        (kept / "pip").mkdir(parents=True, exist_ok=True)
        debs = kept / f"debs-{self.disk.image.suite}"
        debs.mkdir(exist_ok=True)
        command = ["setpriv", "--pdeathsig", "TERM", "systemd-nspawn", "--quiet", "--boot"]
        command += [
            f"--directory={self.disk.root}",
            "--register=no",
            "--keep-unit",
            "--link-journal=no",
            "--resolv-conf=replace-host",
            "--timezone=off",
        ]
        command += [f"--machine=edgecam-{os.getpid()}", f"--bind={kept / 'pip'}:/root/.cache/pip"]
        command += [f"--bind={debs}:/var/cache/apt/archives", *(f"--bind-ro={path}" for path in self.binds)]
        return command

    def _await_boot(self) -> None:
        """Wait until systemd says that the container is up."""
        until = time.monotonic() + BOOT_LIMIT
        while time.monotonic() < until:
            self.leader = self._find_leader()
            if self.leader and self.run("systemctl is-system-running").stdout.strip() in ("running", "degraded"):
                return
            if self._nspawn is None or self._nspawn.poll() is not None:
                break
            time.sleep(0.1)
        raise NotHere(f"systemd did not come up in a container: {self._log.read_text(errors='replace')[-400:]}")

    def _find_leader(self) -> int:
        if self._nspawn is None:
            return 0
        found = _quiet(["pgrep", "-P", str(self._nspawn.pid), "-x", "systemd"]).stdout.split()
        return int(found[0]) if found else 0


def run_folder(lab: str, name: str = "") -> Path:
    """Where this run writes; what runs that were killed left is removed."""
    for left in cache(lab).glob("run-*"):
        process = left.name.split("-")[1]
        if not Path(f"/proc/{process}").exists():
            discard(left)
    return cache(lab) / f"run-{os.getpid()}{name and f'-{name}'}"


def discard(folder: Path) -> None:
    """Remove a run's folder; never what is still mounted in it, such as this machine's devices."""
    if str(folder) not in Path("/proc/self/mountinfo").read_text():
        shutil.rmtree(folder, ignore_errors=True)


def _text(message: object) -> str:
    """journalctl gives a message that is not plain text as a list of its bytes."""
    return bytes(message).decode(errors="replace") if isinstance(message, list) else str(message)


def _quiet(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
