"""`edgecam run` whose disk refuses at its start: a service waits for it, a person is told."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from disk_rig import mounted, unmount
from notify_socket import NotifySocket, statuses
from test_disk_trouble import fill
from test_service import Run

from edgecam.app import App
from edgecam.clock import SystemClock
from edgecam.errors import SinkError
from edgecam.journal import Journal
from edgecam.journal_faults import may_pass
from edgecam.service import Service
from edgecam.sinks.faults import sink_error
from edgecam.systemd import Notifier

pytestmark = pytest.mark.any_runtime


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[NotifySocket]:
    made = NotifySocket(tmp_path)
    yield made
    made.close()


class Start:
    """Fails with each of these, one after the other, and then no more."""

    def __init__(self, *errors: SinkError) -> None:
        self.errors = list(errors)

    def __call__(self) -> None:
        if self.errors:
            raise self.errors.pop(0)


def refusal(number: int) -> SinkError:
    error = OSError(number, "no")
    made = sink_error(Path("/data/x"), error)
    made.__cause__ = error
    return made


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecam.service.RETRY_LIMIT", 0.01)


def insist(start: Start, environment: dict[str, str]) -> None:
    notifier = Notifier(environment)
    try:
        Service(App([], threading.Event()), notifier, SystemClock()).insist(start)
    finally:
        notifier.close()


def test_a_service_waits_until_the_disk_takes_it(systemd: NotifySocket, caplog: pytest.LogCaptureFixture) -> None:
    start = Start(*(refusal(number) for number in (errno.ENOSPC, errno.ENOSPC, errno.EROFS)))
    insist(start, systemd.environment)
    assert not start.errors
    told = systemd.listen()
    assert told.count("EXTEND_TIMEOUT_USEC=30000000") == 3
    full, read_only = statuses(told)
    assert full == "waiting for the disk: /data/x: cannot write: the disk is full: free some space"
    assert "read-only" in read_only
    assert len(caplog.records) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_person_is_told_at_once(number: int) -> None:
    with pytest.raises(SinkError, match="/data/x"):
        insist(Start(refusal(number)), {})


def test_what_does_not_pass_ends_a_service(systemd: NotifySocket) -> None:
    for error in (refusal(errno.EACCES), SinkError("is of schema 99")):
        with pytest.raises(SinkError):
            insist(Start(error), systemd.environment)


def test_a_file_that_is_no_journal_does_not_pass(tmp_path: Path) -> None:
    (tmp_path / "edgecam.db").write_bytes(b"no database at all" * 500)
    with pytest.raises(SinkError) as caught:
        Journal(tmp_path / "edgecam.db").open()
    assert not may_pass(caught.value)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("before", ["no journal yet", "an orderly stop"])
def test_a_real_run_starts_as_soon_as_there_is_room(tmp_path: Path, before: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    mounted("-t", "tmpfs", "-o", "size=32m", "edgecam-test", data)
    try:
        if before == "an orderly stop":
            with Journal(data / "edgecam.db"):
                pass
        filling = fill(data)
        run = Run(tmp_path)
        try:
            refused = run.systemd.wait_for("STATUS=waiting for the disk: ")
            assert run.systemd.told[refused].endswith("edgecam.db: the disk is full: free some space")
            run.systemd.wait_for("EXTEND_TIMEOUT_USEC=", after=refused)
            run.systemd.wait_for("EXTEND_TIMEOUT_USEC=", after=len(run.systemd.told))
            assert run.process.poll() is None
            assert "; the start waits for it" in run.logged()
            filling.unlink()
            run.systemd.wait_for("READY=1")
        finally:
            run.end()
    finally:
        unmount(data)
