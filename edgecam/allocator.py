"""The C library's allocator: fewer heaps, and memory given back where much became free at once."""

from __future__ import annotations

import ctypes
from functools import cache

#: Of mallopt(3); glibc's alone.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 1 << 20
_FREE_AT_THE_END_BYTES = 4 << 20


def limit_heaps() -> None:
    """One heap for all threads, and no large block in it; to be called before there are threads.

    glibc makes heaps for threads, up to eight for each core, so that they do not wait for each other; what is free in
    one is of no use to the others. Here frames are made in one thread and let go in another, and threads seldom
    allocate at the same moment: on two cores that costs 20 to 26 MB and gains nothing.

    Blocks of a megabyte and more come from the kernel and go back to it, each by itself. glibc would raise that limit
    to the size of what is freed, up to 32 MB, and the heap then keeps the room that large blocks leave, such as those
    of an interpreter that goes. Other C libraries are left as they are.
    """
    if library := _glibc():
        library.mallopt(_M_ARENA_MAX, 1)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, _FREE_AT_THE_END_BYTES)  # else set to 128 KiB by the line before


def give_back() -> None:
    """Give free pages back to the kernel: glibc itself does so at the end of its heap only. Takes milliseconds."""
    if library := _glibc():
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library where it is glibc, else None."""
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
