"""The spool on a file that fails: said once, tried ever more seldom, and said once when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from test_journal import document

from edgecam.errors import SinkError
from edgecam.journal import Journal
from edgecam.outbox import Moment, Outbox
from edgecam.spool import Spool

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
