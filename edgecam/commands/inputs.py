"""What the user named as input: pictures, videos, folders of them, URLs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgecam.cameras.place import shown
from edgecam.cameras.still import ENDINGS as PICTURES
from edgecam.errors import InputError

VIDEOS = frozenset(
    {".avi", ".flv", ".gif", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv", ".y4m"}
)


@dataclass(frozen=True, slots=True)
class Input:
    """One picture or video, named as the user did."""

    name: str
    kind: Literal["picture", "video"]

    @property
    def shown(self) -> str:
        """The name as it may be said: without the password of a URL."""
        return shown(self.name)


def find_inputs(names: Iterable[str]) -> list[Input]:
    """The pictures and videos behind the names; a folder stands for those in it, in the order of their names.

    Anything that is not called like a picture is a video. What is named twice comes once. Raises InputError for the
    first name that does not exist, may not be read, or is a folder with neither.
    """
    return list(dict.fromkeys(found for name in names for found in _behind(name)))


def _behind(name: str) -> Iterator[Input]:
    if "://" in name:
        yield Input(name, "video")
        return
    path = Path(name)
    if not os.path.lexists(path):
        raise InputError(f"{name}: not found")
    if path.is_dir():
        yield from _inside(path)
        return
    if not os.access(path, os.R_OK):
        raise InputError(f"{name}: cannot be read: permission denied, or a link to nowhere")
    yield Input(name, "picture" if path.suffix.lower() in PICTURES else "video")


def _inside(folder: Path) -> Iterator[Input]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES | VIDEOS)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from error
    if not files:
        raise InputError(f"{folder}: no pictures or videos in this folder")
    for path in files:
        yield from _behind(str(path))
