"""Events that the journal makes wait are parked while they wait: whatever ends the process, the next start has them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from sink_stories import event

from edgecam import parking as parking_module
from edgecam.backlog import Receipt
from edgecam.composition import build_awaited
from edgecam.config import Config
from edgecam.errors import SinkError
from edgecam.events import event_document
from edgecam.journal import Journal
from edgecam.outbox import Moment
from edgecam.outlet import EVENTS_KEPT
from edgecam.parking import NAME, ParkedEvent, Parking, parse, record_parked
from edgecam.sinks import awaited as awaited_module
from edgecam.sinks.awaited import PARK_AFTER, Awaited
from edgecam.sinks.journal import JournalSink
from edgecam.storing import StoreWorker
from edgecam.testing import ManualClock
from edgecam.types import Event, EventType

pytestmark = pytest.mark.any_runtime

NEW = EventType.NEW
JUST_BEFORE = PARK_AFTER / 2


def news(*names: str) -> list[Event]:
    """The first message of each event."""
    return [event(NEW, 3, name) for name in names]


class MoodySink(JournalSink):
    """A journal whose disk is away while `refuses`."""

    refuses = True

    def publish_together(self, events: Sequence[Event]) -> None:
        if self.refuses:
            raise SinkError("journal: the disk is read-only")
        super().publish_together(events)


class Rig(NamedTuple):
    """Two cameras, each with a sink of its own, on one journal; and the file of what is parked."""

    clock: ManualClock
    awaited: Awaited
    stores: list[StoreWorker]
    sinks: list[MoodySink]
    file: Path
    journal: Path

    def tell(self, *events: Event, camera: int = 0) -> None:
        """Bring events to a camera's journal, as the output thread does."""
        self.stores[camera].publish(*((each, Receipt(1, lambda _taken: None)) for each in events))

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass, then one turn of the output threads."""
        self.clock.advance(seconds)
        for store in self.stores:
            store.look_after()

    def mend(self, camera: int = 0) -> None:
        """The disk is back, and has what waited for it."""
        self.sinks[camera].refuses = False
        self.clock.advance(60.0)
        self.stores[camera].outlet.flush()

    def parked(self) -> list[str]:
        """The names of the events in the file; [] where there is none."""
        if not self.file.exists():
            return []
        found = parse(self.file.read_bytes())
        assert not found.damaged
        return [each.document["id"] for each in found.events]

    def recorded(self) -> list[str]:
        with Journal(self.journal, read_only=True) as journal:
            return sorted(each["id"] for each in journal.events())


MakeRig = Callable[..., Rig]


@pytest.fixture
def rig(tmp_path: Path) -> MakeRig:
    """Makes a rig; unless told in the run-time folder of a service."""

    def make(environment: dict[str, str] | None = None) -> Rig:
        service = tmp_path / "run"
        service.mkdir(exist_ok=True)
        journal = tmp_path / "edgecam.db"
        parking = Parking(journal, environment or {"RUNTIME_DIRECTORY": str(service)})
        clock = ManualClock(1000.0)
        awaited = Awaited(parking, clock=clock)
        sinks = [MoodySink(journal, awaited=awaited, clock=clock) for _ in range(2)]
        stores = [StoreWorker(sink, clock, lambda: None) for sink in sinks]
        for store in stores:
            store.setup()
        return Rig(clock, awaited, stores, sinks, parking.paths()[0], journal)

    return make


def test_what_waits_is_parked_after_a_moment_and_let_go_once_it_is_recorded(
    rig: MakeRig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    here = rig()
    here.tell(*news("a", "b"))
    here.turn(JUST_BEFORE)
    here.tell(*news("c"))
    here.stores[0].step()  # refused: it is closed, to be opened again
    here.turn()
    assert here.parked() == []
    here.turn(PARK_AFTER - JUST_BEFORE)
    assert here.parked() == ["a", "b", "c"], "all, not the oldest alone"
    here.tell(*news("d"))
    assert here.parked() == ["a", "b", "c", "d"], "at once, as long as the others wait"
    here.turn(10.0)
    assert here.parked() == ["a", "b", "c", "d"], "each once"
    first = [each.document for each in parse(here.file.read_bytes()).events]
    assert first == [event_document(each) for each in news("a", "b", "c", "d")]
    here.mend()
    here.stores[0].step()  # the one that came meanwhile
    assert here.recorded() == ["a", "b", "c", "d"]
    assert not here.file.exists()
    here.tell(*news("e"))
    here.turn(JUST_BEFORE)
    assert here.parked() == [], "it has its moment again"
    assert [text for text in caplog.messages if NAME in text] == [
        f"journal: nothing recorded for {PARK_AFTER:.1f} s; events are kept in {here.file} meanwhile"
    ]


def test_what_is_recorded_soon_is_never_parked(rig: MakeRig) -> None:
    here = rig()
    here.sinks[0].refuses = False
    for name in "abc":
        here.tell(*news(name))
        here.turn(JUST_BEFORE)
        here.stores[0].step()
        here.turn(PARK_AFTER)
        assert not here.file.exists()
    assert here.recorded() == ["a", "b", "c"]


def test_after_a_kill_the_next_start_has_every_event_once(rig: MakeRig) -> None:
    """Some were recorded before the kill, and are in the file as well."""
    here = rig()
    here.tell(*news("a", "b"))
    here.tell(*news("c"), camera=1)
    here.turn(PARK_AFTER)
    here.stores[1].step()
    here.mend(camera=1)
    assert here.recorded() == ["c"]
    assert here.parked() == ["a", "b", "c"]
    with Journal(here.journal) as journal:
        assert record_parked(Parking(here.journal, {"RUNTIME_DIRECTORY": str(here.file.parent)}), journal) == 2
    assert here.recorded() == ["a", "b", "c"]
    assert not here.file.exists()


def test_the_file_goes_when_no_camera_awaits_anything_in_it(rig: MakeRig) -> None:
    here = rig()
    for camera, name in enumerate("ab"):
        here.tell(*news(name), camera=camera)
    here.turn(PARK_AFTER)
    for camera in range(2):
        here.stores[camera].step()
    here.mend(camera=0)
    assert here.parked() == ["a", "b"], "a does no harm"
    here.mend(camera=1)
    assert not here.file.exists()


def test_what_an_earlier_run_left_stays(rig: MakeRig) -> None:
    here = rig()
    early = news("early")
    before = ParkedEvent(event_document(early[0]), None, Moment("a boot", 1.0, 2.0, synced=True)).line()
    here.file.write_bytes(before + b"torn")
    here.tell(*news("a"))
    here.turn(PARK_AFTER)
    assert [each.document["id"] for each in parse(here.file.read_bytes()).events] == ["early", "a"]
    here.stores[0].step()
    here.mend()
    assert here.file.read_bytes() == before + b"torn"


def test_a_file_that_somebody_else_has_changed_is_left_to_them(rig: MakeRig) -> None:
    here = rig()
    here.tell(*news("a"))
    here.turn(PARK_AFTER)
    others = Parking(here.journal, {"RUNTIME_DIRECTORY": str(here.file.parent)})
    others.park([ParkedEvent(event_document(news("b")[0]), None, Moment("", 1.0, 2.0, synced=True))])
    here.stores[0].step()
    here.mend()
    assert here.parked() == ["a", "b"]
    others.let_go()
    assert here.parked() == ["a"]


def test_at_the_end_only_the_rest_is_added_and_all_are_told(rig: MakeRig, caplog: pytest.LogCaptureFixture) -> None:
    here = rig()
    here.tell(*news("a", "b"))
    here.turn(PARK_AFTER)
    here.stores[0].step()
    here.clock.advance(0.01)
    late = news("late")[0]
    here.stores[0].outlet.publish(late)
    here.stores[0].close()
    here.stores[0].teardown()
    assert here.parked() == ["a", "b", "late"]
    assert here.stores[0].events_lost == 0
    assert f"3 event messages could not be recorded; kept in {here.file} for the next start" in caplog.messages
    here.tell(*news("c"), camera=1)
    here.turn()
    here.stores[1].step()
    here.mend(camera=1)
    assert here.parked()[:3] == ["a", "b", "late"], "the other camera's success does not take them along"


def test_a_stuck_thread_that_is_given_up_and_wakes_up_after_all(rig: MakeRig) -> None:
    here = rig()
    events = news("a", "b")
    here.tell(*events)
    here.turn(PARK_AFTER)
    here.stores[0].abandon()
    assert here.parked() == ["a", "b"]
    here.sinks[0].refuses = False
    here.sinks[0].publish_together(events)
    assert here.recorded() == ["a", "b"]
    assert not here.file.exists()


def test_what_may_lie_on_a_disk_is_written_at_the_end_alone(rig: MakeRig, tmp_path: Path) -> None:
    here = rig({"TMPDIR": str(tmp_path)})
    here.tell(*news("a"))
    here.turn(60.0)
    assert not here.file.exists()
    here.stores[0].close()
    here.stores[0].step()
    here.stores[0].teardown()
    assert here.parked() == ["a"]


def test_the_users_run_time_folder_is_in_memory(rig: MakeRig, tmp_path: Path) -> None:
    own = tmp_path / "user"
    own.mkdir()
    here = rig({"XDG_RUNTIME_DIR": str(own), "TMPDIR": str(tmp_path)})
    here.tell(*news("a"))
    here.turn(PARK_AFTER)
    assert here.parked() == ["a"]
    assert here.file.is_relative_to(own)
    here.stores[0].step()
    here.mend()
    assert list(own.iterdir()) == []


def test_a_refusal_is_said_once_an_outage_and_costs_nothing_while_the_process_lives(
    rig: MakeRig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    here = rig()
    here.file.mkdir()

    def complaints() -> list[str]:
        return [text for text in caplog.messages if NAME in text]

    here.tell(*news("a"))
    here.turn(PARK_AFTER)
    here.tell(*news("b"))
    here.turn(PARK_AFTER)
    assert complaints() == [f"{here.file}: events that wait for the disk cannot be kept here: Is a directory"]
    here.stores[0].step()
    here.mend()
    assert here.recorded() == ["a", "b"]
    here.sinks[0].refuses = True
    here.file.rmdir()
    here.tell(*news("c"))
    here.turn(PARK_AFTER)
    assert here.parked() == ["c"], "another outage, another try"


def test_they_are_bounded(rig: MakeRig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where there are more than the file holds, the newest are in it at the end."""
    for module in (parking_module, awaited_module):
        monkeypatch.setattr(module, "EVENTS_KEPT", 4)
    here = rig()
    events = news(*"abcdef")
    here.tell(*events[:3])
    here.turn(PARK_AFTER)
    here.tell(*events[3:])
    here.turn(PARK_AFTER)
    assert len(here.parked()) == 4
    assert sum("no room for more" in text for text in caplog.messages) <= 1
    assert here.awaited.park(events[2:]) == 4
    assert sorted(here.parked()) == ["c", "d", "e", "f"]
    here.awaited.taken(events)
    assert not here.file.exists()
    assert EVENTS_KEPT > 1000


def test_a_full_file_is_emptied_once_its_events_are_recorded(rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the disk lags all the time and never has all that waits."""
    for module in (parking_module, awaited_module):
        monkeypatch.setattr(module, "EVENTS_KEPT", 4)
    here = rig()
    events = news(*"abcdef")
    here.tell(*events[:3])
    here.turn(PARK_AFTER)
    here.awaited.taken(events[:1])
    here.tell(*events[3:5])
    assert here.parked() == ["a", "b", "c", "e"]
    here.awaited.taken(events[1:4])
    assert here.parked() == ["a", "b", "c", "e"]
    here.tell(events[5])
    here.turn(PARK_AFTER)
    here.awaited.taken([events[4]])
    assert here.parked() == [], "nothing in it was awaited"
    here.turn()
    assert here.parked() == ["f"]


def test_the_file_is_not_read_again_each_time(rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    here = rig()
    here.tell(*news("a"))
    here.turn(PARK_AFTER)

    def reading(_descriptor: int) -> bytes:
        pytest.fail("the file is as it was left")

    monkeypatch.setattr(parking_module, "_content", reading)
    here.tell(*news("b"))
    here.tell(*news("c"))
    assert here.parked() == ["a", "b", "c"]


def test_a_picture_is_named_where_it_will_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    config = Config.model_validate({"data_dir": tmp_path / "data", "snapshots": {"enabled": True}, "cameras": {}})
    awaited, told = build_awaited(config, ManualClock()), news("a")
    assert awaited.park(told) == 1
    (parked,) = parse((tmp_path / NAME).read_bytes()).events
    assert parked.snapshot is not None
    assert parked.snapshot.is_relative_to(tmp_path / "data" / "snapshots" / told[0].camera)
