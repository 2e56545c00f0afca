"""The life of a thread: setup, steps, teardown, and what happens when one of them fails."""

from __future__ import annotations

import threading

import pytest

from edgecam.backoff import Backoff
from edgecam.errors import DeviceError, EndOfStream, WorkerStuck
from edgecam.worker import Worker


class Counting(Worker):
    """Ends by itself after three turns."""

    def __init__(self, fails_in: str = "", error: Exception | None = None) -> None:
        self.exits = 0
        super().__init__("counting", self._count_exit)
        self.calls: list[str] = []
        self.fails_in = fails_in
        self.error = error or ZeroDivisionError("a bug")

    def _count_exit(self) -> None:
        self.exits += 1

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call == self.fails_in:
            raise self.error

    def setup(self) -> None:
        self._note("setup")

    def step(self) -> None:
        self._note("step")
        if self.calls.count("step") == 3:
            raise EndOfStream

    def teardown(self) -> None:
        self._note("teardown")


def run_to_end(worker: Worker) -> None:
    worker.start()
    worker.join_within(10.0)


def test_a_worker_that_is_done_ends_without_fault() -> None:
    worker = Counting()
    run_to_end(worker)
    assert worker.calls == ["setup", "step", "step", "step", "teardown"]
    assert worker.fault is None
    assert worker.exits == 1


@pytest.mark.parametrize("where", ["setup", "step", "teardown"])
def test_a_fault_is_kept_and_everything_is_released(where: str) -> None:
    worker = Counting(fails_in=where)
    run_to_end(worker)
    assert isinstance(worker.fault, ZeroDivisionError)
    assert worker.calls[-1] == "teardown"
    assert worker.ready.is_set(), "whoever waits for the start must not wait for ever"
    assert worker.exits == 1


def test_a_stuck_worker_is_named() -> None:
    release = threading.Event()

    class Stuck(Worker):
        def step(self) -> None:
            release.wait(60.0)

    worker = Stuck("camera-thread", lambda: None)
    worker.start()
    with pytest.raises(WorkerStuck, match="camera-thread is stuck"):
        worker.join_within(0.0)
    worker.stopping.set()
    release.set()
    worker.join_within(10.0)


def test_a_slow_worker_that_makes_progress_is_waited_for() -> None:
    turns = threading.Semaphore(0)

    class Slow(Worker):
        """Takes more turns than the limit has seconds, each well within it."""

        left = 5

        def step(self) -> None:
            turns.acquire(timeout=0.3)
            self.left -= 1
            if not self.left:
                raise EndOfStream

    worker = Slow("slow", lambda: None)
    worker.start()
    worker.join_within(1.0)
    assert worker.left == 0


def test_a_worker_never_started_need_not_be_waited_for() -> None:
    Counting().join_within(0.0)


def test_the_wait_doubles_up_to_its_limit_and_success_forgets() -> None:
    backoff = Backoff(first=1.0, limit=30.0)
    now = 100.0
    waits = []
    for _ in range(7):
        waits.append(backoff.failed(now))
        assert backoff.remaining(now) == waits[-1]
        now += waits[-1]
        assert backoff.remaining(now) == 0
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert backoff.succeeded(now) == now - 100.0
    assert backoff.since is None
    assert backoff.failed(now) == 1.0


def test_a_device_error_is_an_oserror() -> None:
    assert issubclass(DeviceError, OSError)
