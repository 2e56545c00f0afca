"""The journal remembers what was committed, whoever else reads or writes and however the writer ends."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from edgecam import journal_schema
from edgecam.errors import EdgecamError, InputError, SinkError
from edgecam.journal import Journal
from edgecam.journal_faults import explained
from edgecam.outbox import Outbox

DAY = datetime(2026, 3, 1, tzinfo=UTC)
PRESENT = len(journal_schema.MIGRATIONS)


def document(
    event_id: str = "1767225600.5-abcdef", at: float = 0.0, *, end: float | None = None, **changes: Any
) -> dict[str, Any]:
    """An event message, `at` seconds into the day."""
    start = DAY.timestamp() + at
    return {
        "type": "new" if end is None else "end",
        "id": event_id,
        "camera": "front",
        "label": "person",
        "score": 0.75,
        "top_score": 0.875,
        "box": [0.25, 0.25, 0.5, 0.75],
        "frame": 40,
        "track_id": 3,
        "start_time": start,
        "frame_time": start + 2,
        "end_time": None if end is None else start + end,
        "best": {"frame": 30, "box": [0.3, 0.2, 0.5, 0.7]},
    } | changes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "edgecam.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal(path) as opened:
        yield opened


def ids(found: Iterator[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in found]


def test_an_event_is_remembered_with_all_its_message_says(journal: Journal) -> None:
    journal.record(document())
    assert list(journal.events()) == [document() | {"snapshot": None, "clip": None, "cut": None}]


def test_a_later_message_replaces_the_earlier_one(journal: Journal, path: Path) -> None:
    journal.record(document(), snapshot=Path("a.jpg"))
    journal.record(document(type="update", score=0.8, label="dog"))
    journal.record(document(end=9.0, top_score=0.9))
    found = {"snapshot": "a.jpg", "clip": None, "cut": None}
    assert list(journal.events()) == [document(end=9.0, top_score=0.9) | found]
    columns = "label, score, top_score, start_time, frame_time, end_time, frame, best_frame, best_box, track_id"
    with sqlite3.connect(path) as foreign:
        row = foreign.execute(f"SELECT {columns} FROM events").fetchone()  # noqa: S608 (a constant)
    foreign.close()
    start = DAY.timestamp()
    assert row == ("person", 0.75, 0.9, start, start + 2, start + 9, 40, 30, "[0.3, 0.2, 0.5, 0.7]", 3)


def test_events_come_in_the_order_of_their_recording_and_a_limit_keeps_the_newest(journal: Journal) -> None:
    """Whatever the wall clock says, which may step back in between."""
    for number in (3, 1, 2, 0):
        journal.record(document(f"e{number}", at=number * 60))
    journal.record(document("e1", at=60, end=9.0))
    assert ids(journal.events()) == ["e3", "e1", "e2", "e0"]
    assert ids(journal.events(limit=2)) == ["e2", "e0"]
    assert ids(journal.events(limit=0)) == []


def test_events_are_found_by_label_camera_and_time(journal: Journal) -> None:
    for number, (label, camera) in enumerate(product(("person", "dog"), ("front", "back"))):
        journal.record(document(f"e{number}", at=number * 60, label=label, camera=camera))
    assert ids(journal.events(label="dog")) == ["e2", "e3"]
    assert ids(journal.events(label="dog", camera="back")) == ["e3"]
    assert ids(journal.events(label="' OR 1=1 --")) == []
    minute = timedelta(minutes=1)
    assert ids(journal.events(since=DAY + minute)) == ["e1", "e2", "e3"]
    assert ids(journal.events(until=DAY + minute)) == ["e0"]
    assert ids(journal.events(since=DAY + minute, until=DAY + 3 * minute, limit=1)) == ["e2"]


def test_events_are_found_by_a_zone_they_were_in_at_any_time(journal: Journal) -> None:
    for number, zones in enumerate(([], ["drive"], ["lawn", "drive"], ["driveway"], ["ü"])):
        journal.record(document(f"e{number}"))
        journal.record(document(f"e{number}", entered_zones=zones))
    found = {zone: ids(journal.events(zone=zone)) for zone in ("drive", "lawn", "ü", "d", "%", "")}
    assert found == {"drive": ["e1", "e2"], "lawn": ["e2"], "ü": ["e4"], "d": [], "%": [], "": []}
    assert ids(journal.events(zone="drive", limit=1)) == ["e2"]
    assert ids(journal.events(zone="drive", label="dog")) == []


def test_an_event_is_found_by_the_beginning_of_its_id(journal: Journal) -> None:
    for event_id in ("17.1-ab", "17.1-abc", "17.2-xy", "ünïcode 行"):
        journal.record(document(event_id))
    found = {wanted: (journal.event(wanted) or {}).get("id") for wanted in ("17.1-ab", "17.2", "ünï", "17.3", "%")}
    assert found == {"17.1-ab": "17.1-ab", "17.2": "17.2-xy", "ünï": "ünïcode 行", "17.3": None, "%": None}
    with pytest.raises(InputError, match=r"event 17\.1: several ids begin so"):
        journal.event("17.1")


def test_events_left_open_by_a_crash_are_cut_at_their_last_message(journal: Journal) -> None:
    journal.record(document("open"))
    journal.record(document("ended", end=5.0))
    assert journal.close_open_events("power lost") == 1
    assert journal.close_open_events("power lost") == 0
    found = {each["id"]: (each["end_time"], each["cut"]) for each in journal.events()}
    start = DAY.timestamp()
    assert found == {"open": (start + 2, "power lost"), "ended": (start + 5, None)}
    journal.record(document("open", end=7.0))
    assert (journal.event("open") or {})["cut"] is None


def test_opening_and_closing_twice_is_harmless(path: Path) -> None:
    journal = Journal(path)
    journal.close()
    journal.open()
    journal.open()
    journal.record(document())
    journal.close()
    journal.close()
    with pytest.raises(SinkError, match="not open"):
        journal.record(document())
    with journal:
        assert ids(journal.events()) == [document()["id"]]


def test_a_constructor_touches_nothing(path: Path) -> None:
    Journal(path)
    assert not path.parent.exists()


def test_a_commit_is_on_the_disk_before_record_returns(journal: Journal) -> None:
    """FULL is 2: SQLite then syncs the write-ahead log at every commit."""
    connection = journal._opened
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_reader_sees_each_commit_while_the_writer_is_at_work(journal: Journal, path: Path) -> None:
    with Journal(path, read_only=True) as reader:
        for number in range(5):
            journal.record(document(f"e{number}", at=number))
            assert len(ids(reader.events())) == number + 1
        with pytest.raises(InputError, match="may not be written to"):
            reader.record(document())
        pending = reader.events()
        next(pending)
        journal.record(document("meanwhile", at=99))
        assert ids(pending) == ["e1", "e2", "e3", "e4"]


def test_a_reader_in_another_process_reads_what_was_written(journal: Journal, path: Path) -> None:
    journal.record(document())
    code = (
        "import sys; from pathlib import Path; from edgecam.journal import Journal\n"
        "with Journal(Path(sys.argv[1]), read_only=True) as journal: print([each['id'] for each in journal.events()])"
    )
    output = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, timeout=60)
    assert output.stdout.strip() == f"['{document()['id']}']"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user that may not write")
def test_a_reader_without_write_permission_reads_a_journal_at_rest() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "edgecam.db"
        with Journal(path) as journal:
            journal.record(document())
        assert read_as_nobody(path) == f"['{document()['id']}']"


def read_as_nobody(path: Path) -> str:
    """What a process of the user `nobody` reads, or how it fails."""
    inward, outward = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.setuid(65534)
            with Journal(path, read_only=True) as reader:
                answer = str(ids(reader.events()))
        except EdgecamError as error:
            answer = str(error)
        finally:
            os.write(outward, answer.encode())
            os._exit(0)
    os.waitpid(process, 0)
    os.close(outward)
    with os.fdopen(inward) as pipe:
        return pipe.read()


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_journal import document
from edgecam.journal import Journal
from edgecam.journal_faults import explained
with Journal(Path(sys.argv[2])) as journal:
    for number in range(int(sys.argv[4])):
        journal.record(document(f"{sys.argv[3]}-{number:05}", at=number))
        print(number, flush=True)
"""


def start_writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(path), name, str(count)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_writers_of_two_processes_that_start_together_lose_nothing(path: Path) -> None:
    writers = [start_writer(path, name, 50) for name in ("a", "b")]
    for writer in writers:
        writer.communicate(timeout=120)
    assert [writer.returncode for writer in writers] == [0, 0]
    with Journal(path, read_only=True) as reader:
        assert len(ids(reader.events())) == 100


def test_it_waits_for_another_that_is_about_to_commit_to_the_new_file(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        ending = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        ending.start()
        with Journal(path) as journal:
            journal.record(document())
            assert ids(journal.events()) == [document()["id"]]
        ending.join()


def test_a_writer_killed_in_mid_run_loses_nothing_it_has_committed(path: Path) -> None:
    writer = start_writer(path, "a", 100_000)
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(100)]
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate(timeout=60)
    said = [int(line) for line in (*lines, *rest.splitlines()) if line.strip()]
    with Journal(path) as journal:
        found = ids(journal.events())
        assert found[: len(said)] == [f"a-{number:05}" for number in said]
        assert len(found) <= len(said) + 1
        assert journal.close_open_events("killed") == len(found)


def spoilt(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def damaged_journal(path: Path) -> bytes:
    with Journal(path) as journal:
        for number in range(30):
            journal.record(document(f"e{number}", at=number))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x55" * (len(content) - 4096)
    path.unlink()
    path.parent.rmdir()
    return bytes(content)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_damaged_journal_is_named_and_left_as_it_is(path: Path, read_only: bool) -> None:  # noqa: FBT001
    content = damaged_journal(path)
    spoilt(path, content)
    error = InputError if read_only else SinkError
    with (
        pytest.raises(error, match=r"edgecam\.db: damaged, or no database: move it away"),
        Journal(path, read_only=read_only) as journal,
    ):
        list(journal.events())
    assert path.read_bytes()[4096:] == content[4096:]


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_named_and_left_as_it_is(path: Path, read_only: bool) -> None:  # noqa: FBT001
    spoilt(path, b"Dear diary, " * 500)
    error = InputError if read_only else SinkError
    with pytest.raises(error, match="damaged, or no database"):
        Journal(path, read_only=read_only).open()
    assert path.read_bytes() == b"Dear diary, " * 500


def test_a_database_of_another_program_is_refused_and_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE recipes (name TEXT)")
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(SinkError, match="not a journal of edgecam"):
        Journal(path).open()
    assert path.read_bytes() == before
    assert sorted(each.name for each in path.parent.iterdir()) == ["edgecam.db"]


def test_a_journal_of_a_newer_edgecam_is_refused(path: Path) -> None:
    with Journal(path) as journal:
        journal.record(document())
        journal._opened.execute("PRAGMA user_version = 99")
    for read_only in (False, True):
        with pytest.raises(EdgecamError, match=rf"is of schema 99, this edgecam knows {PRESENT}: install the newer"):
            Journal(path, read_only=read_only).open()


def test_an_older_journal_is_brought_up_to_date_by_its_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(path) as journal:
        journal.record(document())
    grown = (*journal_schema.MIGRATIONS, "ALTER TABLE events ADD COLUMN zone TEXT; CREATE INDEX z ON events (zone)")
    monkeypatch.setattr(journal_schema, "MIGRATIONS", grown)
    with pytest.raises(InputError, match=rf"is of schema {PRESENT}, this edgecam reads {PRESENT + 1}"):
        Journal(path, read_only=True).open()
    with Journal(path) as journal:
        assert ids(journal.events()) == [document()["id"]]
        assert journal._opened.execute("SELECT zone FROM events").fetchone() == (None,)


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(path) as journal:
        journal.record(document())
    with monkeypatch.context() as patch:
        patch.setattr(journal_schema, "MIGRATIONS", (*journal_schema.MIGRATIONS, "DELETE FROM events; DROP TABLE x"))
        with pytest.raises(SinkError, match="no such table"):
            Journal(path).open()
    with Journal(path, read_only=True) as journal:
        assert ids(journal.events()) == [document()["id"]]


def test_reading_where_there_is_no_journal_makes_none(path: Path) -> None:
    with pytest.raises(InputError, match="no journal here"):
        Journal(path, read_only=True).open()
    assert not path.exists()


def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    spoilt(path, b"")
    with Journal(path) as journal:
        journal.record(document())
        assert len(ids(journal.events())) == 1


def test_a_folder_that_cannot_be_made_is_a_sink_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=r"edgecam\.db: cannot be opened"):
        Journal(tmp_path / "file" / "edgecam.db").open()
    with pytest.raises(SinkError, match="cannot be opened"):
        Journal(tmp_path).open()


def test_a_journal_held_by_another_program_is_a_sink_error(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal._opened.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SinkError, match="in use by another program"):
        journal.record(document())
    other.execute("ROLLBACK")
    other.close()
    journal.record(document())
    assert len(ids(journal.events())) == 1


def test_data_is_json_as_it_was_given(journal: Journal) -> None:
    journal.record(document(label="Fußgänger 行人", extra={"zones": ["drive"]}))
    (stored,) = journal._opened.execute("SELECT data FROM events").fetchone()
    assert json.loads(stored)["extra"] == {"zones": ["drive"]}
    assert "Fußgänger 行人" in stored


def told(path: Path) -> list[dict[str, Any]]:
    with Outbox(path) as outbox:
        return [json.loads(each.payload) for each in outbox.pending(0, 100)]


def test_every_message_is_in_the_outbox_with_what_was_said_before(path: Path) -> None:
    picture = Path("a.jpg")
    with Journal(path, outbox=True) as journal:
        journal.record(document(frame_size=[100, 100]), snapshot=picture)
        journal.record(document(frame_size=[100, 100], type="update", score=0.8))
        journal.record(document(frame_size=[100, 100], end=9.0))
    new, update, end = told(path)
    assert [each["type"] for each in (new, update, end)] == ["new", "update", "end"]
    assert new["before"]["false_positive"]
    assert new["after"]["box"] == [25, 25, 50, 75]
    assert (update["before"], end["before"]) == (new["after"], update["after"])
    assert [each["after"]["score"] for each in (new, update, end)] == [0.75, 0.8, 0.75]
    assert all(each["after"]["has_snapshot"] for each in (new, update, end))
    assert end["after"]["end_time"] == DAY.timestamp() + 9.0


def test_an_event_cut_by_a_crash_is_told_to_have_ended(path: Path) -> None:
    with Journal(path, outbox=True) as journal:
        journal.record(document("open"))
        journal.record(document("ended", end=5.0))
        assert journal.close_open_events("power lost") == 1
    messages = [(each["type"], each["after"]["id"], each["after"]["end_time"]) for each in told(path)]
    start = DAY.timestamp()
    assert messages == [("new", "open", None), ("end", "ended", start + 5), ("end", "open", start + 2)]


def test_a_message_that_cannot_be_recorded_is_not_told_either(path: Path) -> None:
    with Journal(path, outbox=True) as journal:
        journal.record(document())
        with pytest.raises(ValueError, match="JSON"):
            journal.record(document(score=float("nan"), type="update"))
        journal._opened.execute("CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT raise(ABORT, 'no room'); END")
        with pytest.raises(SinkError, match="no room"):
            journal.record(document(type="update", score=0.9))
        assert [each["score"] for each in journal.events()] == [0.75]
    assert len(told(path)) == 1


def test_without_an_outbox_nothing_is_kept_for_the_broker(journal: Journal, path: Path) -> None:
    journal.record(document())
    journal.close_open_events("power lost")
    assert told(path) == []


def test_a_journal_of_the_first_schema_is_brought_up_to_date_with_its_events(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(journal_schema, "MIGRATIONS", journal_schema.MIGRATIONS[:1])
        Journal(path).open()
    data = json.dumps(document())
    with closing(sqlite3.connect(path)) as connection:
        values = ("1.0-a", "front", "dog", 0.75, 0.8, 7, 5.0, 6.0, None, 3, 3, "[]", None, None, data)
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        connection.commit()
    with pytest.raises(SinkError, match="is of schema 1"):
        Outbox(path).open()
    with Journal(path, outbox=True) as journal:
        journal.close_open_events("an update")
    assert [each["type"] for each in told(path)] == ["end"]


def test_what_a_read_only_file_system_does_to_the_journal_is_told_as_such(path: Path) -> None:
    with Journal(path):
        pass
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        with pytest.raises(sqlite3.OperationalError) as refused:
            connection.execute("DELETE FROM events")
        assert "mount its disk writable where it is read-only" in explained(refused.value)
