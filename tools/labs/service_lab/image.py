"""Debian in a folder, made by mmdebstrap once and kept; and this machine's way to the packages."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent
BUILD_LIMIT = 1800
"""Longest making of an image, seconds; another architecture is emulated."""
_APT_SETTING = re.compile(r"Acquire::(https?|Retries|Check-|ForceIPv|Languages)")


class NotHere(Exception):
    """The lab cannot run on this machine; the message says why."""


@dataclass(frozen=True)
class Image:
    """A root folder, never written to once it is made: labs work on an overlay of it."""

    lab: str
    suite: str
    packages: tuple[str, ...]
    architecture: str = ""

    @property
    def root(self) -> Path:
        """Where it lies."""
        return cache(self.lab) / f"{self.suite}-{self._recipe()}"

    @property
    def is_made(self) -> bool:
        """Whether it is there, whole and of this recipe."""
        return self.root.is_dir()

    def make(self, *, cached: bool = False, again: bool = False) -> None:
        """Have it there. Raises NotHere, also where it is not there yet and only a `cached` one will do."""
        if self.is_made and not again:
            return
        if cached:
            raise NotHere(f"the image of {self.suite} is not made yet: run tools/labs/{self.lab} once")
        rough = self.root.with_suffix(".part")
        rough.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(rough, ignore_errors=True)
        _say(self.lab, f"{self.suite} with {', '.join(self.packages)}")
        command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(self.packages)}"]
        command += [f"--architectures={self.architecture}"] if self.architecture else []
        # A mirror may be a snapshot, older than it is said to be good for.
        command += ['--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=APT::Install-Recommends "false"']
        command += [f"--aptopt={line}" for line in apt_settings()]
        try:
            _build_step([*command, self.suite, str(rough), *mirror()])
            shutil.rmtree(self.root, ignore_errors=True)
            rough.rename(self.root)
        finally:
            shutil.rmtree(rough, ignore_errors=True)

    def _recipe(self) -> str:
        parts = (self.suite, self.architecture, *self.packages)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def cache(lab: str) -> Path:
    """Where a lab keeps what it made."""
    kept = os.environ.get("EDGECAM_LABS_CACHE") or Path.home() / ".cache" / "edgecam" / "labs"
    return Path(kept) / lab


def missing(*tools: str) -> list[str]:
    """Those of the programs that are not here."""
    return [tool for tool in tools if shutil.which(tool) is None]


def mirror() -> list[str]:
    """Where Debian's packages come from: the mirror named, else this machine's own, else mmdebstrap's choice."""
    if named := os.environ.get("EDGECAM_LABS_MIRROR"):
        return [named]
    wanted = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    found = subprocess.run(wanted, capture_output=True, text=True, check=False).stdout.split()
    return found[:1]


def apt_settings() -> list[str]:
    """How this machine's apt reaches its mirrors: proxies, checks, retries."""
    dumped = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    return [line for line in dumped.splitlines() if _APT_SETTING.match(line) and '""' not in line]


def pip_settings() -> tuple[str, list[Path]]:
    """This machine's pip configuration as one pip.conf, and the local folders and files that it names."""
    listing = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(listing, capture_output=True, text=True, check=False)
    pairs = dict(re.findall(r"^(?:global|:env:)\.([\w-]+)='(.*)'$", listed.stdout, flags=re.MULTILINE))
    lines = [f"{key} = {value}" for key, value in pairs.items()]
    named = re.findall(r"(?:^|\s|file://)(/\S+)", "\n".join(pairs.values()))
    found = {_whole_index(Path(path)) for path in named}
    return "\n".join(["[global]", *lines, ""]), sorted(path for path in found if path.exists())


def copy_of_checkout(target: Path, commit: str = "") -> None:
    """The checkout's files in a folder: as they lie here now, or as they were in a commit."""
    target.mkdir(parents=True, exist_ok=True)
    if commit:
        packed = f"git archive {commit} | tar -x -C {target}"
    else:
        listed = "git ls-files -z --cached --others --exclude-standard"
        packed = f"{listed} | tar -c --null --files-from=- --ignore-failed-read 2>/dev/null | tar -x -C {target}"
    subprocess.run(["sh", "-c", packed], cwd=REPOSITORY, check=True)


def _whole_index(path: Path) -> Path:
    """A folder of wheels laid out as an index links to the files beside its folder `simple`."""
    return path.parent if path.name == "simple" else path


def _build_step(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_LIMIT)
    except subprocess.TimeoutExpired as error:
        raise NotHere(f"{command[0]} took longer than {BUILD_LIMIT} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        errors = [line for line in lines if line.startswith("E:")]
        raise NotHere(f"{command[0]} failed (exit {done.returncode}): {(errors or lines)[0].strip()}")


def _say(lab: str, what: str) -> None:
    print(f"tools/labs/{lab}: making an image: {what}", file=sys.stderr, flush=True)
