"""The event store: which events the journal's file could do without, and what it says of their pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from edgecam.journal_schema import JournalFile, transaction
from edgecam.retention import EARLIEST

AT_ONCE = 500
"""Ids in one question."""
_OLD = """
    SELECT rowid, id, snapshot FROM events
    WHERE rowid > ? AND rowid <= ? AND end_time IS NOT NULL AND NOT (end_time >= ? AND end_time <= ?)
        AND NOT EXISTS (SELECT 1 FROM clip_events JOIN clips ON clips.id = clip_id WHERE event_id = events.id)
    ORDER BY rowid LIMIT ?
"""
_LAST_OLD = "SELECT coalesce(max(rowid), -1) FROM events WHERE start_time >= ? AND start_time < ?"
_PICTURED = """
    SELECT rowid, id, snapshot FROM events
    WHERE rowid > ? AND snapshot IS NOT NULL AND end_time IS NOT NULL AND NOT (end_time >= ? AND end_time <= ?)
    ORDER BY rowid LIMIT ?
"""


class StoredEvent(NamedTuple):
    """An event that is over: its place in the order of recording, and where its picture was noted to be."""

    place: int
    event_id: str
    snapshot: str | None


class EventStore(JournalFile):
    """The events in the journal's file, for whoever keeps it tidy, through a connection of its own.

    Transactions are short. Errors are SinkError. Used by the thread that opened it.
    """

    def last_old(self, before: float) -> int:
        """The place of the last event that is old: began before a time, Unix seconds; -1 where there is none.

        The order of recording says what is old: one whose date cannot be right, of before EARLIEST or in the future, is
        as old as the next that has one, and stays where there is none.
        """
        with self._faults():
            return int(self._opened.execute(_LAST_OLD, (EARLIEST, before)).fetchone()[0])

    def old(self, after: int, last: int, span: tuple[float, float], limit: int) -> list[StoredEvent]:
        """The first events behind the place `after`, up to `last`, that are over and in no clip.

        Those that ended in the `span`, Unix seconds, are not old, however old they were when they began.
        """
        return self._found(_OLD, after, last, *span, limit)

    def pictured(self, after: int, since: float, now: float, limit: int) -> list[StoredEvent]:
        """The next events behind the place `after` that have a picture, but for those that ended from `since` to `now`:
        their picture may still come."""
        return self._found(_PICTURED, after, since, now, limit)

    def known(self, event_ids: Iterable[str]) -> set[str]:
        """Those of the ids that are events'."""
        ids, found = list(event_ids), set[str]()
        for first in range(0, len(ids), AT_ONCE):
            part = ids[first : first + AT_ONCE]
            marks = ", ".join("?" * len(part))
            with self._faults():
                rows = self._opened.execute(f"SELECT id FROM events WHERE id IN ({marks})", part)  # noqa: S608
                found.update(row[0] for row in rows)
        return found

    def forget(self, event_ids: Iterable[str]) -> None:
        """Forget events."""
        self._change(event_ids, "DELETE FROM clip_events WHERE event_id = ?", "DELETE FROM events WHERE id = ?")

    def unpicture(self, event_ids: Iterable[str]) -> None:
        """These events have no picture any more."""
        self._change(event_ids, "UPDATE events SET snapshot = NULL WHERE id = ?")

    def _change(self, event_ids: Iterable[str], *statements: str) -> None:
        ids = [(event_id,) for event_id in event_ids]
        with self._faults(), transaction(self._opened):
            for statement in statements:
                self._opened.executemany(statement, ids)

    def _found(self, query: str, *values: Any) -> list[StoredEvent]:
        with self._faults():
            return [StoredEvent(*row) for row in self._opened.execute(query, values)]
