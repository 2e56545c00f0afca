"""Runs one program and measures it from outside: frames, CPU time and memory of all its processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench_peers.broker import Listener, Told
from bench_peers.environments import Unavailable, last_line
from bench_peers.peers import Program
from edgecam.health.processes import own_processes

START = 90.0
"""Longest wait for the first frame, seconds."""
WARM = 4.0
"""From the first frame until what counts, seconds: rings are full then, and their memory no longer new."""
_STOP = 10.0
_GLANCE = 0.25


@dataclass(frozen=True, slots=True)
class Measured:
    """`frames` were processed in `seconds`, for `cpu` seconds of CPU time; memory of all processes at the end. `found`
    objects since it started, None where the program does not count them; `told` is what was heard in that time."""

    frames: int
    seconds: float
    cpu: float
    pss_bytes: int
    rss_bytes: int
    processes: int
    found: int | None = None
    told: tuple[Told, ...] = ()


def measure(program: Program, folder: Path, seconds: float, listener: Listener | None = None) -> Measured:
    """Run it until it is warm, and then for so long. Raises Unavailable where it ends, or does not get that far."""
    with _running(program, folder) as process:
        _wait_for_frames(program, process, folder)
        time.sleep(WARM)
        heard = len(listener.told) if listener else 0
        frames, _ = program.counts()
        cpu, begin = _cpu(process.pid), time.monotonic()
        time.sleep(seconds)
        cpu, end = _cpu(process.pid) - cpu, time.monotonic()
        _check(process, folder)
        (frames_then, found), told = program.counts(), tuple(listener.told[heard:]) if listener else ()
        tree = own_processes(process.pid)
        pss, rss = sum(pss_bytes(each.pid) for each in tree), sum(each.rss_bytes for each in tree)
    if frames_then <= frames:
        raise Unavailable(f"it processed no frame in {seconds:g} s: {_words(folder)}")
    if found == 0:
        raise Unavailable("it detected nothing in the clip")
    return Measured(frames_then - frames, end - begin, cpu, pss, rss, len(tree), found, told)


def bare(command: Sequence[str | Path]) -> dict[str, float]:
    """`invoke` and `cpu`, seconds of each, of the bare loop. Raises Unavailable."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=START, check=False)
    if done.returncode:
        raise Unavailable(f"the bare loop: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    return {name: float(value) for name, value in json.loads(done.stdout.splitlines()[-1]).items()}


def pss_bytes(pid: int, proc: Path = Path("/proc")) -> int:
    """A process's memory with its share of what it has in common with others (proc(5), smaps_rollup); 0 if it ended."""
    with suppress(OSError):
        for line in (proc / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


@contextmanager
def _running(program: Program, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program, at the head of a process group that ends with it."""
    environment = {**os.environ, **program.environment}
    if "PYTHONPATH" not in program.environment:
        environment.pop("PYTHONPATH", None)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            program.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=folder,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP)


def _wait_for_frames(program: Program, process: subprocess.Popen[bytes], folder: Path) -> None:
    ends = time.monotonic() + START
    while not program.counts()[0]:
        _check(process, folder)
        if time.monotonic() > ends:
            raise Unavailable(f"it processed no frame in {START:g} s: {_words(folder)}")
        time.sleep(_GLANCE)


def _check(process: subprocess.Popen[bytes], folder: Path) -> None:
    if process.poll() is not None:
        raise Unavailable(f"it ended with {process.returncode}: {_words(folder)}")


def _words(folder: Path) -> str:
    """The last of what it said; Watsor says it in a file of its own."""
    logs = [log for log in (folder / "watsor.log", folder / "log") if log.is_file() and log.stat().st_size]
    return last_line(logs[0]) if logs else "it said nothing"


def _cpu(pid: int) -> float:
    return sum(each.cpu for each in own_processes(pid))
