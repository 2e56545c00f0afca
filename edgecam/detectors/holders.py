"""Who holds a device or a lock: processes by number and name, and whether they are ours."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_MOST_PROCESSES, _MOST_DESCRIPTORS, _MOST_ANCESTORS = 32768, 4096, 64
_READ_LIMIT_BYTES = 512


class Holder(NamedTuple):
    """A process that holds something; `pid` is 0 where it is not known."""

    pid: int

    def __str__(self) -> str:
        if not self.pid:
            return "a process that cannot be named"
        name = process_name(self.pid)
        return f"process {self.pid} ({name})" if name else f"process {self.pid}"


def start_of(path: Path) -> str:
    """The first 512 bytes of a file, "" where there are none to be had; never waits, whatever the file is."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _READ_LIMIT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def process_name(pid: int) -> str:
    """The command's name, at most 15 characters; "" where the process is gone."""
    name = start_of(_PROC / str(pid) / "comm").strip()
    return "".join(character if character.isprintable() else "?" for character in name)


def is_ours(pid: int) -> bool:
    """Is it this process or one that descends from it? Told by the chain of parents in /proc.

    A descendant whose parent died belongs to init, and is none of ours any more.
    """
    for _ in range(_MOST_ANCESTORS):
        if pid == os.getpid():
            return True
        if pid <= 1:
            return False
        pid = _parent(pid)
    return False


def processes_with(path: Path, status: os.stat_result) -> list[int]:
    """Processes that have the file open, as far as this user may look; `status` is the file's own.

    Devices are told by their numbers too: in a container the same one has another path and inode.
    """
    return [pid for pid in islice(_pids(), _MOST_PROCESSES) if _has_open(pid, path.name, status)]


def lock_holder(path: Path) -> Holder | None:
    """Who holds the flock on this file? None where nobody does, or where it is missing or may not be read.

    The pid is what the holder wrote into it. Looking takes a shared lock for microseconds.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Holder(_number(start_of(path)))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _pids() -> Iterator[int]:
    with suppress(OSError):
        yield from (int(name) for name in os.listdir(_PROC) if name.isdecimal())  # noqa: PTH208


def _has_open(pid: int, name: str, status: os.stat_result) -> bool:
    with suppress(OSError), os.scandir(_PROC / str(pid) / "fd") as descriptors:
        return any(_is_open_as(entry.path, name, status) for entry in islice(descriptors, _MOST_DESCRIPTORS))
    return False


def _is_open_as(descriptor: str, name: str, status: os.stat_result) -> bool:
    with suppress(OSError):
        # The name first: to ask a descriptor on a dead network drive for its status could wait for ever.
        if os.readlink(descriptor).rpartition("/")[2] == name:  # noqa: PTH115
            found = os.stat(descriptor)  # noqa: PTH116
            device = stat.S_ISCHR(found.st_mode) and stat.S_ISCHR(status.st_mode)
            return os.path.samestat(found, status) or (device and found.st_rdev == status.st_rdev)
    return False


def _parent(pid: int) -> int:
    """The parent's pid; 0 where the process is gone. The name in /proc/PID/stat may hold anything, even `)`."""
    fields = start_of(_PROC / str(pid) / "stat").rpartition(")")[2].split()
    return _number(fields[1]) if len(fields) > 1 else 0


def _number(text: str) -> int:
    digits = text.strip()[:10]
    return int(digits) if digits.isascii() and digits.isdecimal() else 0
