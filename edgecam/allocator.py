"""The C library's allocator: fewer heaps, and memory given back where much became free at once."""

from __future__ import annotations

import ctypes
from functools import cache

_M_ARENA_MAX = -8
"""mallopt(3); glibc's alone."""


def use_one_heap() -> None:
    """Have all threads take their memory from one heap; to be called before there are threads.

    glibc makes heaps for threads, up to eight for each core, so that they do not wait for each other; what is free in
    one is of no use to the others. Here frames are made in one thread and let go in another, and threads seldom
    allocate at the same moment: on two cores that costs 20 to 26 MB and gains nothing. Other C libraries are left as
    they are.
    """
    if library := _glibc():
        library.mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give free pages back to the kernel: glibc itself does so at the end of its heap only. Takes milliseconds."""
    if library := _glibc():
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library where it is glibc, else None."""
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
