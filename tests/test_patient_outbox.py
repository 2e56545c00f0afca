"""Who publishes never waits for long for a disk, and loses nothing by not waiting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hanging_outbox import HangingOutbox
from test_journal import document
from test_spool import moment

from edgecam.errors import SinkError
from edgecam.journal import Journal
from edgecam.outbox import Outbox, OutboxStalled
from edgecam.patient_outbox import PatientOutbox
from edgecam.spool import Spool

pytestmark = pytest.mark.any_runtime

SOON = 0.05
LONG = 60.0


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[HangingOutbox]:
    """With three messages; it does not hang yet."""
    with Journal(tmp_path / "edgecam.db", outbox=True) as journal:
        journal.record_all((document(f"{number}"), None) for number in range(3))
    outbox = HangingOutbox(tmp_path / "edgecam.db")
    with outbox.let_go_at_the_end():
        yield outbox


def ask_until_answered(outbox: PatientOutbox) -> int:
    """Its length, once it says so; each question waits a little."""
    for _ in range(int(LONG / SOON)):
        try:
            return outbox.length()
        except OutboxStalled:
            threading.Event().wait(SOON)
    pytest.fail("it never answered again")


def test_it_answers_as_the_outbox_does(hanging: HangingOutbox) -> None:
    patient = PatientOutbox(hanging, LONG)
    patient.open()
    with Outbox(hanging._path) as plain:
        assert patient.pending(0, 2) == plain.pending(0, 2)
        assert patient.oldest() == plain.oldest()
        patient.acknowledge(iter([1]))
        assert patient.length() == plain.length() == 2
        assert patient.trim(moment(0), messages=1, age=1e9) == 1
        assert patient.lost() == plain.lost() == 1
    patient.close()
    patient.close()
    with pytest.raises(SinkError, match="not open"):
        patient.length()
    patient.open()
    assert patient.length() == 1
    patient.close()


def test_its_thread_ends_with_it(hanging: HangingOutbox) -> None:
    before = set(threading.enumerate())
    patient = PatientOutbox(hanging, LONG)
    patient.open()
    (thread,) = set(threading.enumerate()) - before
    patient.close()
    thread.join(LONG)
    assert not thread.is_alive()


def test_faults_come_from_where_they_are(tmp_path: Path) -> None:
    patient = PatientOutbox(Outbox(tmp_path / "none.db"), LONG)
    with pytest.raises(SinkError, match=r"none\.db"):
        patient.open()
    patient.close()


def test_a_bug_in_it_is_a_bug_of_who_asks(hanging: HangingOutbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> int:
        raise ZeroDivisionError

    patient = PatientOutbox(hanging)
    patient.open()
    monkeypatch.setattr(hanging, "length", broken)
    with pytest.raises(ZeroDivisionError):
        patient.length()
    with pytest.raises(SinkError):
        patient.close()


def test_one_question_waits_for_the_disk_and_no_other_does(hanging: HangingOutbox) -> None:
    patient = PatientOutbox(hanging, LONG)
    patient.open()
    patient.patience = SOON
    hanging.hang()
    before = hanging.accesses
    for _ in range(50):
        with pytest.raises(OutboxStalled, match=r"^the outbox: the disk has not answered for \d+ s$"):
            patient.acknowledge([1])
    with pytest.raises(OutboxStalled):
        patient.close()
    assert hanging.accesses == before + 1
    hanging.go_on()
    assert ask_until_answered(patient) == 2, "what nobody waited for was done"
    patient.close()


def test_a_spool_goes_on_where_it_was(hanging: HangingOutbox, caplog: pytest.LogCaptureFixture) -> None:
    patient = PatientOutbox(hanging, LONG)
    spool = Spool(patient, messages=100, age=1e6)
    sent = spool.due(moment(0), 2)
    for message in sent:
        spool.acknowledged(message.sequence, 0.0)
    patient.patience = SOON
    hanging.hang()
    for second in range(1, 30):
        spool.ask()
        assert spool.due(moment(second), 10) == []
        spool.upkeep(moment(second))
        assert bool(spool.fault) == (second > 11)
    hanging.go_on()
    assert ask_until_answered(patient) in {1, 3}, "the call that hung may have deleted two"
    patient.patience = LONG
    assert [message.sequence for message in spool.due(moment(30), 10)] == [3]
    spool.upkeep(moment(30))
    assert (spool.fault, spool.length) == ("", 1)
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 2
    assert said[0].startswith("the outbox: the disk has not answered for")
    assert said[1] == "the outbox answers again, after 29.0 s"
    spool.acknowledged(3, 30.0)
    spool.close(moment(31))
    with Outbox(hanging._path) as outbox:
        assert outbox.length() == 0


def test_a_spool_does_not_spin_while_its_disk_hangs(hanging: HangingOutbox) -> None:
    patient = PatientOutbox(hanging, LONG)
    spool = Spool(patient, messages=100, age=1e6)
    assert len(spool.due(moment(0), 10)) == 3
    patient.patience = SOON
    hanging.hang()
    now, turns = 1.0, 0
    while now < 60.0:
        spool.upkeep(moment(now))
        now += min(0.5, spool.patience(now))
        turns += 1
    assert turns < 60 / 0.1
    hanging.go_on()
