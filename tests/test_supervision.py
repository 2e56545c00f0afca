"""Who hangs, and who only seems to."""

from __future__ import annotations

import logging
import threading

import pytest

from edgecam.housekeeping import HousekeepingWorker
from edgecam.supervision import Supervision, whereabouts
from edgecam.worker import Worker


class Puppet(Worker):
    """A worker whose life is told."""

    alive = True

    def __init__(self, name: str = "capture-front") -> None:
        super().__init__(name, lambda: None)
        self.beat = 100.0
        self.camera = "front"

    def is_alive(self) -> bool:
        return self.alive


def watch(supervision: Supervision, start: float, seconds: float, step: float = 0.5) -> bool:
    """Look again and again; what the last look said."""
    fine = supervision.look(start)
    for turn in range(1, round(seconds / step) + 1):
        fine = supervision.look(start + turn * step)
    return fine


def test_a_worker_hangs_beyond_its_limit_and_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    still, lively = Puppet(), Puppet("detect-front")
    supervision = Supervision([still, lively])
    now = 1000.0
    for turn in range(41):
        lively.beat = now + turn / 2
        assert supervision.look(now + turn / 2), turn
    lively.beat += 1
    assert not supervision.look(now + 20.5)
    assert not supervision.look(now + 21.0)
    assert supervision.hung == ["capture-front"]
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.CRITICAL
    assert "capture-front hangs: no sign of life for 20.5 s" in caplog.text
    assert (caplog.records[0].camera, caplog.records[0].worker) == ("front", "capture-front")  # type: ignore[attr-defined]

    still.beat += 1
    lively.beat += 1
    assert supervision.look(now + 21.5)
    assert supervision.hung == []
    assert "capture-front goes on after 21.0 s" in caplog.text


def test_a_process_that_stood_still_has_not_hung() -> None:
    supervision = Supervision([Puppet()])
    supervision.look(0.0)
    assert supervision.look(3600.0)
    assert watch(supervision, 3600.0, 18.0)
    assert not watch(supervision, 3618.0, 2.0)


def test_a_thread_that_has_ended_or_never_began_does_not_hang() -> None:
    worker = Puppet()
    worker.alive = False
    assert watch(Supervision([worker]), 0.0, 60.0)


def test_what_takes_longer_may_say_so() -> None:
    worker = Puppet()
    supervision = Supervision([worker])
    with worker.allowing(60.0):
        assert watch(supervision, 0.0, 50.0)
        with worker.allowing(5.0):
            assert not watch(supervision, 50.0, 6.0)
        assert worker.beat_limit == 60.0
    assert worker.beat_limit == Worker.turn_limit
    assert supervision.look(57.0), "the end of it is a sign of life"


def test_housekeeping_may_take_its_time() -> None:
    assert HousekeepingWorker.turn_limit >= 60


def test_a_hung_thread_is_found_where_it_stands() -> None:
    release = threading.Event()

    class Hanging(Worker):
        def step(self) -> None:
            release.wait(60.0)
            self.stopping.set()

    worker = Hanging("capture-front", lambda: None)
    assert whereabouts(worker) == "not running"
    worker.start()
    worker.ready.wait(60.0)
    while "wait (" not in (place := whereabouts(worker)):
        pass
    assert "threading.py:" in place
    assert "from run (edgecam/worker.py:" in place
    assert "\n" not in place
    release.set()
    worker.join_within(10.0)


def test_a_change_is_made_between_two_turns() -> None:
    class Turning(Worker):
        turns = 0
        left = 3

        def step(self) -> None:
            self.turns += 1
            if self.turns == self.left:
                self.stopping.set()

    worker = Turning("turning", lambda: None)
    worker.between_turns(lambda: setattr(worker, "left", 5))
    worker.start()
    worker.join_within(10.0)
    assert worker.turns == 5
