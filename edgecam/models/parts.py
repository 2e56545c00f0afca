"""The files that pulls fill: found again by the next pull of the same content, filled by one pull at a time."""

from __future__ import annotations

import fcntl
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgecam.errors import ModelError

#: Seconds between looks at a file that another pull holds.
_LOOK = 0.1


@contextmanager
def held(part: Path, patience: float, waiting: Callable[[], None]) -> Iterator[io.FileIO]:
    """The file `part`, made where it is missing, for this process alone; removed at the end where it is empty.

    While another pull has it, `waiting` is called once, and it is waited for as long as its file grows. Raises
    ModelError where that did not happen for `patience` seconds, OSError where the file cannot be opened.
    """
    waited = False
    while True:
        # Not by `tempfile`: its files are closed to others, and the service is another user.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(part, flags, 0o666), "r+b", buffering=0) as file:
            if not _locked(file):
                if not waited:
                    waiting()
                waited = True
                _wait(part, file, patience)
            if _has_its_name(part, file):
                try:
                    yield file
                finally:
                    if _size(file) == 0 and _has_its_name(part, file):
                        part.unlink()
                return


def _locked(file: io.FileIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(part: Path, file: io.FileIO, patience: float) -> None:
    """Wait for the lock while whoever holds it gets on."""
    size, since = _size(file), time.monotonic()
    while not _locked(file):
        time.sleep(_LOOK)
        if _size(file) != size:
            size, since = _size(file), time.monotonic()
        elif time.monotonic() - since > patience:
            silence = f"has not got on for {patience:.0f} s"
            raise ModelError(f"{part}: another pull fills it and {silence}: end that one, or choose a folder with --to")


def _has_its_name(part: Path, file: io.FileIO) -> bool:
    """False where another pull has put the file in its place, or removed it, before this one got the lock."""
    with suppress(FileNotFoundError):
        return os.path.samestat(part.stat(), os.fstat(file.fileno()))
    return False


def _size(file: io.FileIO) -> int:
    return os.fstat(file.fileno()).st_size
