"""A machine in a folder for the installer: its commands behave, with packages, a service manager and a slow clock."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgecam.installation.host import Host, Result, Runner
from edgecam.installation.options import Options

UNIT = "edgecam.service"
CONFIG = 'data_dir = "/var/lib/edgecam"\n\n[cameras.demo]\ntype = "synthetic"\nenabled = true\n'
LOCK = "numpy==1.26.4 \\\n    --hash=sha256:00\n"
FILES = {
    "edgecam/data/edgecam.toml": CONFIG,
    "edgecam/data/systemd/edgecam.service": "[Service]\nType=notify\n",
    "edgecam/data/systemd/edgecam.sysusers": "u edgecam - edgecam /var/lib/edgecam\nm edgecam video\n",
    "edgecam/data/systemd/60-edgecam-edgetpu.rules": 'SUBSYSTEM=="apex"\n',
    "edgecam/installation/locks/x86_64-cp311.txt": LOCK,
}
_PYTHON = "/usr/bin/python3"


@dataclass
class Machine(Runner):
    """`sources`: versions of the packages that apt can have; `cameras`: what a release finds; `log`: what was told."""

    root: Path
    commands: set[str] = field(
        default_factory=lambda: {"apt-get", "dpkg-query", "systemctl", "systemd-sysusers", "udevadm"}
    )
    sources: dict[str, str] = field(default_factory=lambda: {"python3-venv": "3.11", "python3-systemd": "235"})
    installed: dict[str, str] = field(default_factory=dict)
    cameras: dict[str, object] = field(default_factory=dict)
    python: str = "cp311"
    log: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    time: float = 1000.0
    installations: int = 0
    state: str = "inactive"
    running: str = ""
    daemon_reloads: int = 0
    #: What comes with another package.
    companions: dict[str, list[str]] = field(default_factory=lambda: {"python3-venv": ["python3-pip-whl"]})
    #: What needs a package, by its name.
    needed_by: dict[str, str] = field(default_factory=dict)
    no_network: bool = False

    def __post_init__(self) -> None:
        for folder in ("etc", "proc", "run/systemd/system", "run/udev"):
            (self.root / folder).mkdir(parents=True)
        for file in ("etc/passwd", "etc/group", "run/udev/control"):
            (self.root / file).touch()

    @property
    def host(self) -> Host:
        return Host(self.root, self.log.append, self, "x86_64", lambda: self.time, self._pass)

    def has(self, name: str) -> bool:
        return name in self.commands

    def run(self, command: Sequence[str], timeout: float, environment: Mapping[str, str]) -> Result:
        words = [word for word in command[1:] if not word.startswith("--")]
        self.ran.append(" ".join([Path(command[0]).name, *words]))
        name = Path(command[0]).name
        if name in {"python", "python3"}:
            return self._python(command)
        if name == "edgecam":
            return self._edgecam(Path(command[0]).parent.parent, words)
        handler: Callable[[list[str]], Result] | None = getattr(self, f"_{name.replace('-', '_')}", None)
        return handler(words) if handler else Result(127, f"{name}: there is no such command")

    def _pass(self, seconds: float) -> None:
        self.time += seconds

    def _python(self, command: Sequence[str]) -> Result:
        if command[0] == _PYTHON and "venv" in command:
            (Path(command[-1]) / "bin").mkdir(parents=True)
        elif "pip" in command and self.no_network:
            return Result(1, "ERROR: no matching distribution found for numpy==1.26.4\n")
        elif "pip" in command and command[-1].endswith(".whl"):
            with zipfile.ZipFile(command[-1]) as wheel:
                wheel.extractall(Path(command[0]).parent.parent / "lib/python3.11/site-packages")
        return Result(0, self.python + "\n" if "-c" in command else "")

    def _edgecam(self, release: Path, words: list[str]) -> Result:
        behaviour = json.loads((release / "lib/python3.11/site-packages/behaviour.json").read_text())
        if not words:
            return Result(0, f"edgecam {behaviour['version']}\n")
        if words[0] == "config" and behaviour["start"] == "refuses":
            return Result(78, "edgecam: detector.colour: unknown key\n")
        return Result(0, json.dumps(self.cameras) if words[0] == "cameras" else "all is well\n")

    def _systemctl(self, words: list[str]) -> Result:
        verb = words[0]
        if verb == "show":
            return Result(0, f"ActiveState={self.state}\nSubState=x\nNRestarts=0\nStatusText=demo: 25 fps\nMainPID=7\n")
        if verb in {"start", "stop"}:
            self.state = self._started() if verb == "start" else "inactive"
        elif verb in {"enable", "disable"}:
            link = self.root / "etc/systemd/system/multi-user.target.wants" / UNIT
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            if verb == "enable":
                link.symlink_to(f"/etc/systemd/system/{UNIT}")
        elif verb == "daemon-reload":
            self.daemon_reloads += 1
        return Result(0, "")

    def _started(self) -> str:
        """What becomes of the release that `current` points to."""
        release = (self.root / "opt/edgecam/current").resolve()
        self.running = release.name
        (self.root / "proc/7").mkdir(exist_ok=True)
        (self.root / "proc/7/cmdline").write_bytes(f"{release}/bin/python3\0".encode())
        behaviour = json.loads((release / "lib/python3.11/site-packages/behaviour.json").read_text())
        return {"runs": "active", "crashes": "failed", "waits": "activating", "refuses": "failed"}[behaviour["start"]]

    def _systemd_sysusers(self, words: list[str]) -> Result:
        (self.root / "etc/passwd").write_text("edgecam:x:999:999::/var/lib/edgecam:/usr/sbin/nologin\n")
        (self.root / "etc/group").write_text("edgecam:x:999:\nvideo:x:44:edgecam\n")
        return Result(0, "")

    def _userdel(self, words: list[str]) -> Result:
        (self.root / "etc/passwd").write_text("")
        (self.root / "etc/group").write_text("")
        return Result(0, "")

    def _udevadm(self, words: list[str]) -> Result:
        return Result(0, "")

    def _journalctl(self, words: list[str]) -> Result:
        return Result(0, "RuntimeError: the last words\n")

    def _dpkg_query(self, words: list[str]) -> Result:
        if len(words) > 3:
            version = self.installed.get(words[3])
            return Result(0, f"ii {version}") if version else Result(1, f"no packages found matching {words[3]}")
        return Result(0, "".join(f"ii {name}\n" for name in self.installed))

    def _apt_cache(self, words: list[str]) -> Result:
        version = self.installed.get(words[1]) or self.sources.get(words[1])
        return Result(0, f"{words[1]}:\n  Candidate: {version}\n" if version else "")

    def _apt_get(self, words: list[str]) -> Result:
        names = words[1 : words.index("-o")] if "-o" in words else words[1:]
        if words[0] == "install":
            for name in names:
                package = Path(name).name.partition("_")[0]
                for added in (package, *self.companions.get(package, ())):
                    self.installed[added] = self.sources.get(added, "1")
        if words[0] == "purge":
            others = [self.needed_by[name] for name in names if name in self.needed_by]
            if others and "--simulate" not in self.ran[-1]:
                return Result(0, "".join(f"Remv {name} [1]\n" for name in (*names, *others)))
            self.installed = {name: version for name, version in self.installed.items() if name not in names}
        return Result(0, "")


def wheel(folder: Path, version: str, start: str = "runs", **files: str) -> Options:
    """Options for a wheel of that version, whose service `runs`, `crashes`, `waits` or `refuses` its configuration."""
    file = folder / f"edgecam-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (FILES | files).items():
            archive.writestr(name, content)
        archive.writestr("behaviour.json", json.dumps({"version": version, "start": start}))
    return Options(wheel=file, coral=False)
