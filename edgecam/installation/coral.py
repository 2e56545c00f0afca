"""The Edge TPU's library, in a build that matches the runtime of the releases."""

from __future__ import annotations

import hashlib
import re
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from edgecam.errors import EdgecamError
from edgecam.installation.packages import Apt, has_library
from edgecam.installation.plan import Shortcoming, Step

PACKAGE = "libedgetpu1-std"
_LIBRARY = "libedgetpu.so.1"
_RELEASE = "https://github.com/feranick/libedgetpu/releases/download/16.0TF2.19.1-1"
_FILE = "libedgetpu1-std_16.0tf2.19.1-1.bookworm_{machine}.deb"
#: SHA-256 of the file, by Debian's name of the machine.
PINS = {
    "arm64": "46ab47310d6de120bda4678febe5eb6143f5c7d7dd17c0d017ae5f6cd67dfec5",
    "amd64": "23be53c72eff4d44afc2f727700da185791d3ca0867bd0b5e082ec3a0de21925",
}
#: The oldest TensorFlow 2 whose build runs with the runtimes of today; Google's own 16.0 names none, and crashes.
_OLDEST = 17
_TIMEOUT = 30.0
_MOST_BYTES = 50_000_000


@dataclass
class GetLibrary(Step):
    """Install the library: from a package source that has one that matches, else the pinned release."""

    apt: Apt
    offline: Path | None = None
    release: str = _RELEASE

    def describe(self) -> str:
        present = self._present()
        replaced = f" instead of {present[0]} {present[1]}, which does not match the runtime," if present else ""
        where = "the package sources" if matches(self.apt.candidate(PACKAGE)) else f"{self.offline or self.release}"
        return f"install {PACKAGE}{replaced} from {where}"

    def needed(self) -> bool:
        present = self._present()
        return not matches(present[1]) if present else not has_library(self.apt.host, _LIBRARY)

    def do(self) -> None:
        try:
            if matches(self.apt.candidate(PACKAGE)):
                self.apt.install(PACKAGE)
            else:
                self._install_pinned()
        except EdgecamError as error:
            raise Shortcoming(f"no library for the Edge TPU, edgecam uses the CPU: {error}") from None

    def _present(self) -> tuple[str, str] | None:
        """Package and version that is there."""
        versions = ((name, self.apt.version(name)) for name in (PACKAGE, "libedgetpu1-max"))
        return next(((name, version) for name, version in versions if version), None)

    def _install_pinned(self) -> None:
        machine = self.apt.host.debian_machine
        if machine not in PINS:
            raise EdgecamError(f"there is no build for {machine}: install a libedgetpu that matches by hand")
        name = _FILE.format(machine=machine)
        with tempfile.TemporaryDirectory(prefix="edgecam-") as scratch:
            file = Path(scratch) / name
            content = _read(self.offline / name) if self.offline else _download(f"{self.release}/{name}")
            file.write_bytes(verified(content, name, PINS[machine]))
            self.apt.install(str(file))


def matches(version: str) -> bool:
    """Whether a package of that version runs with the runtime: "16.0tf2.19.1-1" does, Google's "16.0" does not."""
    built_for = re.search(r"tf2\.(\d+)", version, re.IGNORECASE)
    return built_for is not None and int(built_for[1]) >= _OLDEST


def verified(content: bytes, name: str, pin: str) -> bytes:
    """The content, where it has that SHA-256. Raises EdgecamError."""
    found = hashlib.sha256(content).hexdigest()
    if found != pin:
        raise EdgecamError(f"{name}: its SHA-256 is {found[:16]}…, expected {pin[:16]}…: it is not installed")
    return content


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise EdgecamError(f"{file}: {error.strerror}: put it there, see docs/install.md") from None


def _download(url: str) -> bytes:
    """What lies there. Raises EdgecamError."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 -- a constant of ours
            content: bytes = answer.read(_MOST_BYTES + 1)
    except (OSError, urllib.error.URLError) as error:
        raise EdgecamError(f"{url}: {error}: fetch it elsewhere, then `sudo apt install ./FILE`") from None
    if len(content) > _MOST_BYTES:
        raise EdgecamError(f"{url}: larger than {_MOST_BYTES} bytes: it is not what was expected")
    return content
