"""The status socket: who asks gets an answer, whatever the others who ask do."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_mqtt_status import camera, counted, facts

from edgecam.clock import SystemClock
from edgecam.errors import DeviceError
from edgecam.health.asking import SOCKET, NoAnswer, NotAllowed, NotRunning, ask, asked_socket, service_socket
from edgecam.health.board import UNDER_VOLTAGE, Board
from edgecam.health.facts import BoardFacts, Facts, StorageFacts
from edgecam.health.processes import own_processes
from edgecam.health.report import Report
from edgecam.health.server import CLIENT_TIMEOUT, CLIENTS, StatusServer
from edgecam.ports import Clock
from edgecam.testing import ManualClock

LIMIT = 30.0


@contextmanager
def serving(path: Path, gather: Callable[[], Facts], clock: Clock | None = None) -> Iterator[StatusServer]:
    """A server at work in its own thread."""
    server = StatusServer(path, gather, clock or SystemClock())
    server.start()
    try:
        yield server
    finally:
        assert server.stop_within(LIMIT) is None


def listens(path: Path) -> None:
    """Wait until somebody listens."""
    for _ in range(1000):
        try:
            ask(path, LIMIT)
        except NotRunning:
            threading.Event().wait(0.01)
        else:
            return
    pytest.fail(f"nobody listens at {path}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "status.sock"


@pytest.fixture
def still(tmp_path: Path, path: Path) -> Iterator[tuple[StatusServer, ManualClock]]:
    """A server without a thread, that takes a turn when it is told, and its clock."""
    clock = ManualClock()
    server = StatusServer(path, lambda: facts(tmp_path), clock)
    server.step()
    yield server, clock
    server.teardown()


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(LIMIT)
    client.connect(str(path))
    return client


def everything(client: socket.socket) -> bytes:
    """All that it is sent until the end."""
    said = b""
    while part := client.recv(65536):
        said += part
    return said


def test_who_asks_is_told(tmp_path: Path, path: Path) -> None:
    with serving(path, lambda: facts(tmp_path)):
        listens(path)
        document = ask(path)
    assert set(document) == {"status", "stats", "storage", "board", "process"}
    assert document["status"]["status"] == "ok"
    assert document["stats"]["cameras"]["front"]["latencies"]["event"]["p99"] is None
    assert document["process"]["processes"][0]["pid"] == document["process"]["pid"]
    assert {"edgecam", "python", "runtime", "numpy", "kernel"} <= set(document["process"]["versions"])
    assert not path.exists(), "it is gone with the server"


def test_owner_and_group_may_ask(still: tuple[StatusServer, ManualClock], path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o660


def test_several_at_once_and_slow_ones_cost_nobody_else(
    still: tuple[StatusServer, ManualClock], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, clock = still
    monkeypatch.setattr(server, "_current", lambda _now: json.dumps({"status": "x" * 3_000_000}).encode())
    with closing(connected(path)) as slow, closing(connected(path)) as quick:
        server.step()
        server.step()
        quick.setblocking(False)
        taken = b""
        while len(taken) < 3_000_000:
            server.step()
            taken += quick.recv(1 << 20)
        assert json.loads(taken)["status"][-1] == "x"
        clock.advance(CLIENT_TIMEOUT)
        server.step()
        assert 0 < len(everything(slow)) < 3_000_000, "sent away with what it had"


def test_who_hangs_up_or_says_something_does_no_harm(still: tuple[StatusServer, ManualClock], path: Path) -> None:
    server, _ = still
    connected(path).close()
    server.step()
    with closing(connected(path)) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        server.step()
        assert json.loads(everything(client))["status"]["status"] == "ok"


def test_a_crowd_is_sent_away(
    still: tuple[StatusServer, ManualClock], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = still
    monkeypatch.setattr(server, "_current", lambda _now: b"x" * 3_000_000)
    clients = [connected(path) for _ in range(CLIENTS)]
    for _ in clients:
        server.step()
    with closing(connected(path)) as late:
        server.step()
        assert everything(late) == b""
    for client in clients:
        client.close()


def test_many_who_ask_at_once_cost_no_more_than_one(tmp_path: Path, path: Path) -> None:
    asked, clock = [0], ManualClock()

    def gather() -> Facts:
        asked[0] += 1
        return facts(tmp_path)

    server = StatusServer(path, gather, clock)
    server.listen()
    for _ in range(5):
        with closing(connected(path)) as client:
            server.serve()
            assert everything(client)
    assert asked[0] == 2, "one for all of them, and one to know of rates"
    clock.advance(1.0)
    with closing(connected(path)):
        server.serve()
    assert asked[0] == 3
    server.close()


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    with serving(path, lambda: facts(tmp_path)):
        listens(path)
        second = StatusServer(path, lambda: facts(tmp_path), ManualClock())
        second.stopping.set()
        second.step()
        assert second.trouble == f"the status socket {path}: another edgecam answers there: see [status] socket"
        second.teardown()
        assert ask(path)["status"]["status"] == "ok", "the first one has kept it"


def test_another_file_is_left_alone(tmp_path: Path, path: Path) -> None:
    path.write_text("precious")
    server = StatusServer(path, lambda: facts(tmp_path), ManualClock())
    with pytest.raises(DeviceError, match="another file lies there"):
        server.listen()
    server.close()
    assert path.read_text() == "precious"


def test_it_tries_again_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, path = ManualClock(), tmp_path / "run" / "status.sock"
    server = StatusServer(path, lambda: facts(tmp_path), clock)
    server.stopping.set()  # it waits for nothing
    for _ in range(5):
        server.step()
        clock.advance(30.0)
    assert server.trouble == f"the status socket {path}: No such file or directory: see [status] socket"
    assert len(caplog.records) == 1
    path.parent.mkdir()
    server.step()
    assert server.trouble == ""
    assert caplog.records[-1].getMessage() == "status: listening after 150 s"
    server.teardown()


class TestAsking:
    """What keeps one from an answer, and the remedy."""

    def test_nobody_there(self, path: Path) -> None:
        with pytest.raises(NotRunning, match=r"edgecam is not running .*systemctl start edgecam"):
            ask(path)

    def test_a_socket_that_was_left_behind(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as crashed:
            crashed.bind(str(path))
        with pytest.raises(NotRunning):
            ask(path)

    def test_no_permission(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        with pytest.raises(NotAllowed, match="usermod -aG edgecam"):
            ask(path)

    @pytest.mark.parametrize(
        ("answer", "complaint"),
        [(b"", "that can be read"), (b'{"sta', "that can be read"), (b"[1]", "that is edgecam's"), (None, "within")],
    )
    def test_no_answer(self, path: Path, answer: bytes | None, complaint: str) -> None:
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen()

            def answers() -> None:
                client, _ = other.accept()
                if answer is not None:
                    client.sendall(answer)
                    client.close()
                silent.append(client)

            silent: list[socket.socket] = []
            thread = threading.Thread(target=answers)
            thread.start()
            with pytest.raises(NoAnswer, match=complaint):
                ask(path, 0.2 if answer is None else LIMIT)
            thread.join()
            silent[0].close()

    def test_where_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
        assert (service_socket(), asked_socket()) == (None, SOCKET)
        assert service_socket("/run/mine.sock") == asked_socket("/run/mine.sock") == Path("/run/mine.sock")
        monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/edgecam:/run/other")
        assert service_socket() == Path("/run/edgecam/status.sock")


def test_rates_are_right_however_often_somebody_asks(tmp_path: Path) -> None:
    clock, frames = ManualClock(), [0]
    report = Report(lambda: facts(tmp_path, front=camera(counters=counted(frames[0]))), clock)
    for second in range(1, 31):
        clock.advance(1.0)
        frames[0] = 30 * second
        if second % 5 == 0:
            report.note()
        for _ in range(3):
            document = report.document()
        assert document["stats"]["cameras"]["front"]["fps"]["captured"] == 30.0
    assert 10.0 <= document["stats"]["interval"] <= 15.0


def test_the_rest_of_the_document(tmp_path: Path) -> None:
    clock = ManualClock()
    clock.advance(60.0)
    board = BoardFacts(
        Board("Raspberry Pi 5", (UNDER_VOLTAGE,), (UNDER_VOLTAGE,), 50.0, watched=True),
        suffers={UNDER_VOLTAGE: 30.0},
        episodes={UNDER_VOLTAGE: 2},
        beside={"front": "under-voltage 2 s before"},
    )
    storage = StorageFacts(written_bytes=5, written_per_day=7)
    lost = camera(detector_lost_since=32.0)
    report = Report(lambda: replace(facts(tmp_path, front=lost), board=board, storage=storage), clock)
    document = report.document()
    zero = clock.wall(0.0).timestamp()
    assert document["board"]["throttled"] == {UNDER_VOLTAGE: zero + 30}
    assert document["board"]["beside_losses"] == {"front": "under-voltage 2 s before"}
    assert document["status"]["board"]["throttled"] == [UNDER_VOLTAGE]
    assert document["status"]["reasons"][0] == "front: the detector is lost (under-voltage 2 s before)"
    assert document["status"]["reasons"][1].startswith("the board: under-voltage: use the power supply")
    assert document["stats"]["storage"]["written_per_day"] == document["storage"]["written_per_day"] == 7
    json.dumps(document, allow_nan=False)


class TestProcesses:
    """Which processes are edgecam's."""

    def write(self, proc: Path, pid: int, parent: int, name: str, ticks: int = 100, pages: int = 10) -> None:
        (proc / str(pid)).mkdir(parents=True)
        rest = f"S {parent} 1 1 0 -1 4194304 0 0 0 0 {ticks} {ticks} {ticks} {ticks} 20 0 3 0 99 1000 {pages} 184467"
        (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {rest}\n")

    def test_children_and_their_children_count(self, tmp_path: Path) -> None:
        self.write(tmp_path, 10, 1, "edgecam")
        self.write(tmp_path, 30, 20, "grand (child) 1 2")
        self.write(tmp_path, 20, 10, "python3", ticks=50)
        self.write(tmp_path, 11, 1, "somebody else")
        (tmp_path / "12").mkdir()
        (tmp_path / "self").mkdir()
        found = own_processes(10, tmp_path)
        assert [(each.pid, each.name) for each in found] == [
            (10, "edgecam"),
            (20, "python3"),
            (30, "grand (child) 1 2"),
        ]
        assert found[1].cpu == found[0].cpu / 2
        assert found[0].threads == 3

    def test_it_finds_itself(self) -> None:
        found = own_processes()
        assert found[0].rss_bytes > 10_000_000
        assert found[0].cpu > 0

    def test_nothing_is_known_without_proc(self, tmp_path: Path) -> None:
        assert own_processes(1, tmp_path / "gone") == []
