"""What a journal keeps in memory of the events that go on changes nothing of what it remembers and tells."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_journal import document, told

from edgecam.clip_store import ClipStore
from edgecam.errors import SinkError
from edgecam.frigate import frigate_message
from edgecam.journal import _LATEST_KEPT, Journal

pytestmark = pytest.mark.any_runtime


class Said(NamedTuple):
    """One message of one of a few events."""

    event: int
    kind: str
    label: str
    zones: tuple[str, ...]
    score: float
    picture: bool

    def document(self, frame: int) -> dict[str, Any]:
        end = 99.0 if self.kind == "end" else None
        changes: dict[str, Any] = {
            "label": self.label,
            "entered_zones": list(self.zones),
            "score": self.score,
            "frame": frame,
        }
        return document(str(self.event), end=end, type=self.kind, frame_size=[100, 100], **changes)


MESSAGES = st.lists(
    st.builds(
        Said,
        st.integers(0, 2),
        st.sampled_from(["update", "update", "update", "new", "end"]),
        st.sampled_from(["person", "Fußgänger"]),
        st.sampled_from([(), ("drive",), ("drive", "行")]),
        st.sampled_from([0.5, 0.75]),
        st.booleans(),
    ),
    max_size=12,
)


def record(path: Path, messages: Sequence[Said], *, at_once: bool) -> None:
    """Record all with one journal, or each with one that knows only what is in the file."""
    with Journal(path, outbox=True) as journal:
        for frame, said in enumerate(messages):
            journal.record(said.document(frame), Path(f"{frame}.jpg") if said.picture else None)
            if not at_once:
                journal.close()
                journal.open()


def rows(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM events ORDER BY rowid").fetchall()


@given(MESSAGES)
@settings(max_examples=40, deadline=None)
def test_it_remembers_and_tells_the_same_as_one_that_reads_everything_again(messages: list[Said]) -> None:
    with TemporaryDirectory() as folder:
        first, second = Path(folder) / "first.db", Path(folder) / "second.db"
        record(first, messages, at_once=True)
        record(second, messages, at_once=False)
        assert rows(first) == rows(second)
        assert told(first) == told(second)


def test_what_was_not_committed_is_not_what_was_before(tmp_path: Path) -> None:
    path = tmp_path / "edgecam.db"
    with Journal(path, outbox=True) as journal:
        journal.record(document(type="new", score=0.5))
        with pytest.raises((SinkError, ValueError)):
            journal.record_all([(document(type="update", score=0.6), None), (document(score=float("nan")), None)])
        journal.record(document(type="update", score=0.7))
    assert [(each["before"]["score"], each["after"]["score"]) for each in told(path)] == [(0.5, 0.5), (0.5, 0.7)]


def test_an_event_that_somebody_else_has_ended_or_forgotten_is_remembered_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "edgecam.db"
    with Journal(path, outbox=True) as journal, Journal(path) as other:
        journal.record(document("ended"))
        journal.record(document("forgotten"))
        other.close_open_events("power lost")
        with ClipStore(path) as store:
            store.forgotten(["forgotten"])
        for event_id in ("ended", "forgotten"):
            journal.record(document(event_id, type="update", score=0.9))
        found = {each["id"]: (each["score"], each["end_time"], each["cut"]) for each in journal.events()}
    assert found == {"ended": (0.9, None, None), "forgotten": (0.9, None, None)}


def test_of_events_without_end_only_so_many_are_kept_in_memory(tmp_path: Path) -> None:
    with Journal(tmp_path / "edgecam.db", outbox=True) as journal:
        journal.record_all((document(str(number)), None) for number in range(_LATEST_KEPT + 10))
        assert len(journal._latest) == _LATEST_KEPT
        journal.record(document("0", type="update"))
        journal.record(document("1", end=3.0))
        assert ("0" in journal._latest, "1" in journal._latest) == (True, False)


def test_what_was_recorded_comes_back_as_it_lies_in_the_outbox(tmp_path: Path) -> None:
    path = tmp_path / "edgecam.db"
    with Journal(path, outbox=True) as journal:
        messages = journal.record_all((document(str(number)), None) for number in range(3))
    assert [message.sequence for message in messages] == [1, 2, 3]
    assert [message.payload for message in messages] == payloads(path)


def test_its_messages_are_word_for_word_those_of_frigates_form(tmp_path: Path) -> None:
    said = [Said(1, kind, "Fußgänger", ("行",) * (kind != "new"), 0.75, True) for kind in ("new", "update", "end")]
    path = tmp_path / "edgecam.db"
    record(path, said, at_once=True)
    told = [{**each.document(frame), "snapshot": f"{frame}.jpg", "clip": None} for frame, each in enumerate(said)]
    messages = [frigate_message(before, after) for before, after in zip([None, *told], told, strict=False)]
    assert payloads(path) == [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in messages]


def payloads(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT payload FROM outbox ORDER BY sequence")]
