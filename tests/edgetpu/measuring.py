"""What a process holds, which processes live in a world, how punctual a thread is: to find what should not be."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Holdings(NamedTuple):
    """What this process holds now. `mappings` are those of shared memory; `memory_bytes` is what is resident."""

    threads: int
    children: int
    descriptors: int
    mappings: int
    memory_bytes: int


def holdings() -> Holdings:
    """Threads are the kernel's, those of libraries among them; children are also those that have ended unasked for."""
    own = Path("/proc/self")
    maps = (own / "maps").read_text("utf-8", "replace").splitlines()
    return Holdings(
        threads=len(list((own / "task").iterdir())),
        children=len(children()),
        descriptors=len(list((own / "fd").iterdir())) - 1,  # less the one that reads the folder
        mappings=sum("memfd:" in line or "/dev/shm" in line for line in maps),  # noqa: S108 -- a place to look at
        memory_bytes=int((own / "statm").read_text("ascii").split()[1]) * _PAGE_BYTES,
    )


def children() -> list[int]:
    """The processes that this one has started and that are not yet reaped."""
    found: list[int] = []
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            found += map(int, (thread / "children").read_text("ascii").split())
    return sorted(found)


def inhabitants(world: Path) -> list[int]:
    """The processes that were started in a world and are not at their end."""
    wanted = b"EDGETPU_STANDIN=" + os.fsencode(world)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return sorted(found)


def wait_until(reached: Callable[[], bool], timeout: float, what: Callable[[], str]) -> float:
    """Wait for it, looking every 5 ms; returns the monotonic time. Raises TimeoutError with `what`."""
    limit = time.monotonic() + timeout
    while not reached():
        if time.monotonic() > limit:
            raise TimeoutError(f"after {timeout:g} s: {what()}")
        time.sleep(0.005)
    return time.monotonic()


class Ticker(threading.Thread):
    """A thread that wants to run every millisecond; `gap` is the longest it had to wait since `restart`, in seconds."""

    def __init__(self) -> None:
        super().__init__(name="ticker", daemon=True)
        self.gap = 0.0
        self._done = threading.Event()

    def restart(self) -> float:
        """Begin anew; returns the gap until now."""
        gap, self.gap = self.gap, 0.0
        return gap

    def run(self) -> None:
        before = time.perf_counter()
        while not self._done.is_set():
            time.sleep(0.001)
            now = time.perf_counter()
            self.gap = max(self.gap, now - before)
            before = now

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self.join()
