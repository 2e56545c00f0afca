"""Releases: a virtual environment for each version, made from the lock, kept until it is no longer the one before."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgecam.errors import EdgecamError
from edgecam.installation.files import target_of
from edgecam.installation.host import Host
from edgecam.installation.layout import CURRENT, RELEASES
from edgecam.installation.plan import Step
from edgecam.installation.source import Source

#: In each release; written last, so that one without it is unfinished.
_CARD = "release.json"
_LOCKS = "edgecam/installation/locks"
_ASK_VERSION = "import sys; print('cp%d%d' % sys.version_info[:2])"


@dataclass(frozen=True)
class Target:
    """What is to be installed, and with what: `python` is the system's, `offline` a folder of wheels."""

    host: Host
    source: Source
    stamp: str
    python: str = "/usr/bin/python3"
    offline: Path | None = None

    @cached_property
    def previous(self) -> str | None:
        """The name of the release that is in use."""
        return name_in_use(self.host)

    @cached_property
    def name(self) -> str:
        """The release's: the one in use where that is the same, else a new one."""
        if self.previous and _card(self.host, self.previous).get("fingerprint") == self.fingerprint:
            return self.previous
        return f"{self.source.version}-{self.stamp}"

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same edgecam, packages and Python."""
        return f"{self.source.fingerprint()[:32]}-{self.tag}"

    @cached_property
    def tag(self) -> str:
        """The Python's: "cp311". Raises EdgecamError where it cannot be run."""
        return self.host.require(self.python, "-c", _ASK_VERSION, timeout=60.0).strip()

    @cached_property
    def lock(self) -> str:
        """The packages with their hashes. Raises EdgecamError where there are none for this machine."""
        found = self.source.text(f"{_LOCKS}/{self.host.machine}-{self.tag}.txt")
        if found is None:
            raise EdgecamError(
                f"{self.host.machine} with Python 3.{self.tag.removeprefix('cp3')}: edgecam has no packages for it: it"
                " needs a 64-bit system (aarch64 or x86_64) with Python 3.11 (Debian 12) or 3.13"
                " (Debian 13)"
            )
        return found

    @property
    def folder(self) -> str:
        """The release's, as it is called on the machine."""
        return f"{RELEASES}/{self.name}"

    def command(self, name: str = "edgecam") -> str:
        """A command of the release, where it lies now."""
        return str(self.host.path(self.folder) / "bin" / name)


class MakeRelease(Step):
    """Make the virtual environment; nothing outside its folder is touched."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._host = target.host

    def describe(self) -> str:
        target = self._target
        taken = f"from {target.offline}" if target.offline else "verified by their hashes"
        return (
            f"make {target.folder}: edgecam {target.source.version} from {target.source.describe()},"
            f" {target.lock.count('==')} packages {taken} (some minutes)"
        )

    def needed(self) -> bool:
        return self._target.name != self._target.previous

    def do(self) -> None:
        target, folder = self._target, self._host.path(self._target.folder)
        if folder.exists():
            raise EdgecamError(f"{folder}: it is there already: try again in a second")
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._host.require(target.python, "-m", "venv", "--system-site-packages", str(folder))
        with tempfile.TemporaryDirectory(prefix="edgecam-") as scratch:
            self._fill(Path(scratch))
        said = self._host.require(target.command(), "--version", timeout=120.0).strip()
        if said != f"edgecam {target.source.version}":
            raise EdgecamError(f"{target.source.describe()}: it calls itself {said!r}")
        card = {"version": target.source.version, "fingerprint": target.fingerprint, "made": target.stamp}
        (folder / _CARD).write_text(json.dumps(card) + "\n", encoding="utf-8")

    def undo(self) -> None:
        shutil.rmtree(self._host.path(self._target.folder), ignore_errors=True)

    def _fill(self, scratch: Path) -> None:
        """Packages, then edgecam itself."""
        lock = scratch / "lock.txt"
        lock.write_text(self._target.lock, encoding="utf-8")
        self._pip("install", "--ignore-installed", *_verified(lock))
        wheel = self._target.source.wheel(scratch, self._build)
        self._pip("install", "--no-deps", "--no-index", str(wheel))

    def _build(self, checkout: Path, scratch: Path) -> None:
        """The wheel of a checkout; what builds it does not stay."""
        lock, tools = scratch / "build.txt", scratch / "tools"
        lock.write_text(self._target.source.require(f"{_LOCKS}/build.txt"), encoding="utf-8")
        self._pip("install", "--target", str(tools), *_verified(lock))
        self._pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(scratch), str(checkout), sees=tools)

    def _pip(self, verb: str, *options: str, sees: Path | None = None) -> None:
        offline = self._target.offline
        where = ("--no-index", "--find-links", str(offline)) if offline else ()
        python = self._target.command("python")
        quiet = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-cache-dir")
        self._host.require(
            python, "-m", "pip", verb, *quiet, *where, *options, environment={"PYTHONPATH": str(sees)} if sees else {}
        )


class PruneReleases(Step):
    """Delete all but the release in use and the one before it."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def describe(self) -> str:
        return f"delete older releases: {', '.join(self._old()) or 'there are none'}"

    def needed(self) -> bool:
        return bool(self._old())

    def do(self) -> None:
        for name in self._old():
            shutil.rmtree(self._target.host.path(f"{RELEASES}/{name}"))

    def _old(self) -> list[str]:
        """Where this release is not new, the one before it is the newest of the others."""
        target = self._target
        finished = [name for name in names(target.host) if name != target.name and _card(target.host, name)]
        before = target.previous if target.previous != target.name else max(finished, key=_stamp_of, default=None)
        return [name for name in names(target.host) if name not in {target.name, before}]


def names(host: Host) -> list[str]:
    """All releases, finished or not."""
    folder = host.path(RELEASES)
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def name_in_use(host: Host) -> str | None:
    """The release that `current` points to."""
    target = target_of(host.path(CURRENT))
    name = Path(target).name if target else None
    return name if name and _card(host, name) else None


def shipped(host: Host, release: str, name: str) -> str | None:
    """A file of a release's package by its path in there, such as `data/edgecam.toml`."""
    found = sorted(host.path(f"{RELEASES}/{release}").glob(f"lib/python3*/site-packages/edgecam/{name}"))
    return found[0].read_text(encoding="utf-8") if found else None


def _verified(lock: Path) -> Iterator[str]:
    yield from ("--require-hashes", "--only-binary", ":all:", "--no-deps", "--requirement", str(lock))


def _stamp_of(name: str) -> str:
    return name.rpartition("-")[2]


def _card(host: Host, name: str) -> dict[str, Any]:
    """What a release says of itself; empty for one that is unfinished."""
    try:
        read = json.loads(host.path(f"{RELEASES}/{name}/{_CARD}").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
