"""The journal: every event there was, in SQLite; and, in the same commit, the message that is to go out about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from edgecam.clock import SystemClock
from edgecam.errors import InputError
from edgecam.frigate import frigate_object, unannounced
from edgecam.journal_schema import (
    JournalFile,
    make_room,
    transaction,
)
from edgecam.outbox import Moment, OutboxMessage, moment, put
from edgecam.ports import Clock

_RECORD = """
    INSERT INTO events VALUES (
        :id, :camera, :label, :score, :top_score, :track_id, :start_time, :frame_time, :end_time, :frame,
        :best_frame, :best_box, :snapshot, NULL, :data, :zones
    )
    ON CONFLICT (id) DO UPDATE SET
        score = excluded.score, top_score = excluded.top_score,
        frame_time = excluded.frame_time, end_time = excluded.end_time, frame = excluded.frame,
        best_frame = excluded.best_frame, best_box = excluded.best_box,
        snapshot = coalesce(excluded.snapshot, snapshot), cut = NULL, data = excluded.data
"""
#: Of an event that goes on, and is known to be there: half the work, since no index is touched.
_GOES_ON = """
    UPDATE events SET
        score = :score, top_score = :top_score, frame_time = :frame_time, frame = :frame, best_frame = :best_frame,
        best_box = :best_box, snapshot = coalesce(:snapshot, snapshot), cut = NULL, data = :data
    WHERE id = :id AND end_time IS NULL
"""
#: Apart, and only where they have changed: each has an index, which would be written every time.
_INDEXED = """
    UPDATE events SET label = :label, zones = :zones
    WHERE id = :id AND (label IS NOT :label OR zones IS NOT :zones)
"""
_CLIP = "SELECT path FROM clip_events JOIN clips ON clips.id = clip_id WHERE event_id = {} ORDER BY clips.rowid LIMIT 1"
_CLIP_OF_ONE = _CLIP.format("?")
_SELECT = f"SELECT data, end_time, snapshot, cut, ({_CLIP.format('events.id')}) FROM events"  # noqa: S608 (constants)
#: Events have few different lists of zones: to find those first, each by the one before it, is soon done.
_IN_ZONE = """zones IN (
    WITH RECURSIVE lists (entered) AS (
        SELECT min(zones) FROM events
        UNION ALL SELECT (SELECT min(zones) FROM events WHERE zones > entered) FROM lists WHERE entered IS NOT NULL
    )
    SELECT entered FROM lists WHERE instr(entered, ?)
)"""
#: Of an event's messages, in order.
_TYPES = ("new", "update", "end")
_TOLD = "SELECT data, end_time, snapshot, cut, json_extract(data, '$.clip') FROM events"
_TOLD_OF_ONE = f"{_TOLD} WHERE id = ?"
_LATEST_KEPT = 256
"""Events that go on whose last message is kept in memory besides; of others it is read from the file."""
_full_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_short_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class _Latest(NamedTuple):
    """What the last message of an event said, as far as the next one needs it; `told` is its object as JSON."""

    label: str
    zones: str
    snapshot: str | None
    told: str


class Journal(JournalFile):
    """The events of all cameras, one row each, brought up to date by every message.

    A commit is on the disk before `record` returns (`synchronous=FULL`): in WAL mode the weaker NORMAL would lose the
    last events when the plug is pulled, which is how a Pi is switched off; events are few, and each costs one fsync.
    Readers, also of other processes, open with `read_only` and neither wait for the writer nor hold it up.

    With `outbox` every commit also holds the message for `<prefix>/events`, in Frigate's form, for an Outbox to hand
    on: there is no event that was remembered and not told, nor the reverse. `clock` says when; the system's if None.

    Errors are SinkError for a writer and InputError for a reader; a file that is damaged or not ours is left as it is.
    Used by the thread that opened it.
    """

    def __init__(
        self, path: Path, *, read_only: bool = False, outbox: bool = False, clock: Clock | None = None
    ) -> None:
        super().__init__(path, read_only=read_only)
        self._outbox = outbox
        self._clock = clock or SystemClock()
        self._latest: dict[str, _Latest] = {}

    def record(self, document: Mapping[str, Any], snapshot: Path | None = None) -> None:
        """Take one event message, as `event_document` makes it; the latest of an event is what is remembered.

        `snapshot` is the event's picture, if there is one; an earlier one is not forgotten. `clip` is added to the
        document: the path of the first clip that a ClipStore knows to show the event, None while there is none, and in
        a `new`, which does not ask.
        """
        self.record_all([(document, snapshot)])

    def record_all(self, messages: Iterable[tuple[Mapping[str, Any], Path | None]]) -> list[OutboxMessage]:
        """Take several as `record` does one, in one commit: all or none.

        Returns what lies in the outbox by then, for whoever sends it on: nothing without `outbox`.
        """
        with self._recording():
            told = [self._record(document, snapshot) for document, snapshot in messages]
        return [message for message in told if message is not None]

    def record_late(self, messages: Iterable[tuple[Mapping[str, Any], Path | None, Moment]]) -> int:
        """Take messages that could not be recorded in their time, of each event in order, in one commit; returns how
        many were new.

        With each comes the moment that its outbox is to be told. One that is recorded already changes nothing: of one
        event there is one message for each frame, but for an `end` with the last of them.
        """
        taken = 0
        with self._recording():
            for document, snapshot, recorded in messages:
                if not self._is_recorded(document):
                    self._record(document, snapshot, recorded)
                    taken += 1
        return taken

    def _is_recorded(self, document: Mapping[str, Any]) -> bool:
        query = "SELECT frame_time, json_extract(data, '$.type') FROM events WHERE id = ?"
        row = self._opened.execute(query, (document["id"],)).fetchone()
        if row is None:
            return False
        return bool((document["frame_time"], _TYPES.index(document["type"])) <= (row[0], _TYPES.index(row[1])))

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """One commit; where it fails, nothing that is known of the events' last messages holds any more."""
        committed = False
        try:
            with self._faults(), transaction(self._opened):
                yield
            committed = True
        finally:
            if not committed:
                self._latest.clear()

    def _record(
        self, document: Mapping[str, Any], snapshot: Path | None, recorded: Moment | None = None
    ) -> OutboxMessage | None:
        event_id = document["id"]
        known = {**document, "clip": None if document["type"] == "new" else self._clip(event_id)}
        row = known | {
            "best_frame": document["best"]["frame"],
            "best_box": json.dumps(document["best"]["box"]),
            "snapshot": None if snapshot is None else str(snapshot),
            "data": _full_text(known),
            "zones": _short_text(document.get("entered_zones", [])),
        }
        del row["best"], row["box"]
        latest = self._latest.pop(event_id, None)
        before = self._recorded(event_id) if self._outbox and latest is None else None
        self._store(row, latest)
        if not self._outbox:
            return None
        picture = row["snapshot"] or (latest.snapshot if latest else (before or {}).get("snapshot"))
        after = frigate_object({**known, "snapshot": picture})
        told = _short_text(after)
        was = latest.told if latest else _short_text(frigate_object(before) if before else unannounced(after))
        if row["end_time"] is None:
            self._remember(event_id, _Latest(row["label"], row["zones"], picture, told))
        return self._put(document["type"], was, told, recorded)

    def _store(self, row: Mapping[str, Any], latest: _Latest | None) -> None:
        """Bring the event's row up to date."""
        same = latest and (latest.label, latest.zones, None) == (row["label"], row["zones"], row["end_time"])
        if same and self._opened.execute(_GOES_ON, row).rowcount:
            return
        self._opened.execute(_RECORD, row)
        self._opened.execute(_INDEXED, row)

    def _remember(self, event_id: str, latest: _Latest) -> None:
        self._latest[event_id] = latest
        if len(self._latest) > _LATEST_KEPT:
            del self._latest[next(iter(self._latest))]

    def events(
        self,
        label: str | None = None,
        camera: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        zone: str | None = None,
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The events that match, in the order in which they were first recorded; with `limit` the newest so many.

        Each is the last message's document with `snapshot`, `clip` (the first one, as things are now, relative to the
        data folder) and `cut` (why an event has no proper end) added. `since` and `until` carry a time zone and speak
        of the event's start; the latter is not included. `zone` is one that the object was in.
        """
        wanted = {
            "label = ?": label,
            "camera = ?": camera,
            "start_time >= ?": None if since is None else since.timestamp(),
            "start_time < ?": None if until is None else until.timestamp(),
            _IN_ZONE: None if zone is None else json.dumps(zone, ensure_ascii=False),
        }
        given = {condition: value for condition, value in wanted.items() if value is not None}
        where = f" WHERE {' AND '.join(given)}" if given else ""
        newest = f"SELECT *, rowid AS place FROM events{where} ORDER BY rowid DESC LIMIT ?"  # noqa: S608 (no input in it)
        query = _SELECT.replace("FROM events", f"FROM ({newest}) AS events") + " ORDER BY place"
        with self._faults():
            for row in self._opened.execute(query, [*given.values(), -1 if limit is None else limit]):
                yield _document(row)

    def event(self, event_id: str) -> dict[str, Any] | None:
        """The event with this id, or the one whose id begins so; None where there is none.

        Raises InputError where several begin so.
        """
        with self._faults():
            query = f"{_SELECT} WHERE id >= ? AND id < ? ORDER BY id LIMIT 2"
            rows = self._opened.execute(query, (event_id, event_id + "\U0010ffff")).fetchall()
        if len(rows) > 1 and json.loads(rows[0][0])["id"] != event_id:
            raise InputError(f"event {event_id}: several ids begin so: give more of it")
        return _document(rows[0]) if rows else None

    def close_open_events(self, reason: str) -> int:
        """Mark the events that a crash has left open as cut, ended at their last message; returns how many.

        With `outbox` an `end` goes out for each. To be called at start, before any camera runs: an event still in
        progress would be marked as well.
        """
        self._latest.clear()
        with self._faults(), transaction(self._opened):
            rows = self._opened.execute(f"{_TOLD} WHERE end_time IS NULL ORDER BY +rowid").fetchall()
            query = "UPDATE events SET end_time = frame_time, cut = ? WHERE end_time IS NULL"
            self._opened.execute(query, (reason,))
            for before in map(_document, rows if self._outbox else ()):
                clip = self._clip(before["id"])
                after = {"type": "end", "end_time": before["frame_time"], "cut": reason, "clip": clip}
                was, told = (_short_text(frigate_object(each)) for each in (before, before | after))
                self._put("end", was, told)
        return len(rows)

    def _recorded(self, event_id: str) -> dict[str, Any] | None:
        row = self._opened.execute(_TOLD_OF_ONE, (event_id,)).fetchone()
        return None if row is None else _document(row)

    def _clip(self, event_id: str) -> str | None:
        row = self._opened.execute(_CLIP_OF_ONE, (event_id,)).fetchone()
        return None if row is None else str(row[0])

    def _put(self, kind: str, before: str, after: str, recorded: Moment | None = None) -> OutboxMessage:
        """Add a message of the two objects, as `frigate_message` makes it."""
        payload = f'{{"type":{_short_text(kind)},"before":{before},"after":{after}}}'
        return put(self._opened, payload, recorded or moment(self._clock))

    def _check(self) -> None:
        self._latest.clear()  # by another process, the file may have become another since
        super()._check()
        if not self._read_only:
            make_room(self._opened, self._path)


def _document(row: tuple[str, float | None, str | None, str | None, str | None]) -> dict[str, Any]:
    data, end_time, snapshot, cut, clip = row
    document: dict[str, Any] = json.loads(data)
    return document | {"end_time": end_time, "snapshot": snapshot, "cut": cut, "clip": clip}
