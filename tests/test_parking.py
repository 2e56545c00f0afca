"""Events that no disk took before the end are recorded by the next start: each once, whatever became of the file."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sink_stories import event
from test_journal import document

from edgecam import parking as parking_module
from edgecam.app import tidy
from edgecam.clock import SystemClock
from edgecam.config import Config
from edgecam.errors import SinkError
from edgecam.events import event_document
from edgecam.journal import Journal
from edgecam.outbox import Moment, Outbox
from edgecam.outlet import EVENTS_KEPT, Outlet
from edgecam.parking import NAME, ParkedEvent, Parking, parse, record_parked
from edgecam.sinks.awaited import Awaited
from edgecam.sinks.journal import JournalSink
from edgecam.storing import StoreWorker
from edgecam.testing import ManualClock
from edgecam.types import BBox, Crossing, Event, EventType

pytestmark = pytest.mark.any_runtime

LATER = Moment("this boot", 1234.5678901234567, 1_767_225_600.125, synced=False)
NEW, UPDATE, END = EventType

fractions = st.floats(0, 1)
seconds = st.floats(0, 1e9)
names = st.text(max_size=12)
boxes = st.builds(BBox, fractions, fractions, fractions, fractions)
events = st.builds(
    Event,
    type=st.sampled_from(EventType),
    event_id=names,
    camera=names,
    track_id=st.integers(0, 2**40),
    label=names,
    score=fractions,
    top_score=fractions,
    bbox=boxes,
    sequence=st.integers(0, 2**40),
    timestamp=seconds,
    start=seconds,
    end=st.none() | seconds,
    best_sequence=st.integers(0, 2**40),
    best_bbox=boxes,
    started=seconds,
    current_zones=st.lists(names, max_size=2).map(tuple),
    crossings=st.lists(st.builds(Crossing, names, names, seconds), max_size=2).map(tuple),
)
moments = st.builds(Moment, names, seconds, seconds, st.booleans())
parked_events = st.builds(
    ParkedEvent, events.map(event_document), st.none() | st.sampled_from([Path("a b/\udcff.jpg")]), moments
)


@given(st.lists(parked_events, max_size=5))
def test_any_event_comes_back_as_it_was(parked: list[ParkedEvent]) -> None:
    lines = [each.line() for each in parked]
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert parse(b"".join(lines)) == (parked, [])


@given(st.lists(parked_events, min_size=1, max_size=5), st.data())
def test_damage_costs_the_damaged_lines_alone(parked: list[ParkedEvent], data: st.DataObject) -> None:
    lines = [each.line() for each in parked]
    content = bytearray(b"".join(lines))
    places = data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4, unique=True))
    kind = data.draw(st.sampled_from(["altered", "cut off", "inserted"]))
    if kind == "altered":
        for place in places:
            content[place] ^= data.draw(st.integers(1, 255))
    elif kind == "cut off":
        del content[places[0] :]
    else:
        content[places[0] : places[0]] = data.draw(st.binary(min_size=1, max_size=20))
    whole = {line.removesuffix(b"\n"): each for line, each in zip(lines, parked, strict=True)}
    found, left = parse(bytes(content)), bytes(content).split(b"\n")
    assert found.events == [whole[line] for line in left if line in whole]
    assert found.damaged == [number for number, line in enumerate(left, 1) if line and line not in whole]


@given(st.binary(max_size=200))
def test_what_was_never_ours_is_nothing_but_damage(content: bytes) -> None:
    assert parse(content).events == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where systemd would have us leave what the next run is to find."""
    made = tmp_path / "run"
    made.mkdir()
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "edgecam.db"


@pytest.fixture
def parking(folder: Path, path: Path) -> Parking:
    return Parking(path, {"RUNTIME_DIRECTORY": str(folder)})


def parked(event_id: str, kind: str, at: float, *, end: float | None = None) -> ParkedEvent:
    """A message, `at` seconds into its event."""
    message = document(event_id, end=end)
    return ParkedEvent(message | {"type": kind, "frame_time": message["start_time"] + at}, None, LATER)


STORY = [
    parked("a", "new", 1),
    parked("b", "new", 2),
    parked("a", "update", 3),
    parked("a", "end", 3, end=3),
    parked("b", "update", 4),
]


def told(path: Path) -> list[tuple[str, str]]:
    with Outbox(path) as outbox:
        messages = [json.loads(message.payload) for message in outbox.pending(0, 10**6)]
    return [(message["type"], message["after"]["id"]) for message in messages]


def recorded(path: Path) -> dict[str, dict[str, Any]]:
    with Journal(path, read_only=True) as journal:
        return {found["id"]: found for found in journal.events()}


def test_what_was_parked_is_recorded_and_told_and_the_file_is_gone(
    folder: Path, path: Path, parking: Parking, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert parking.park(STORY) == (5, folder / NAME)
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600
    with Journal(path, outbox=True) as journal:
        assert record_parked(parking, journal) == 5
        assert record_parked(parking, journal) == 0
    assert told(path) == [("new", "a"), ("new", "b"), ("update", "a"), ("end", "a"), ("update", "b")]
    assert {name: found["end_time"] is None for name, found in recorded(path).items()} == {"a": False, "b": True}
    assert list(folder.iterdir()) == []
    assert caplog.messages == [
        f"5 event messages that the last run could not record are recorded now, from {folder / NAME}"
    ]
    with Outbox(path) as outbox:
        assert {message.recorded for message in outbox.pending(0, 10)} == {LATER}


def test_they_are_told_as_they_came_to_pass_whatever_their_order_in_the_file(path: Path, parking: Parking) -> None:
    parking.park(STORY[::-1])
    with Journal(path, outbox=True) as journal:
        assert record_parked(parking, journal) == len(STORY)
    assert told(path) == [(each.document["type"], each.document["id"]) for each in STORY]


def test_what_was_added_is_taken_out_again_and_nothing_else(folder: Path, path: Path, parking: Parking) -> None:
    parking.park(STORY[:1])
    later = Parking(path, {"RUNTIME_DIRECTORY": str(folder)})
    later.park(STORY[1:2])
    later.park(STORY[2:])
    later.let_go()
    later.let_go()
    assert parse((folder / NAME).read_bytes()) == (STORY[:1], [])
    parking.let_go()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("already", range(len(STORY) + 1))
def test_a_message_that_is_recorded_already_changes_nothing(path: Path, parking: Parking, already: int) -> None:
    """As after a crash between the commit and the end of the file, or where a stuck disk woke up after all."""
    with Journal(path, outbox=True) as journal:
        for each in STORY[:already]:
            journal.record(each.document)
        before = told(path)
        parking.park([*STORY[: already // 2], *STORY, *STORY])
        assert record_parked(parking, journal) == len(STORY) - already
    assert told(path)[: len(before)] == before
    assert sorted(told(path)) == sorted((each.document["type"], each.document["id"]) for each in STORY)
    assert len(recorded(path)) == 2


def test_a_start_records_them_first_and_ends_what_is_still_open(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    config = Config.model_validate(
        {"data_dir": tmp_path / "data", "mqtt": {"enabled": True, "host": "127.0.0.1"}, "cameras": {}}
    )
    path = config.data_dir / "edgecam.db"
    with Journal(path, outbox=True) as journal:
        journal.record(document("c"))
        journal.record(STORY[0].document)
    Parking(path).park(STORY[1:])
    tidy(config, SystemClock())
    events = recorded(path)
    assert all(found["end_time"] is not None for found in events.values())
    assert {name for name, found in events.items() if found["cut"]} == {"b", "c"}
    assert events["b"]["end_time"] == STORY[-1].document["frame_time"]
    assert sorted(name for kind, name in told(path) if kind == "end") == ["a", "b", "c"]
    assert list(folder.iterdir()) == []


def test_a_disk_that_refuses_still_leaves_the_file(folder: Path, path: Path, parking: Parking) -> None:
    class Refusing(Journal):
        def record_late(self, messages: Any) -> int:
            super().record_late(messages)
            raise SinkError("journal: the disk is full")

    parking.park(STORY)
    with Refusing(path) as journal, pytest.raises(SinkError):
        record_parked(parking, journal)
    assert parse((folder / NAME).read_bytes()) == (STORY, [])


def test_a_damaged_line_is_skipped_and_named_once(
    folder: Path, path: Path, parking: Parking, caplog: pytest.LogCaptureFixture
) -> None:
    parking.park(STORY)
    lines = (folder / NAME).read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"person", b"people")
    lines[4] = lines[4][:-20]
    (folder / NAME).write_bytes(b"".join(lines))
    parking.park([parked("c", "new", 9)])
    with Journal(path) as journal:
        assert record_parked(parking, journal) == 4
    assert set(recorded(path)) == {"a", "c"}
    assert [text for text in caplog.messages if "damaged lines" in text] == [
        f"{folder / NAME}: 2 damaged lines are lost: 2, 5"
    ]
    assert list(folder.iterdir()) == []


def test_the_file_is_bounded(folder: Path, parking: Parking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking_module, "EVENTS_KEPT", 4)
    assert parking.park(STORY[:3]) == (3, folder / NAME)
    assert parking.park(STORY[3:]) == (1, folder / NAME)
    assert parking.park(STORY) == (0, folder / NAME)
    assert parse((folder / NAME).read_bytes()) == ([*STORY[:3], STORY[4]], [])
    assert EVENTS_KEPT > 1000


def test_where_they_lie_without_systemd(tmp_path: Path, path: Path) -> None:
    own, temporary = tmp_path / "user", tmp_path / "tmp"
    own.mkdir()
    temporary.mkdir()
    parking = Parking(path, {"XDG_RUNTIME_DIR": str(own), "TMPDIR": str(temporary)})
    _, first = parking.park(STORY[:3])
    assert first.is_relative_to(own)
    assert first.parent.stat().st_mode & 0o777 == first.parent.parent.stat().st_mode & 0o777 == 0o700
    other = Parking(path.with_name("other.db"), {"XDG_RUNTIME_DIR": str(own)})
    assert other.paths()[0] != first, "another journal's are not ours"
    first.parent.parent.rename(tmp_path / "away")
    own.rmdir()
    _, second = parking.park(STORY[3:])
    assert second.is_relative_to(temporary)
    own.mkdir()
    (tmp_path / "away").rename(first.parent.parent)
    with Journal(path) as journal:
        assert record_parked(parking, journal) == 5
    assert list(own.iterdir()) == list(temporary.iterdir()) == []


def link_to_a_victim(folder: Path) -> None:
    (folder / "victim").write_text("mine")
    (folder / NAME).symlink_to(folder / "victim")


def a_pipe(folder: Path) -> None:
    os.mkfifo(folder / NAME)


def a_folder(folder: Path) -> None:
    (folder / NAME).mkdir()


def somebody_elses(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    (folder / NAME).write_bytes(STORY[0].line())
    os.chown(folder / NAME, 12345, 12345)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("trap", [link_to_a_victim, a_pipe, a_folder, somebody_elses])
def test_a_trap_is_neither_written_to_nor_read(
    folder: Path, path: Path, parking: Parking, trap: Callable[[Path], None]
) -> None:
    trap(folder)
    with Journal(path) as journal:
        assert record_parked(parking, journal) == 0
    if trap is not a_pipe:
        with pytest.raises(OSError, match=r".*"):
            parking.park(STORY)
    victim = folder / "victim"
    assert not victim.exists() or victim.read_text() == "mine"


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_folder_that_others_may_look_into_is_not_used(tmp_path: Path, path: Path, mode: int) -> None:
    parking = Parking(path, {"TMPDIR": str(tmp_path)})
    folder = parking.paths()[0].parent.parent
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(PermissionError, match="this user's alone"):
        parking.park(STORY)
    assert list(folder.iterdir()) == []


class RefusingJournalSink(JournalSink):
    """A journal whose disk takes nothing."""

    def publish_together(self, events: Any) -> None:
        raise SinkError("journal: the disk is full")


def messages() -> list[Event]:
    return [event(NEW, 3), event(UPDATE, 5), replace(event(NEW, 6), event_id="other"), event(END, 8)]


def test_what_a_refusing_journal_was_told_is_parked_at_the_end(
    tmp_path: Path, folder: Path, path: Path, parking: Parking, caplog: pytest.LogCaptureFixture
) -> None:
    outlet = Outlet(
        RefusingJournalSink(path, awaited=Awaited(parking, snapshots=tmp_path / "snapshots")), ManualClock()
    )
    outlet.open()
    outlet.publish(*messages())
    outlet.close()
    assert outlet.events_lost == 0
    kept = parse((folder / NAME).read_bytes()).events
    assert [each.document for each in kept] == [event_document(each) for each in messages()]
    assert f"4 event messages could not be recorded; kept in {folder / NAME} for the next start" in caplog.messages
    picture = kept[0].snapshot
    assert picture is not None
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"a picture")
    with Journal(path) as journal:
        record_parked(parking, journal)
    assert {name: found["snapshot"] for name, found in recorded(path).items()} == {
        messages()[0].event_id: str(picture),
        "other": None,
    }


def test_where_there_is_no_room_they_are_lost_and_told(
    folder: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for awaited in (None, Awaited(Parking(path, {"RUNTIME_DIRECTORY": str(folder / "nowhere")}))):
        caplog.clear()
        outlet = Outlet(RefusingJournalSink(path, awaited=awaited), ManualClock())
        outlet.open()
        outlet.publish(*messages())
        outlet.close()
        assert outlet.events_lost == 4
        assert caplog.messages[-1] == "journal: 4 events lost at the end"


def test_what_a_stuck_journal_was_told_is_parked_by_who_gives_it_up(folder: Path, path: Path, parking: Parking) -> None:
    """What is in hand and what waits, each once; the thread that wakes up later changes nothing."""
    store = StoreWorker(RefusingJournalSink(path, awaited=Awaited(parking)), ManualClock(), lambda: None)
    store.setup()
    first, *others = messages()
    store.publish((first, receipt()))
    store.step()
    store.publish(*((each, receipt()) for each in others))
    store.abandon()
    assert store.events_lost == 0
    assert [each.document for each in parse((folder / NAME).read_bytes()).events] == [
        event_document(each) for each in messages()
    ]
    store.teardown()
    assert store.events_lost == 0
    assert (folder / NAME).read_bytes().count(b"\n") == 4


def receipt() -> Any:
    from edgecam.backlog import Receipt

    return Receipt(1, lambda _taken: None)
