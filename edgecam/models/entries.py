"""A published model as the catalogue has it: its file, and the pin that tells it from a changed or cut one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from edgecam.labels import Labels
from edgecam.modelfile import ModelFile, ModelForm

_SHA256, _GIT_BLOB = "SHA-256 ", "git blob "


@dataclass(frozen=True, slots=True)
class Figure:
    """A published measurement, such as `AP 0.256`: of what it is, and the URL of the page that has it."""

    figure: str
    of: str
    source: str


@dataclass(frozen=True, slots=True)
class Published:
    """A model known by name. `sha256`, else `git_blob` (SHA-1 over a git blob of the content), pins its content.

    `about` describes it; `caution` is what its user must be told at every start. `source` is the URL of the folder that
    has the file, "" where none is known. `form` says what the file itself does not, where its shapes would not tell.
    `input_size` is the width and height of the picture it takes.
    """

    name: str
    file: str
    about: str
    sha256: str = ""
    git_blob: str = ""
    license: str = ""
    labels: Labels | None = None
    caution: str = ""
    source: str = ""
    form: ModelForm | None = None
    task: str = "detection"
    input_size: tuple[int, int] | None = None
    accuracy: tuple[Figure, ...] = ()
    latency: tuple[Figure, ...] = ()

    @property
    def pinned(self) -> bool:
        """True where the content of the published file is known."""
        return bool(self.sha256 or self.git_blob)

    @property
    def pin(self) -> str:
        """The checksum of the published file, with its kind; "" where it is not pinned."""
        return _SHA256 + self.sha256 if self.sha256 else _GIT_BLOB + self.git_blob if self.git_blob else ""

    def checksum(self, content: bytes) -> str:
        """What `pin` would be for this content; "" where the published file is not pinned."""
        if self.sha256:
            return _SHA256 + hashlib.sha256(content).hexdigest()
        return _GIT_BLOB + git_blob_of(content) if self.git_blob else ""

    def matches(self, model: ModelFile) -> bool:
        """True where a file is the published one, as far as that can be told."""
        return self.checksum(model.content) == self.pin


def git_blob_of(content: bytes) -> str:
    """Git's name for the content; SHA-1 because git says so."""
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
