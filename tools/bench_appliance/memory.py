"""What the memory of the processes is made of: each mapping of /proc/PID/smaps has a kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from bench_appliance.counting import PROC, processes

_HEAD = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$")
_PACKAGE = re.compile(r"/(?:site|dist)-packages/([^/]+)/")
_ARENA_BYTES = 64 << 20
"""glibc's arenas start at multiples of this (malloc/arena.c, HEAP_MAX_SIZE on 64 bits)."""
_PYTHON_BYTES = 1 << 20
"""Python asks for its objects' memory in pieces of this size (Objects/obmalloc.c, ARENA_SIZE); a thread's stack is 8 of
them. What malloc asks for is a page longer than what was asked of it, and so hardly ever as long."""
_LARGE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping: its kind, what is resident, and the share of that which is this process's (proc(5), Pss)."""

    process: str
    kind: str
    rss_bytes: int
    pss_bytes: int
    private_bytes: int


def mappings(pid: int) -> list[Mapping]:
    """All mappings of the process and those below it."""
    found: list[Mapping] = []
    for process, called in processes(pid):
        with suppress(OSError):
            text = (PROC / str(process) / "smaps").read_text("utf-8", "replace")
            found += read(called, text.splitlines())
    return found


def read(process: str, lines: Iterable[str]) -> Iterator[Mapping]:
    """The mappings in the lines of an smaps file."""
    kind, sizes = "", dict[str, int]()
    for line in lines:
        head = _HEAD.match(line)
        if head is None:
            name, _, value = line.partition(":")
            if value.endswith(" kB"):
                sizes[name] = int(value[:-3]) * 1024
            continue
        if kind:
            yield _mapping(process, kind, sizes)
        kind, sizes = kind_of(int(head[1], 16), int(head[2], 16), head[4]), {}
    if kind:
        yield _mapping(process, kind, sizes)


def kind_of(begin: int, end: int, name: str) -> str:
    """What a mapping from `begin` to `end` is for, by its name and size."""
    if not name:
        return _nameless_kind(begin, end - begin)
    if name == "[heap]":
        return "heap"
    if name.startswith("["):
        return "stack" if name == "[stack]" else "kernel's"
    if name.startswith(("/memfd:", "/dev/shm")):  # noqa: S108 (a place to look at)
        return "shared tensors and model"
    return _file_kind(name)


def _nameless_kind(begin: int, length: int) -> str:
    if begin % _ARENA_BYTES == 0 and length < _ARENA_BYTES:
        return "heaps of threads"
    if length % _PYTHON_BYTES == 0:
        return "Python's objects, stacks"
    return "large blocks" if length >= _LARGE_BYTES else "small blocks"


def _file_kind(name: str) -> str:
    path = PurePosixPath(name.removesuffix(" (deleted)"))
    if ".so" not in path.name and not path.name.startswith("python"):
        return "files"
    package = _PACKAGE.search(name)
    if package:
        return "library " + package[1].removesuffix(".libs").removesuffix("_headless").replace("opencv_python", "cv2")
    return "library Python" if "python" in name else "library of the system"


def _mapping(process: str, kind: str, sizes: dict[str, int]) -> Mapping:
    private = sizes.get("Private_Clean", 0) + sizes.get("Private_Dirty", 0)
    return Mapping(process, kind, sizes.get("Rss", 0), sizes.get("Pss", 0), private)
