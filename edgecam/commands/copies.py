"""Where annotated copies go: one folder, checked before any work, never a half-written file in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from edgecam.commands.inputs import Input
from edgecam.commands.whole import written_whole
from edgecam.errors import InputError

SUFFIXES = {"picture": ".jpg", "video": ".mp4"}


class Copies:
    """The annotated copies of some inputs, all in one folder."""

    def __init__(self, folder: Path, inputs: Sequence[Input]) -> None:
        self._folder = folder
        self._paths = dict(zip(inputs, _paths(folder, inputs), strict=True))

    def check(self) -> None:
        """Raise InputError where the folder could not take the copies, or they would overwrite an input."""
        existing = next(path for path in (self._folder, *self._folder.absolute().parents) if os.path.lexists(path))
        if not existing.is_dir():
            raise InputError(f"{self._folder}: cannot hold the copies: {existing} is not a folder")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise InputError(f"{self._folder}: cannot hold the copies: {existing} may not be written to")
        originals = {Path(each.name).resolve() for each in self._paths}
        overwritten = [each.name for each, path in self._paths.items() if path.resolve() in originals]
        if overwritten:
            raise InputError(f"{overwritten[0]}: its annotated copy would overwrite it: choose another folder")

    def create(self) -> None:
        """Make the folder. Raises InputError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self._folder}: cannot hold the copies: {error.strerror}") from error

    def writing(self, original: Input) -> AbstractContextManager[Path]:
        """The path to write an input's copy to, see `written_whole`."""
        return written_whole(self._paths[original])


def _paths(folder: Path, inputs: Sequence[Input]) -> Iterator[Path]:
    """A name of its own for each: `a.jpg`, and `a-2.jpg` for another `a` from elsewhere."""
    taken: set[str] = set()
    for each in inputs:
        stem, number = Path(each.name).stem or "video", 1
        suffix = SUFFIXES[each.kind]
        name = stem + suffix
        while name in taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        taken.add(name)
        yield folder / name
