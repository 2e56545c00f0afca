"""The clip store remembers clips and what they show, beside the one who records events."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edgecam import journal_schema
from edgecam.clip_store import ClipKind, ClipRow, ClipStore
from edgecam.errors import InputError, SinkError
from edgecam.journal import Journal
from edgecam.retention import StoredClip

pytestmark = pytest.mark.any_runtime

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def clip(clip_id: str = "a", at: float = 0.0, **changes: Any) -> ClipRow:
    """A clip that has begun `at` seconds into the day."""
    row = ClipRow(clip_id, "front", Path(f"clips/front/{clip_id}.mp4"), DAY.timestamp() + at)
    return replace(row, **changes)


def whole(clip_id: str = "a", at: float = 0.0, **changes: Any) -> ClipRow:
    """A clip of ten seconds."""
    return clip(clip_id, at, end=DAY.timestamp() + at + 10, frames=300, size_bytes=1000, **changes)


def event(event_id: str, label: str = "person") -> dict[str, Any]:
    """An event's message."""
    times = {"start_time": 1.0, "frame_time": 2.0, "end_time": 3.0}
    scores = {"score": 0.5, "top_score": 0.5, "frame": 1, "track_id": 1, "box": [0, 0, 1, 1]}
    best = {"best": {"frame": 1, "box": [0, 0, 1, 1]}}
    return {"id": event_id, "camera": "front", "label": label, "type": "end"} | times | scores | best


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "edgecam.db"


@pytest.fixture
def store(path: Path) -> Iterator[ClipStore]:
    with ClipStore(path) as opened:
        yield opened


def ids(clips: Iterator[ClipRow]) -> list[str]:
    return [each.clip_id for each in clips]


def test_a_clip_grows_and_is_finished(store: ClipStore) -> None:
    store.begun(clip())
    assert list(store.clips()) == [clip()]
    assert store.stored(ClipKind.EVENT) == []
    store.finished("a", DAY.timestamp() + 10, 300, 1000)
    assert list(store.clips()) == [whole()]
    store.finished("a", DAY.timestamp() + 10, 300, 1000, "the power failed")
    assert list(store.clips()) == [whole(cut="the power failed")]


def test_all_that_is_known_of_a_clip_comes_back(store: ClipStore) -> None:
    odd = whole("ü", cut="so", kept=True, clock_synced=False, kind=ClipKind.CONTINUOUS, camera="back")
    store.begun(odd, ["e1", "e2", "e1"])
    assert list(store.clips()) == [odd]
    assert store.events_of("ü") == ["e1", "e2"]


def test_clips_and_events_are_linked_both_ways(store: ClipStore) -> None:
    store.begun(whole("b"), ["e1"])
    store.begun(whole("a"))
    for _ in range(2):
        store.linked("e1", "a")
    store.linked("e2", "a")
    assert [each.clip_id for each in store.of_event("e1")] == ["b", "a"]
    assert sorted(store.events_of("a")) == ["e1", "e2"]
    assert store.of_event("e3") == []
    assert store.events_of("c") == []


def test_clips_come_in_the_order_of_recording_whatever_the_clock_said(store: ClipStore) -> None:
    for clip_id, at in (("c", 60), ("a", -60), ("b", 0)):
        store.begun(clip(clip_id, at))
    assert ids(store.clips()) == ["c", "a", "b"]


def test_clips_are_found_by_camera_kind_and_time(store: ClipStore) -> None:
    store.begun(clip("a", 0))
    store.begun(clip("b", 60, camera="back"))
    store.begun(clip("c", 120, kind=ClipKind.CONTINUOUS))
    minute = timedelta(minutes=1)
    assert ids(store.clips(camera="front")) == ["a", "c"]
    assert ids(store.clips(kind=ClipKind.EVENT)) == ["a", "b"]
    assert ids(store.clips(since=DAY + minute)) == ["b", "c"]
    assert ids(store.clips(until=DAY + minute)) == ["a"]
    assert ids(store.clips(camera="' OR 1=1 --")) == []


def test_a_limit_keeps_the_newest(store: ClipStore) -> None:
    assert ids(store.clips(limit=2)) == []
    for number in range(6):
        store.begun(clip(str(number), camera=("front", "back")[number % 2]))
    assert ids(store.clips(limit=2)) == ["4", "5"]
    assert ids(store.clips(limit=2, camera="front")) == ["2", "4"]
    assert ids(store.clips(limit=9)) == ["0", "1", "2", "3", "4", "5"]


def test_clips_are_read_page_by_page(store: ClipStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecam.clip_store._PAGE", 3)
    for number in range(10):
        store.begun(clip(str(number)))
    read = store.clips()
    assert next(read).clip_id == "0"
    with ClipStore(path) as other:
        other.removed(["1", "5", "7"])
    assert ids(read) == ["1", "2", "3", "4", "6", "8", "9"]


def test_retention_is_told_of_whole_clips_and_the_labels_in_them(store: ClipStore, path: Path) -> None:
    with Journal(path) as journal:
        journal.record(event("e1", "person"))
        journal.record(event("e2", "dog, wet"))
    store.begun(whole("a", kept=True), ["e1", "e2"])
    store.begun(whole("b", clock_synced=False), ["unknown"])
    store.begun(clip("grows"), ["e1"])
    store.begun(whole("c", kind=ClipKind.CONTINUOUS))
    start = DAY.timestamp()
    first, second = store.stored(ClipKind.EVENT)
    assert set(first.labels) == {"person", "dog, wet"}
    assert replace(first, labels=()) == StoredClip("a", "front", (), start, start + 10, 1000, True, True)
    assert second == StoredClip("b", "front", (), start, start + 10, 1000, False, False)
    assert [each.clip_id for each in store.stored(ClipKind.CONTINUOUS)] == ["c"]


def test_a_favourite_is_one_until_it_is_none(store: ClipStore) -> None:
    store.begun(whole())
    store.keep("a", True)
    assert list(store.clips()) == [whole(kept=True)]
    store.keep("a", False)
    assert list(store.clips()) == [whole()]


def test_what_is_removed_or_forgotten_leaves_no_links(store: ClipStore, path: Path) -> None:
    with Journal(path) as journal:
        for event_id in ("e1", "e2"):
            journal.record(event(event_id))
        store.begun(whole("a"), ["e1", "e2"])
        store.begun(whole("b"), ["e1"])
        store.removed(["a"])
        assert ids(store.clips()) == ["b"]
        assert [each.clip_id for each in store.of_event("e1")] == ["b"]
        assert store.of_event("e2") == []
        store.forgotten(["e1"])
        assert [each["id"] for each in journal.events()] == ["e2"]
        assert store.events_of("b") == []


def test_a_store_and_the_journal_write_to_the_same_file(path: Path) -> None:
    with ClipStore(path) as store, Journal(path) as journal, ClipStore(path, read_only=True) as reader:
        for number in range(20):
            journal.record(event(f"e{number}"))
            store.begun(clip(str(number)), [f"e{number}"])
            assert [each.clip_id for each in reader.of_event(f"e{number}")] == [str(number)]


def test_a_journal_of_before_clips_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(journal_schema, "MIGRATIONS", journal_schema.MIGRATIONS[:2])
        Journal(path).open()
    with sqlite3.connect(path) as old:
        values = ("e1", "front", "dog", 0.5, 0.5, 1, 1.0, 2.0, 3.0, 1, 1, "[]", None, None, '{"id": "e1"}')
        old.execute(f"INSERT INTO events VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608 (question marks)
    old.close()
    with pytest.raises(InputError, match="is of schema 2, this edgecam reads "):
        ClipStore(path, read_only=True).open()
    with ClipStore(path) as store, Journal(path) as journal:
        store.begun(clip(), ["e1"])
        assert [each["id"] for each in journal.events()] == ["e1"]


def test_a_reader_says_where_there_is_no_journal(path: Path) -> None:
    with pytest.raises(InputError, match="no journal here"):
        ClipStore(path, read_only=True).open()
    assert not path.exists()


def test_a_foreign_file_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 100)
    with pytest.raises(SinkError, match="damaged, or no database"):
        ClipStore(path).open()
    path.unlink()
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE other (a)")
    foreign.close()
    with pytest.raises(SinkError, match="not a journal of edgecam"):
        ClipStore(path).open()


def test_a_closed_store_says_so(path: Path) -> None:
    store = ClipStore(path)
    store.close()
    with pytest.raises(SinkError, match="not open"):
        store.begun(clip())


def test_a_file_that_may_not_be_written_to_is_one_clear_line(store: ClipStore, path: Path) -> None:
    with ClipStore(path, read_only=True) as reader, pytest.raises(InputError, match="may not be written to"):
        reader.begun(clip())
