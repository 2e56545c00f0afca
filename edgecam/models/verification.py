"""Whether the model files that are here are whole, and those of published names the published ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgecam.errors import ModelError
from edgecam.models.catalogue import load, name_of, resolve
from edgecam.models.folders import searched
from edgecam.models.published import BY_FILE

State = Literal["as published", "whole", "wrong"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one file: `whole` can be read, but has no published checksum; `problem` is that of a wrong one."""

    name: str
    path: Path
    state: State
    problem: str = ""


def verify(names: Sequence[str] = (), folders: Sequence[Path] = ()) -> Iterator[Verdict]:
    """Look at the models of these names, or at all in the folders searched, those that another one hides, too.

    Raises ModelError for a name that leads to no file.
    """
    if names:
        found = [resolve(name, folders).path for name in names]
    else:
        found = [path for folder in searched(folders) for path in sorted(folder.glob("*.tflite"))]
    for path in found:
        yield _verdict(path)


def _verdict(path: Path) -> Verdict:
    name = name_of(path)
    try:
        load(path)
    except ModelError as error:
        return Verdict(name, path, "wrong", str(error))
    published = BY_FILE.get(path.name)
    return Verdict(name, path, "as published" if published and published.pinned else "whole")
