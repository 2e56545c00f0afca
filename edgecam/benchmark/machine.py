"""On what machine a figure was measured."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from edgecam import __version__

_BOARD = Path("/proc/device-tree/model")
_CPUS = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """The board where it has a name, the processor, the cores this process may use, and the software."""

    board: str
    cpu: str
    cores: int
    system: str
    python: str
    edgecam: str


def this_machine() -> Machine:
    """The machine we are on."""
    return Machine(
        board=_text(_BOARD).strip("\0\n "),
        cpu=cpu_name(_text(_CPUS)) or platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        edgecam=__version__,
    )


def cpu_name(cpuinfo: str) -> str:
    """The processor's name in the text of /proc/cpuinfo, "" where there is none (most ARM kernels)."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
