"""The allocator's heaps, as the kernel shows them, in processes of their own: what was set cannot be taken back."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.any_runtime,
    pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="not glibc's allocator"),
]

HEAPS_OF_THREADS = """
import threading
from pathlib import Path
from edgecam.allocator import limit_heaps

if {one}:
    limit_heaps()
everybody, looked = threading.Barrier(5), threading.Barrier(5)

def allocate():
    kept = [bytes(2000) for _ in range(2000)]  # larger than what Python keeps for its own objects
    everybody.wait(30)
    looked.wait(30)

for _ in range(4):
    threading.Thread(target=allocate).start()
everybody.wait(30)
nameless = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if len(line.split()) == 5]
begins = [int(line[0].partition("-")[0], 16) for line in nameless if line[1] == "rw-p"]
print(sum(begin % (64 << 20) == 0 for begin in begins))  # HEAP_MAX_SIZE
looked.wait(30)
"""
GIVEN_BACK = """
from pathlib import Path
from edgecam.allocator import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

blocks = [bytes(100_000) for _ in range(400)]
last = bytes(100_000)  # at the heap's end: what is below it stays
del blocks
before = resident()
give_back()
print(before - resident())
"""


LARGE_BLOCKS = """
from pathlib import Path
from edgecam.allocator import limit_heaps

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if {limited}:
    limit_heaps()
bytearray(30_000_000)[::4096] = bytes(7325)  # now glibc takes 20 MB for a small block
before = resident()
blocks = [bytearray(b"x") * 20_000_000]
above = [bytes(100_000) for _ in range(20)]
del blocks
print(resident() - before)
"""


def printed(program: str) -> int:
    command = [sys.executable, "-c", program]
    return int(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)


def test_threads_share_one_heap() -> None:
    assert printed(HEAPS_OF_THREADS.format(one=False)) > 0
    assert printed(HEAPS_OF_THREADS.format(one=True)) == 0


def test_a_large_block_leaves_no_hole() -> None:
    assert printed(LARGE_BLOCKS.format(limited=False)) > 20_000_000
    assert printed(LARGE_BLOCKS.format(limited=True)) < 5_000_000


def test_free_memory_goes_back() -> None:
    assert printed(GIVEN_BACK) > 20_000_000
