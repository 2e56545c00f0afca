"""The spool: nothing lost and all in order, however it hears of messages; and on a file that fails: said once, tried
ever more seldom, and said once when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_journal import document

from edgecam.errors import SinkError
from edgecam.journal import Journal
from edgecam.outbox import Moment, Outbox, OutboxMessage
from edgecam.spool import OFFERED, Spool

pytestmark = pytest.mark.any_runtime

HOUR = 3600


class OutboxOnABadDisk(Outbox):
    """Can be read, and cannot be written to while `bad`."""

    bad = True
    tries = 0

    def acknowledge(self, sequences: Iterable[int]) -> None:
        self.tries += 1
        if self.bad:
            raise SinkError("the disk is read-only")
        super().acknowledge(sequences)


def moment(second: float) -> Moment:
    return Moment("boot", second, 1e9 + second, synced=True)


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxOnABadDisk:
    with Journal(tmp_path / "edgecam.db", outbox=True) as journal:
        journal.record(document())
    return OutboxOnABadDisk(tmp_path / "edgecam.db")


@pytest.fixture
def spool(outbox: OutboxOnABadDisk) -> Iterator[Spool]:
    """One whose only message was sent and taken."""
    spool = Spool(outbox, messages=100, age=1e6)
    (message,) = spool.due(moment(0), 10)
    spool.acknowledged(message.sequence, 0.0)
    yield spool
    spool.close(moment(9 * HOUR))


def test_a_disk_that_can_only_be_read_is_said_once_and_tried_ever_more_seldom(
    spool: Spool, outbox: OutboxOnABadDisk, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(1, HOUR):
        spool.ask()
        spool.due(moment(second), 10)
        spool.upkeep(moment(second))
        assert spool.fault == "the disk is read-only"
    assert [record.getMessage() for record in caplog.records] == ["the disk is read-only"]
    assert outbox.tries < HOUR / 25


def test_a_disk_that_can_be_written_to_again_is_said_once(
    spool: Spool, outbox: OutboxOnABadDisk, caplog: pytest.LogCaptureFixture
) -> None:
    spool.upkeep(moment(1))
    outbox.bad = False
    for second in range(2, 100):
        spool.upkeep(moment(second))
    assert (spool.fault, outbox.length()) == ("", 0)
    assert [record.getMessage() for record in caplog.records][1:] == ["the outbox can be used again, after 1.0 s"]


class CountingOutbox(Outbox):
    """Counts how often it is asked what comes."""

    questions = 0

    def pending(self, after: int, limit: int) -> list[OutboxMessage]:
        self.questions += 1
        return super().pending(after, limit)


class Bench:
    """A journal, a spool, and a broker that is the test: what was sent on this connection, and what it has taken."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path, outbox=True)
        self.journal.open()
        self.outbox = CountingOutbox(path)
        self.spool = Spool(self.outbox, messages=1000, age=1e6)
        self.held: list[OutboxMessage] = []
        self.under_way: list[int] = []
        self.in_order: list[int] = []
        self.taken: list[int] = []
        self.now = 0.0

    def record(self, count: int = 1) -> list[OutboxMessage]:
        return self.journal.record_all((document(type="update"), None) for _ in range(count))

    def send(self, room: int) -> list[int]:
        self.now += 1.0
        sent = [message.sequence for message in self.spool.due(moment(self.now), room)]
        self.under_way += sent
        self.in_order += sent
        return sent

    def act(self, action: str, number: int) -> None:
        if action == "record and offer":
            self.spool.offer(self.record(number))
        elif action == "record and hold back":
            self.held += self.record(number)
        elif action == "offer what was held back":
            self.spool.offer(reversed(self.held[:number]) if number % 2 else self.held[:number])
            del self.held[:number]
        elif action == "record and ask":
            self.record(number)
            self.spool.ask()
        elif action == "send":
            sent = self.send(number)
            assert sent == sorted(sent)
            assert len(set(self.under_way)) == len(self.under_way)
            assert self.in_order == sorted(self.in_order)
        elif action == "take" and self.under_way:
            sequence = self.under_way.pop(number % len(self.under_way))
            self.spool.acknowledged(sequence, self.now)
            assert sequence not in self.taken
            self.taken.append(sequence)
        elif action == "refuse" and self.under_way:
            self.spool.refused(self.under_way.pop(number % len(self.under_way)), "no", self.now)
            self.now += 100.0
            self.in_order = []
        elif action == "connect again":
            self.spool.begin()
            self.under_way, self.in_order = [], []
        elif action == "upkeep":
            self.now += 5.0
            self.spool.upkeep(moment(self.now))

    def close(self) -> None:
        self.spool.close(moment(self.now))
        self.journal.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "edgecam.db")
    made.spool.begin()
    yield made
    made.close()


def test_what_is_offered_in_order_need_not_be_read(bench: Bench) -> None:
    bench.spool.offer(bench.record())
    assert bench.send(10) == [1]
    asked = bench.outbox.questions
    for sequence in range(2, 20, 2):
        bench.spool.offer(bench.record(2))
        assert bench.send(10) == [sequence, sequence + 1]
        assert bench.send(10) == []
    assert bench.outbox.questions == asked


def test_where_one_is_missing_or_comes_late_the_outbox_says_what_comes(bench: Bench) -> None:
    bench.spool.offer(bench.record())
    assert bench.send(10) == [1]
    of_one_camera, of_another = bench.record(), bench.record()
    bench.spool.offer(of_another)
    assert bench.send(10) == [2, 3]
    bench.spool.offer(of_one_camera)
    assert bench.send(10) == []
    bench.spool.offer(bench.record())
    assert bench.send(10) == [4]


def test_a_burst_is_bounded_in_memory_and_comes_from_the_outbox(bench: Bench) -> None:
    bench.spool.offer(bench.record())
    assert bench.send(10) == [1]
    bench.spool.offer(bench.record(OFFERED + 20))
    assert [*bench.send(50), *bench.send(50), *bench.send(50)] == list(range(2, OFFERED + 22))


def test_what_was_given_up_is_not_sent_though_it_was_offered(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "edgecam.db")
    bench.spool = Spool(bench.outbox, messages=1, age=1e6)
    bench.spool.offer(bench.record())
    assert bench.send(10) == [1]
    bench.spool.offer(bench.record(9))
    bench.spool.upkeep(moment(2.0))
    assert (bench.spool.lost, bench.send(10)) == (9, [])
    bench.close()


ACTIONS = (
    "record and offer",
    "record and offer",
    "record and hold back",
    "offer what was held back",
    "record and ask",
    "send",
    "send",
    "take",
    "take",
    "refuse",
    "connect again",
    "upkeep",
)


def test_what_is_on_its_way_is_not_sent_again_because_one_before_it_was_refused(bench: Bench) -> None:
    bench.spool.offer(bench.record(3))
    assert bench.send(10) == [1, 2, 3]
    bench.spool.refused(1, "no", bench.now)
    bench.spool.acknowledged(3, bench.now)
    assert bench.send(10) == [1]
    bench.spool.acknowledged(2, bench.now)
    bench.spool.acknowledged(1, bench.now)
    assert bench.send(10) == []


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(1, 4)), max_size=40))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_each_message_is_taken_once_and_none_is_lost(actions: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "edgecam.db")
        bench.spool.begin()
        for action, number in actions:
            bench.act(action, number)
        bench.spool.offer(bench.held)
        for _ in range(100):
            bench.act("upkeep", 1)
            bench.act("send", 50)
            while bench.under_way:
                bench.act("take", 0)
        recorded = bench.journal._opened.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchall()
        assert sorted(bench.taken) == list(range(1, (recorded[0][0] if recorded else 0) + 1))
        bench.close()
        with bench.outbox as left:
            assert left.length() == 0
