"""Debian packages: those that edgecam needs, those that it can use where the system has them, and which were added."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgecam.errors import EdgecamError
from edgecam.installation.files import write_atomically
from edgecam.installation.host import Host
from edgecam.installation.layout import ADDED_PACKAGES
from edgecam.installation.plan import Shortcoming, Step

#: Without it no virtual environment can be made.
REQUIRED = ("python3-venv",)
#: Structured journal records; the Pi's own camera (only Raspberry Pi's archive has it).
WELCOME = ("python3-systemd", "python3-picamera2")
_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l", "LC_ALL": "C"}
#: apt waits so long, in seconds, for another apt, such as the one that runs by itself after a boot.
_LOCK_TIMEOUT = 300


@dataclass(frozen=True)
class Apt:
    """What Debian's package manager knows and does."""

    host: Host

    def installed(self) -> set[str]:
        """The packages that are there; empty where there is no dpkg."""
        if not self.host.runner.has("dpkg-query"):
            return set()
        listed = self.host.require("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Package}\n", timeout=60.0)
        return {line[3:].strip() for line in listed.splitlines() if line.startswith("ii")}

    def version(self, package: str) -> str:
        """Of a package that is there; "" where it is not."""
        done = self.host.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", package, timeout=60.0)
        return done.output[3:].strip() if done.code == 0 and done.output.startswith("ii") else ""

    def candidate(self, package: str) -> str:
        """The version that a configured source has; "" where none has it."""
        done = self.host.run("apt-cache", "policy", package, timeout=60.0, environment=_QUIET)
        lines = (line.strip() for line in done.output.splitlines())
        found = next((line for line in lines if line.startswith("Candidate:")), "")
        version = found.removeprefix("Candidate:").strip()
        return "" if version == "(none)" else version

    def update(self) -> None:
        """Read the sources anew. Raises EdgecamError."""
        self._get("update")

    def install(self, *packages: str) -> None:
        """Install packages, or files that end in .deb, and note what was added. Raises EdgecamError."""
        before = self.installed()
        self._get("install", "--yes", "--no-install-recommends", *packages)
        note_added(self.host, sorted(self.installed() - before))

    def _get(self, *words: str) -> None:
        waiting = ("-o", f"DPkg::Lock::Timeout={_LOCK_TIMEOUT}")
        self.host.require("apt-get", *words, *waiting, environment=_QUIET)


@dataclass
class InstallPackages(Step):
    """Install what is needed, and what is welcome and to be had."""

    apt: Apt
    offline: bool = False
    _missing: list[str] = field(default_factory=list)

    def describe(self) -> str:
        return f"install {', '.join(self._wanted())} (apt)"

    def needed(self) -> bool:
        return bool(self._wanted())

    def do(self) -> None:
        try:
            self.apt.update()
        except EdgecamError as error:
            self.apt.host.tell(f"warning: {error}")
        wanted = [name for name in self._absent() if self.apt.candidate(name)]
        if wanted:
            self.apt.install(*wanted)
        short = [name for name in self._absent() if name in REQUIRED]
        if short:
            raise EdgecamError(f"no package source has {', '.join(short)}: see /etc/apt, then `sudo apt-get update`")

    def _wanted(self) -> list[str]:
        """Before the sources were read anew; where they were never read, all."""
        absent = self._absent()
        known = [name for name in absent if name in REQUIRED or self.apt.candidate(name)]
        return known if any(self.apt.candidate(name) for name in REQUIRED) else absent

    def _absent(self) -> list[str]:
        there = self.apt.installed()
        return [name for name in (*REQUIRED, *WELCOME) if name not in there]


class PurgePackages(Step):
    """Take off the packages that the installer added, where nothing else has come to need them."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._apt = Apt(host)

    def describe(self) -> str:
        return f"remove the packages that came with it: {' '.join(self._there()) or 'none'} (apt)"

    def needed(self) -> bool:
        return bool(self._there())

    def do(self) -> None:
        packages = self._there()
        trial = self._host.require("apt-get", "--simulate", "purge", *packages, environment=_QUIET)
        gone = {line.split()[1] for line in trial.splitlines() if line.startswith(("Remv ", "Purg "))}
        others = sorted(gone - set(packages))
        if others:
            raise Shortcoming(f"{' '.join(packages)}: they stay, for {', '.join(others)} came to need them")
        self._host.require("apt-get", "purge", "--yes", *packages, environment=_QUIET)

    def _there(self) -> list[str]:
        installed = self._apt.installed()
        return [name for name in added(self._host) if name in installed]


def added(host: Host) -> list[str]:
    """The packages that the installer added, now or before."""
    file = host.path(ADDED_PACKAGES)
    return file.read_text(encoding="utf-8").split() if file.is_file() else []


def note_added(host: Host, names: list[str]) -> None:
    """Remember packages that were added."""
    together = sorted({*added(host), *names})
    if names:
        write_atomically(host.path(ADDED_PACKAGES), "\n".join(together) + "\n")


def has_library(host: Host, name: str) -> bool:
    """Whether a shared library lies where the system looks for it."""
    folders = ("/usr/lib", "/lib", "/usr/local/lib", f"/usr/lib/{host.machine}-linux-gnu")
    return any(Path(host.path(folder) / name).exists() for folder in folders)
