"""Tells the kernel the names of Python's threads, as Python does itself from 3.14 on: imported by every Python that has
this folder on its path. What a library starts in a thread has that thread's name."""

import sys
import threading

_start = threading.Thread.start


def _start_named(self: threading.Thread) -> None:
    _start(self)
    try:
        with open(f"/proc/self/task/{self.native_id}/comm", "w", encoding="utf-8") as name:  # noqa: PTH123
            name.write(self.name[:15])
    except OSError:
        pass  # it has ended already


if sys.version_info < (3, 14):
    threading.Thread.start = _start_named  # type: ignore[method-assign]
