"""What went wrong with a file, in words that help, and files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, EEXIST, EIO, EISDIR, ENOSPC, ENOTDIR, EPERM, EROFS
from pathlib import Path

from edgecam.errors import SinkError

_REMEDIES = {
    ENOSPC: "the disk is full: free some space",
    EDQUOT: "the quota is used up: free some space",
    EROFS: "the file system is read-only: mount it writable, or choose another folder",
    EACCES: "no permission: give this user write access, or choose another folder",
    EPERM: "no permission: give this user write access, or choose another folder",
    ENOTDIR: "part of the path is a file, not a folder: choose another folder",
    EEXIST: "part of the path is a file, not a folder: choose another folder",
    EISDIR: "it is a folder: choose another name",
    EIO: "the disk fails to read or write: look at its health",
}


def sink_error(path: Path, error: Exception) -> SinkError:
    """The error for the pipeline: which file, what is wrong, what to do."""
    number = getattr(error, "errno", None)
    reason = _REMEDIES.get(number or 0) or getattr(error, "strerror", None) or str(error)
    return SinkError(f"{path}: cannot write: {reason}")


@contextmanager
def as_sink_error(path: Path) -> Iterator[None]:
    """Translate the operating system's errors."""
    try:
        yield
    except SinkError:
        raise
    except OSError as error:
        raise sink_error(path, error) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is either whole under its name or not there, also after a power cut. Raises OSError."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
