"""An environment for each peer, made once: virtual ones for Python's, a folder of unpacked packages for Debian's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OLD = "3.11"
"""The last Python for which tflite-runtime and Watsor are made."""
_LIMIT = 1800.0
_FOLDERS = ("", "/blas", "/lapack", "/pulseaudio")


class Unavailable(Exception):
    """A peer that cannot take part; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment: its name, what pip installs there with its dependencies (`alone`: without them, since
    they ask for an OpenCV with a window), whether it must be a Python 3.11, and the file that tells of packages to come
    with these, with which it is made anew."""

    name: str
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()
    old: bool = False
    follows: Path | None = None

    @property
    def stamp(self) -> str:
        """Changes with what is to be installed."""
        followed = self.follows.read_text(encoding="utf-8") if self.follows else ""
        return "\n".join((*self.packages, "alone:", *self.alone, OLD if self.old else sys.version.split()[0], followed))


def python_of(environment: Environment, folder: Path) -> Path:
    """Its Python, in `folder`, made where it is not there yet. Raises Unavailable."""
    place = folder / environment.name
    program, mark, refusal = place / "bin" / "python", place / "peer-stamp", folder / f"{environment.name}.refused"
    if mark.is_file() and mark.read_text(encoding="utf-8") == environment.stamp:
        return program
    print(f"edgecam: setting up {environment.name} in {place} (once)", file=sys.stderr)
    shutil.rmtree(place, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    _run([_interpreter(environment.old), "-m", "venv", place], refusal)
    install: list[str | Path] = [program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*install, *environment.packages], refusal)
    if environment.alone:
        _run([*install, "--no-deps", *environment.alone], refusal)
    mark.write_text(environment.stamp, encoding="utf-8")
    return program


def _interpreter(old: bool) -> str:  # noqa: FBT001 -- an attribute handed on
    if not old or sys.version_info[:2] == (3, 11):
        return sys.executable
    found = shutil.which(f"python{OLD}")
    if found is None:
        raise Unavailable(f"it needs Python {OLD}, and there is no python{OLD} here")
    return found


def _run(command: Sequence[str | Path], log: Path) -> None:
    """Run it with its words in a file. Raises Unavailable with the last of them."""
    with log.open("wb") as words:
        try:
            status = subprocess.run(command, stdout=words, stderr=words, timeout=_LIMIT, check=False).returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"it could not be installed: {error}") from error
    if status:
        raise Unavailable(f"it could not be installed: {last_line(log)}")
    log.unlink()


def last_line(log: Path) -> str:
    """The last line of a log that tells of an error, else the last one, short enough for a table."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() and not line.startswith("WARNING")]
    return (telling or lines or ["it said nothing"])[-1][:200]


def debian_program(name: str, folder: Path) -> Path:
    """A program of the Debian package of the same name: the machine's own, else unpacked into `folder`, together with
    the libraries that the machine has not, without being installed. Raises Unavailable."""
    if found := shutil.which(name):
        return Path(found)
    place = folder / f"debian-{name}"
    started = place / name
    if started.is_file():
        return started
    if shutil.which("apt-get") is None:
        raise Unavailable(f"there is no {name} here, and no apt-get to fetch it with")
    print(f"edgecam: unpacking Debian's {name} in {place} (once)", file=sys.stderr)
    shutil.rmtree(place, ignore_errors=True)
    packages = place / "packages"
    (packages / "partial").mkdir(parents=True)
    fetch = ["apt-get", "-y", "--no-install-recommends", "--download-only", "-o", f"Dir::Cache::archives={packages}"]
    # With Debug::NoLocking it needs no rights: nothing of the machine's is changed.
    _run([*fetch, "-o", "Debug::NoLocking=1", "install", name], place / "refused")
    for package in sorted(packages.glob("*.deb")):
        _run(["dpkg", "-x", package, place / "root"], place / "refused")
    shutil.rmtree(packages)
    _write_front(started, place / "root", name)
    return started


def _write_front(front: Path, root: Path, name: str) -> None:
    """A program that starts the unpacked one with its libraries, and no other one with them."""
    program = root / "usr" / "bin" / name
    if not program.is_file():
        raise Unavailable(f"Debian's package {name} has no program of that name")
    libraries = [place + under for place in map(str, (root / "usr" / "lib").glob("*-linux-gnu")) for under in _FOLDERS]
    text = f'#!/bin/sh\nLD_LIBRARY_PATH="{":".join(libraries)}" exec "{program}" "$@"\n'
    front.write_text(text, encoding="utf-8")
    front.chmod(0o755)


def folder_of_peers() -> Path:
    """Where all of them are."""
    fallback = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edgecam" / "peers"
    return Path(os.environ.get("EDGECAM_PEERS", fallback))
