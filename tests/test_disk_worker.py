"""A disk's work in a thread of its own: in order, bounded, and an error is told once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from edgecam.sinks.disk_worker import DiskWorker

pytestmark = pytest.mark.any_runtime

LONG = 30.0


@contextmanager
def running(**options: float) -> Iterator[DiskWorker]:
    worker = DiskWorker("disk", **options)  # type: ignore[arg-type]
    worker.start()
    try:
        yield worker
    finally:
        worker.close()
    assert not worker.is_alive()


class Stall:
    """A write that hangs until it is let go."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def __call__(self) -> None:
        assert self._over.wait(LONG)

    def end(self) -> None:
        self._over.set()


def test_a_quick_disk_has_done_it_when_do_returns() -> None:
    done: list[int] = []
    with running(patience=LONG) as worker:
        for number in range(100):
            worker.do(partial(done.append, number), 10)
            assert done[-1] == number
        assert worker.waiting_bytes == 0


def test_while_it_hangs_jobs_wait_and_are_done_in_order_afterwards() -> None:
    stall, done = Stall(), list[int]()
    with running(patience=0.01) as worker:
        worker.do(stall, 5)
        for number in range(100):
            worker.do(partial(done.append, number), 10)
        assert done == []
        assert worker.waiting_bytes == 1005
        stall.end()
        worker.drain()
        assert done == list(range(100))
        assert worker.waiting_bytes == 0


@pytest.mark.parametrize("bound", [{"most_bytes": 30}, {"most_seconds": 0.0}])
def test_beyond_its_bounds_whoever_has_it_done_waits_for_the_disk(bound: dict[str, float]) -> None:
    stall, done = Stall(), list[int]()
    with running(patience=0.01, **bound) as worker:
        worker.do(stall, 30)
        bringing = threading.Thread(target=worker.do, args=(lambda: done.append(1), 1))
        bringing.start()
        assert worker.waiting_bytes == 30, "it is not taken"
        stall.end()
        bringing.join(LONG)
        worker.drain()
        assert done == [1]


def test_what_fails_is_told_once_and_what_is_behind_it_forgotten() -> None:
    stall, done = Stall(), list[int]()

    def refuse() -> None:
        raise OSError(28, "No space left on device")

    with running(patience=0.01) as worker:
        worker.do(stall)
        worker.do(refuse)
        worker.do(lambda: done.append(1), 10)
        stall.end()
        with pytest.raises(OSError, match="No space"):
            worker.drain()
        assert worker.waiting_bytes == 0
        worker.do(lambda: done.append(2))
        worker.drain()
        assert done == [2]


def test_what_nobody_meant_to_happen_is_not_hidden() -> None:
    done: list[float] = []
    with running(patience=LONG) as worker, pytest.raises(ZeroDivisionError):
        worker.do(lambda: done.append(1 / 0))
