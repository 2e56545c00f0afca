"""What the doctor looks at: the machine's files, its commands, the configuration, the service that runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from edgecam.clock import SystemClock
from edgecam.config import Config, load
from edgecam.errors import ConfigError
from edgecam.health.asking import NotAllowed, NotRunning, Unreachable, ask, asked_socket
from edgecam.ports import Clock

UNIT = "edgecam.service"
ACCOUNT = "edgecam"
"""The service's user where its unit names none."""
PATIENCE = 20.0
"""Seconds that a command which is asked for something may take."""
AS_ROOT = "run `sudo edgecam doctor`"
_ASK_TIMEOUT = 3.0
_WANTED = (
    *("LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "UnitFileState", "NeedDaemonReload"),
    *("NRestarts", "StatusText", "User", "SupplementaryGroups"),
)
_ALIVE = ("active", "activating", "reloading", "deactivating")


class Answer(NamedTuple):
    """What a command left; `code` is -N where signal N ended it."""

    code: int
    out: str
    err: str


Run = Callable[[Sequence[str]], Answer | None]
"""Runs a command; None where there is none of that name, or where it did not end in time."""


class Space(NamedTuple):
    """A file system's size and what is free of it, bytes."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Service:
    """The installed service. `unit` are systemd's properties of it, empty where there is no systemd.

    `running`: it may have cameras and Edge TPUs in use. `told` is what it says of itself over its socket, empty where
    it could not be asked; `closed`: this user may not.
    """

    running: bool = False
    unit: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    closed: bool = False

    @property
    def installed(self) -> bool:
        return self.unit.get("LoadState", "not-found") != "not-found"

    @property
    def user(self) -> str:
        return self.unit.get("User") or ACCOUNT

    @property
    def cameras(self) -> Mapping[str, Any]:
        """What it says of its cameras, by name: the status document's `cameras`."""
        cameras: Mapping[str, Any] = self.told.get("status", {}).get("cameras", {})
        return cameras


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that a check may look at.

    `config` holds the defaults where `configured` is False: there is no file, or it cannot be used (`config_trouble`).
    Files are sought below `root`. `clock` tells the time, `run` runs commands, `space` asks a file system.
    """

    config: Config
    config_path: Path
    configured: bool = True
    config_trouble: str = ""
    root: Path = Path("/")
    service: Service = field(default_factory=Service)
    clock: Clock = field(default_factory=SystemClock)
    run: Run = field(default_factory=lambda: run_command)
    space: Callable[[Path], Space] = field(default_factory=lambda: space_at)

    def closed_to_this_user(self, message: str) -> bool:
        """Whether what a message tells of is a matter between the device and whoever runs the doctor: what counts for
        an installed service is its own user."""
        return self.service.installed and "permission" in message.lower()

    def at(self, path: str | Path) -> Path:
        """A place on the machine that is looked at."""
        return self.root / str(path).lstrip("/")


def look(config_path: Path, *, named: bool) -> Surroundings:
    """What is here. `named`: the user named the configuration, so that it must be there."""
    config, configured, trouble = Config(), False, ""
    if named or _may_be_there(config_path):
        try:
            config, configured = load(config_path), True
        except ConfigError as error:
            trouble = str(error)
    # As `edgecam.detectors.edgetpu.host_root` has it, whose room cannot be entered where NumPy is broken.
    root = Path(os.environ.get("EDGECAM_HOST_ROOT") or "/")
    return Surroundings(config, config_path, configured, trouble, root, _service(config, run_command))


def run_command(command: Sequence[str]) -> Answer | None:
    """Run a command without input; see `Run`."""
    found = shutil.which(command[0])
    if found is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 -- the checks' own
            [found, *command[1:]],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Answer(done.returncode, done.stdout, done.stderr)


def space_at(folder: Path) -> Space:
    """How full the file system of a folder is. Raises OSError."""
    usage = shutil.disk_usage(folder)
    return Space(usage.total, usage.free)


def unit_properties(run: Run) -> dict[str, str]:
    """What systemd says of the service; nothing where there is no systemd."""
    told = run(["systemctl", "show", UNIT, f"--property={','.join(_WANTED)}"])
    if told is None or told.code:
        return {}
    pairs = (line.partition("=") for line in told.out.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _service(config: Config, run: Run) -> Service:
    """Also one that was started by hand is asked, where its socket is the installed one's."""
    unit = unit_properties(run)
    alive = unit.get("ActiveState") in _ALIVE
    try:
        return Service(running=True, unit=unit, told=ask(asked_socket(config.status.socket), _ASK_TIMEOUT))
    except NotRunning:
        return Service(running=alive, unit=unit)
    except Unreachable as error:
        return Service(running=True, unit=unit, closed=isinstance(error, NotAllowed))


def _may_be_there(path: Path) -> bool:
    """A folder that is closed to this user may have it."""
    return os.access(path, os.F_OK) or (path.parent.is_dir() and not os.access(path.parent, os.X_OK))
