"""edgecam's own processes: the main one and all it has started, their memory and their share of the processor."""

from __future__ import annotations

import os
import resource
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
#: Fields of /proc/PID/stat (proc_pid_stat(5)), counted from the one after the name, which is the third.
_PARENT, _UTIME, _STIME, _CUTIME, _CSTIME, _THREADS, _RSS = 1, 11, 12, 13, 14, 17, 21


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `cpu` is the processor time it has used, with that of its children that have ended, in seconds.

    `rss_bytes` counts what it shares with others, too.
    """

    pid: int
    parent: int
    name: str
    rss_bytes: int
    cpu: float
    threads: int


def own_processes(pid: int | None = None, proc: Path = PROC) -> list[Process]:
    """This process, or another, and all that come from it, the oldest first; empty where Linux does not tell."""
    root = os.getpid() if pid is None else pid
    children: dict[int, list[Process]] = defaultdict(list)
    found: list[Process] = []
    for process in filter(None, map(_read, _numbered(proc))):
        if process.pid == root:
            found.append(process)
        else:
            children[process.parent].append(process)
    for process in found:  # grows while it is walked: the children of children come, too
        found += sorted(children[process.pid], key=lambda child: child.pid)
    return found


def _numbered(proc: Path) -> list[Path]:
    try:
        return [entry for entry in proc.iterdir() if entry.name.isdigit()]
    except OSError:
        return []


def _read(folder: Path) -> Process | None:
    """None of one that has just ended, or may not be seen."""
    with suppress(OSError, ValueError, IndexError):
        text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        name = text[text.index("(") + 1 : text.rindex(")")]  # may hold anything, brackets too
        rest = text[text.rindex(")") + 2 :].split()
        ticks = sum(int(rest[place]) for place in (_UTIME, _STIME, _CUTIME, _CSTIME))
        return Process(
            pid=int(folder.name),
            parent=int(rest[_PARENT]),
            name=name,
            rss_bytes=int(rest[_RSS]) * resource.getpagesize(),
            cpu=ticks / os.sysconf("SC_CLK_TCK"),
            threads=int(rest[_THREADS]),
        )
    return None
