"""The machine that is installed on: where its files lie, what runs its commands, and how people are told."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgecam.errors import EdgecamError

#: Longest time of a command, in seconds: a release on a Pi 3 with a slow card is a matter of ten minutes.
LIMIT = 3600.0
#: What would make a child import what the installer itself runs from.
_OWN_VARIABLES = frozenset({"PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"})
_DEBIAN_MACHINES = {"aarch64": "arm64", "x86_64": "amd64"}


@dataclass(frozen=True)
class Result:
    """How a command ended: its exit code (127: there is no such command), and stdout with stderr."""

    code: int
    output: str

    @property
    def last_line(self) -> str:
        """What a command says last is mostly why it failed."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.code}"


class Runner(ABC):
    """What runs commands."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether the command is there."""

    @abstractmethod
    def run(self, command: Sequence[str], timeout: float, environment: Mapping[str, str]) -> Result:
        """Run it to its end, with these variables besides its own."""


class Processes(Runner):
    """The commands of this machine."""

    def has(self, name: str) -> bool:
        return shutil.which(name) is not None

    def run(self, command: Sequence[str], timeout: float, environment: Mapping[str, str]) -> Result:
        own = {name: value for name, value in os.environ.items() if name not in _OWN_VARIABLES}
        try:
            done = subprocess.run(  # noqa: S603 -- the installer's own commands, no shell
                list(command),
                env=own | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError:
            return Result(127, f"{command[0]}: there is no such command")
        except PermissionError:
            return Result(126, f"{command[0]}: it cannot be run")
        except subprocess.TimeoutExpired:
            return Result(124, f"{command[0]}: no end after {timeout:g} s")
        return Result(done.returncode, done.stdout)


class Bystander(Runner):
    """For an installation into a folder: what would change the machine itself is told, not run."""

    def __init__(self, tell: Callable[[str], None], runner: Runner) -> None:
        self._tell = tell
        self._runner = runner

    def has(self, name: str) -> bool:
        return False

    def run(self, command: Sequence[str], timeout: float, environment: Mapping[str, str]) -> Result:
        if Path(command[0]).is_absolute():
            return self._runner.run(command, timeout, environment)
        self._tell(f"left out, for this is not the machine itself: {' '.join(command)}")
        return Result(0, "")


@dataclass(frozen=True)
class Host:
    """The machine: `root` is its file-system's (another folder: a trial, or an image in the making)."""

    root: Path = Path("/")
    tell: Callable[[str], None] = print
    runner: Runner = field(default_factory=Processes)
    machine: str = field(default_factory=platform.machine)
    now: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def path(self, absolute: str) -> Path:
        """Where the file with that name lies."""
        return self.root / absolute.lstrip("/")

    @property
    def debian_machine(self) -> str:
        """What Debian calls this kind of machine."""
        return _DEBIAN_MACHINES.get(self.machine, self.machine)

    @property
    def is_whole(self) -> bool:
        """Whether this is the machine itself, not a folder."""
        return self.root == Path("/")

    @property
    def has_systemd(self) -> bool:
        """Whether systemd runs here: not so in a chroot, most containers, and other init systems."""
        return self.path("/run/systemd/system").is_dir() and self.runner.has("systemctl")

    def run(self, *command: str, timeout: float = LIMIT, environment: Mapping[str, str] | None = None) -> Result:
        """Run a command to its end, whatever the end is."""
        return self.runner.run(command, timeout, environment or {})

    def require(self, *command: str, timeout: float = LIMIT, environment: Mapping[str, str] | None = None) -> str:
        """Run a command that must succeed, and return what it says. Raises EdgecamError with its last line."""
        done = self.run(*command, timeout=timeout, environment=environment)
        if done.code:
            raise EdgecamError(f"{' '.join(command[:4])}: {done.last_line}")
        return done.output
