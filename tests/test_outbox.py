"""The outbox hands on what was recorded, in order, and gives up only what it may."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_journal import document

from edgecam.clock import SystemClock
from edgecam.errors import SinkError
from edgecam.journal import Journal
from edgecam.outbox import TRIMMED_AT_ONCE, Moment, Outbox, moment, put
from edgecam.ports import Clock

HOUR = 3600.0
WEEK = 7 * 24 * HOUR


class SteppedClock(Clock):
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.offset = 1_767_225_600.0
        self.right = True

    def monotonic(self) -> float:
        return self.now

    def wall(self, timestamp: float) -> datetime:
        return datetime.fromtimestamp(timestamp + self.offset, UTC)

    def synced(self) -> bool:
        return self.right

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "edgecam.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    with Journal(path), Outbox(path) as opened:
        yield opened


def at(monotonic: float, *, boot: str = "now", wall: float | None = None, synced: bool = True) -> Moment:
    return Moment(boot, monotonic, 1e9 + monotonic if wall is None else wall, synced)


def fill(path: Path, *moments: Moment) -> None:
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("BEGIN")
        for number, each in enumerate(moments):
            put(connection, f'{{"n":{number}}}', each)
        connection.execute("COMMIT")
    connection.close()


def sequences(outbox: Outbox, after: int = 0) -> list[int]:
    return [each.sequence for each in outbox.pending(after, 1_000_000)]


def test_messages_come_in_order_and_go_when_acknowledged(outbox: Outbox, path: Path) -> None:
    fill(path, *(at(number) for number in range(5)))
    assert [(each.sequence, each.payload) for each in outbox.pending(0, 2)] == [(1, '{"n":0}'), (2, '{"n":1}')]
    assert outbox.pending(2, 1)[0].recorded == at(2)
    outbox.acknowledge([1, 3, 99])
    assert (sequences(outbox), outbox.length()) == ([2, 4, 5], 3)


def test_the_numbers_never_start_again(outbox: Outbox, path: Path) -> None:
    fill(path, at(1), at(2))
    outbox.acknowledge([1, 2])
    fill(path, at(3))
    assert sequences(outbox) == [3]
    outbox.close()
    outbox.open()
    outbox.acknowledge([3])
    fill(path, at(4))
    assert sequences(outbox) == [4]


def test_the_oldest_beyond_the_count_are_given_up_and_the_loss_is_remembered(outbox: Outbox, path: Path) -> None:
    fill(path, *(at(number) for number in range(20)))
    assert outbox.trim(at(30), messages=15, age=WEEK) == 5
    assert (sequences(outbox)[0], outbox.length(), outbox.lost()) == (6, 15, 5)
    assert outbox.trim(at(30), messages=15, age=WEEK) == 0
    assert outbox.trim(at(30), messages=10, age=WEEK, after=8) == 5
    assert sequences(outbox)[:4] == [6, 7, 8, 14]
    with Outbox(path) as again:
        assert again.lost() == 10


def test_the_oldest_beyond_the_age_are_given_up(outbox: Outbox, path: Path) -> None:
    fill(path, at(0), at(100), at(200))
    assert outbox.trim(at(HOUR + 150), messages=100, age=HOUR) == 2
    assert (sequences(outbox), outbox.lost()) == ([3], 2)


def test_no_trim_takes_long(outbox: Outbox, path: Path) -> None:
    fill(path, *(at(number) for number in range(TRIMMED_AT_ONCE + 10)))
    assert outbox.trim(at(0), messages=0, age=WEEK) == TRIMMED_AT_ONCE
    assert outbox.trim(at(0), messages=0, age=WEEK) == 10
    assert outbox.lost() == TRIMMED_AT_ONCE + 10


def test_a_step_of_the_clock_makes_nothing_old(outbox: Outbox, path: Path) -> None:
    """Within one boot the wall clock does not count."""
    fill(path, at(0), at(10, wall=0.0), at(20, wall=9e9))
    for wall in (0.0, 1e9, 9e9):
        assert outbox.trim(at(30, wall=wall), messages=100, age=60) == 0
    assert outbox.trim(at(75, wall=0.0), messages=100, age=60) == 2


def test_what_was_recorded_before_the_first_sync_has_no_age_until_then(outbox: Outbox, path: Path) -> None:
    fill(path, at(500, boot="first", wall=5e8, synced=False), at(600, boot="second", wall=5e8, synced=False))
    unsynced = at(10, boot="third", wall=4e9, synced=False)
    assert outbox.trim(unsynced, messages=100, age=60) == 0
    synced = at(10, boot="third", wall=2e9)
    assert outbox.trim(synced, messages=100, age=60) == 0
    known = [each.recorded.wall for each in outbox.pending(0, 10)]
    assert known == [2e9 - 10] * 2, "recorded at the latest before the machine started"
    assert outbox.trim(at(60, boot="fourth", wall=2e9 + 51), messages=100, age=60) == 2


def test_the_first_sync_dates_what_was_recorded_since_the_start(outbox: Outbox, path: Path) -> None:
    fill(path, at(100, wall=0.0, synced=False))
    outbox.trim(at(130, wall=2e9), messages=100, age=60)
    assert outbox.pending(0, 1)[0].recorded == at(100, wall=2e9 - 30)


def test_a_young_message_with_an_older_one_behind_it_is_old_as_well(outbox: Outbox, path: Path) -> None:
    """They were recorded in that order, so the age of the first, which is not known, cannot be less."""
    fill(path, at(0, boot="before", synced=False), at(0), at(90))
    assert outbox.trim(at(100, synced=False), messages=100, age=60) == 2


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(-HOUR, HOUR), st.booleans(), st.sampled_from(["this", "that"]))
def test_an_age_is_right_or_unknown(recorded: float, later: float, step: float, synced: bool, boot: str) -> None:  # noqa: FBT001
    then = Moment("this", recorded, 1e9 + recorded, synced)
    now = Moment(boot, recorded + later, 1e9 + recorded + later + step, synced=True)
    age = then.age(now)
    if boot == "this":
        assert age == pytest.approx(later, abs=1e-6)
    else:
        assert (age is None) == (not synced)
        assert age is None or 0 <= age == pytest.approx(max(0.0, later + step), abs=1e-6)


def test_a_moment_names_the_boot_and_both_clocks() -> None:
    now, later = moment(SystemClock()), moment(SystemClock())
    assert now.boot == later.boot != ""
    assert 0 <= (now.age(later) or 0.0) < 60


def test_the_journal_dates_messages_by_its_clock(path: Path) -> None:
    clock = SteppedClock()
    with Journal(path, outbox=True, clock=clock) as journal, Outbox(path) as outbox:
        journal.record(document())
        clock.sleep(60)
        clock.offset -= HOUR
        clock.right = False
        journal.record(document(type="update"))
        first, second = (each.recorded for each in outbox.pending(0, 2))
    assert first.age(second) == 60
    assert (first.synced, second.synced) == (True, False)
    assert second.wall - first.wall == 60 - HOUR


def test_who_records_waits_for_the_publisher_and_the_publisher_not_for_long(path: Path) -> None:
    with Journal(path, outbox=True) as journal, Outbox(path) as outbox:
        journal.record(document())
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SinkError, match="in use by another program"):
            outbox.acknowledge([1])
        assert sequences(outbox) == [1], "reading goes on"
        other.execute("ROLLBACK")
        other.close()
        outbox.acknowledge([1])
        assert outbox.length() == 0


def test_an_outbox_cannot_be_without_its_journal(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot be opened"):
        Outbox(tmp_path / "edgecam.db").open()
    (tmp_path / "foreign.db").write_bytes(b"Dear diary, " * 500)
    with pytest.raises(SinkError, match="damaged, or no database"):
        Outbox(tmp_path / "foreign.db").open()
    with sqlite3.connect(tmp_path / "recipes.db") as foreign:
        foreign.execute("CREATE TABLE recipes (name TEXT)")
    foreign.close()
    with pytest.raises(SinkError, match="not a journal of edgecam"):
        Outbox(tmp_path / "recipes.db").open()
    assert not (tmp_path / "edgecam.db").exists()


def test_a_closed_outbox_says_so(outbox: Outbox) -> None:
    outbox.close()
    outbox.close()
    with pytest.raises(SinkError, match="not open"):
        outbox.length()
