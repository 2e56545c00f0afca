"""Where a release comes from: a checkout, a wheel, or the package that is running."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import re
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

from edgecam import __version__
from edgecam.errors import EdgecamError

_PACKAGE = Path(__file__).resolve().parent.parent
#: Where the wheel has what lies elsewhere in a checkout (pyproject.toml, force-include).
_IN_WHEEL = {"config/edgecam.toml": "edgecam/data/edgecam.toml", "systemd/": "edgecam/data/systemd/"}
#: What makes a checkout's wheel.
_CHECKOUT_PARTS = ("pyproject.toml", "README.md", "edgecam", "models", "config", "systemd")


class Source(ABC):
    """What becomes a release."""

    version: str

    @abstractmethod
    def describe(self) -> str:
        """In words."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """A file by its name in a checkout, such as `systemd/edgecam.service`; None where there is none."""

    @abstractmethod
    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Names and what tells one release from another."""

    @abstractmethod
    def wheel(self, scratch: Path, build: Callable[[Path, Path], None]) -> Path:
        """The wheel; `build(folder, scratch)` makes one out of a checkout. May raise EdgecamError."""

    def text(self, name: str) -> str | None:
        """A text by its name in a checkout. A release from before edgecam could install itself borrows it from here."""
        found = self.read(name)
        if found is None:
            found = running().read(name)
        return None if found is None else found.decode()

    def require(self, name: str) -> str:
        """A text that has to be there. Raises EdgecamError."""
        found = self.text(name)
        if found is None:
            raise EdgecamError(f"{self.describe()}: it has no {name}: take a whole one")
        return found

    def fingerprint(self) -> str:
        """The same for what is the same."""
        whole = hashlib.sha256()
        for name, content in self.contents():
            whole.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
        return whole.hexdigest()


class Checkout(Source):
    """A folder with edgecam's sources."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version = __version__

    def describe(self) -> str:
        return f"the checkout {self.folder}"

    def read(self, name: str) -> bytes | None:
        file = self.folder / name
        return file.read_bytes() if file.is_file() else None

    def contents(self) -> Iterator[tuple[str, bytes]]:
        for part in _CHECKOUT_PARTS:
            top = self.folder / part
            for file in [top] if top.is_file() else sorted(top.rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    yield str(file.relative_to(self.folder)), file.read_bytes()

    def wheel(self, scratch: Path, build: Callable[[Path, Path], None]) -> Path:
        build(self.folder, scratch)
        return _only_wheel(scratch)


class WheelFile(Source):
    """A wheel of edgecam."""

    def __init__(self, file: Path) -> None:
        """Raises EdgecamError where the file is none."""
        named = re.fullmatch(r"edgecam-([^-]+)-.+\.whl", file.name)
        if not named or not zipfile.is_zipfile(file):
            raise EdgecamError(f"{file}: not a wheel of edgecam, which is named like edgecam-0.1.0-py3-none-any.whl")
        self.file = file.resolve()
        self.version = named[1]

    def describe(self) -> str:
        return f"the wheel {self.file}"

    def read(self, name: str) -> bytes | None:
        with zipfile.ZipFile(self.file) as archive:
            known = set(archive.namelist())
            return archive.read(_in_wheel(name)) if _in_wheel(name) in known else None

    def contents(self) -> Iterator[tuple[str, bytes]]:
        yield self.file.name, self.file.read_bytes()

    def wheel(self, scratch: Path, build: Callable[[Path, Path], None]) -> Path:
        return self.file


class Installed(Source):
    """The package that is running, installed out of a wheel: it is packed into one again."""

    def __init__(self) -> None:
        self.version = __version__

    def describe(self) -> str:
        return "the edgecam that is running"

    def read(self, name: str) -> bytes | None:
        file = _PACKAGE.parent / _in_wheel(name)
        return file.read_bytes() if file.is_file() else None

    def contents(self) -> Iterator[tuple[str, bytes]]:
        for path in sorted(importlib.metadata.files("edgecam") or [], key=str):
            beside = path.parts[0] == ".." or "__pycache__" in path.parts
            if not beside and path.name not in {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}:
                yield path.as_posix(), Path(str(path.locate())).read_bytes()

    def wheel(self, scratch: Path, build: Callable[[Path, Path], None]) -> Path:
        file = scratch / f"edgecam-{self.version}-py3-none-any.whl"
        record = f"edgecam-{self.version}.dist-info/RECORD"
        rows: list[str] = []
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.contents():
                archive.writestr(name, content)
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                rows.append(f"{name},sha256={digest},{len(content)}\n")
            archive.writestr(record, "".join([*rows, f"{record},,\n"]))
        return file


def running() -> Source:
    """What this code itself came from."""
    folder = _PACKAGE.parent
    return Checkout(folder) if (folder / "pyproject.toml").is_file() else Installed()


def _in_wheel(name: str) -> str:
    """The name in a wheel of what has that name in a checkout."""
    for outside, inside in _IN_WHEEL.items():
        if name.startswith(outside):
            return inside + name.removeprefix(outside)
    return name


def _only_wheel(scratch: Path) -> Path:
    found = list(scratch.glob("edgecam-*.whl"))
    if len(found) != 1:
        raise EdgecamError(f"{scratch}: {len(found)} wheels of edgecam were built, expected is one")
    return found[0]
