"""What other threads want the main thread to do."""

from __future__ import annotations

import threading

import pytest

from edgecam.errands import Errands
from edgecam.errors import ConfigError, EdgecamError

LIMIT = 10.0


def asked(errands: Errands, *, fault: bool) -> list[object]:
    """What another thread gets for an errand that this one runs."""
    got: list[object] = []

    def act() -> str:
        if fault:
            raise ConfigError("no such key")
        return threading.current_thread().name

    def ask() -> None:
        try:
            got.append(errands.ask(act, LIMIT))
        except ConfigError as error:
            got.append(error)

    other = threading.Thread(target=ask, name="other")
    other.start()
    while other.is_alive():
        errands.run()
        other.join(0.01)
    return got


def test_it_is_done_by_the_thread_that_runs_them_and_answered_to_the_one_that_asked() -> None:
    assert asked(Errands(lambda: None), fault=False) == [threading.current_thread().name]


def test_a_fault_goes_to_who_asked_and_to_nobody_else() -> None:
    (error,) = asked(Errands(lambda: None), fault=True)
    assert isinstance(error, ConfigError)


def test_who_gave_up_waiting_does_not_have_it_done_later() -> None:
    woken, done = [], []
    errands = Errands(lambda: woken.append(True))
    with pytest.raises(EdgecamError, match="busy"):
        errands.ask(lambda: done.append(True), timeout=0.0)
    errands.run()
    assert woken
    assert not done
