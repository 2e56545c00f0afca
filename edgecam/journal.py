"""The journal: every event there was, in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from edgecam.errors import EdgecamError, InputError, SinkError

APPLICATION_ID = 0x65646763
"""Marks the file as ours (`PRAGMA application_id`): "edgc"."""
BUSY_TIMEOUT = 5.0
"""Seconds to wait for another writer."""

_MIGRATIONS = (
    """
    CREATE TABLE events (
        id TEXT PRIMARY KEY,
        camera TEXT NOT NULL,
        label TEXT NOT NULL,
        score REAL NOT NULL,
        top_score REAL NOT NULL,
        track_id INTEGER NOT NULL,
        start_time REAL NOT NULL,
        frame_time REAL NOT NULL,
        end_time REAL,
        frame INTEGER NOT NULL,
        best_frame INTEGER NOT NULL,
        best_box TEXT NOT NULL,
        snapshot TEXT,
        cut TEXT,
        data TEXT NOT NULL
    );
    CREATE INDEX events_by_start ON events (start_time);
    CREATE INDEX open_events ON events (id) WHERE end_time IS NULL;
    """,
)
"""What leads from each schema version (`PRAGMA user_version`) to the next; never edited, only added to."""

_RECORD = """
    INSERT INTO events VALUES (
        :id, :camera, :label, :score, :top_score, :track_id, :start_time, :frame_time, :end_time, :frame,
        :best_frame, :best_box, :snapshot, NULL, :data
    )
    ON CONFLICT (id) DO UPDATE SET
        label = excluded.label, score = excluded.score, top_score = excluded.top_score,
        frame_time = excluded.frame_time, end_time = excluded.end_time, frame = excluded.frame,
        best_frame = excluded.best_frame, best_box = excluded.best_box,
        snapshot = coalesce(excluded.snapshot, snapshot), cut = NULL, data = excluded.data
"""
_SELECT = "SELECT data, end_time, snapshot, cut FROM events"


class Journal:
    """The events of all cameras, one row each, brought up to date by every message.

    A commit is on the disk before `record` returns (`synchronous=FULL`): in WAL mode the weaker NORMAL would lose the
    last events when the plug is pulled, which is how a Pi is switched off; events are few, and each costs one fsync.
    Readers, also of other processes, open with `read_only` and neither wait for the writer nor hold it up.

    Errors are SinkError for a writer and InputError for a reader; a file that is damaged or not ours is left as it is.
    Used by the thread that opened it.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, a writer also creates it and brings it to the present schema. Safe to call twice."""
        if self._connection is not None:
            return
        with self._faults(), ExitStack() as undo:
            self._connection = self._connect()
            undo.callback(self.close)
            self._check()
            undo.pop_all()

    def close(self) -> None:
        """Safe to call twice, and after a failed `open`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with self._faults():
                connection.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def record(self, document: Mapping[str, Any], snapshot: Path | None = None) -> None:
        """Take one event message, as `event_document` makes it; the latest of an event is what is remembered.

        `snapshot` is the event's picture, if there is one; an earlier one is not forgotten.
        """
        row = dict(document) | {
            "best_frame": document["best"]["frame"],
            "best_box": json.dumps(document["best"]["box"]),
            "snapshot": None if snapshot is None else str(snapshot),
            "data": json.dumps(document, ensure_ascii=False, allow_nan=False),
        }
        del row["best"], row["box"]
        with self._faults():
            self._opened.execute(_RECORD, row)

    def events(
        self,
        label: str | None = None,
        camera: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The events that match, oldest first; with `limit` the newest so many of them.

        Each is the last message's document with `snapshot` and `cut` (why an event has no proper end) added. `since`
        and `until` carry a time zone and speak of the event's start; the latter is not included.
        """
        wanted = {
            "label = ?": label,
            "camera = ?": camera,
            "start_time >= ?": None if since is None else since.timestamp(),
            "start_time < ?": None if until is None else until.timestamp(),
        }
        given = {condition: value for condition, value in wanted.items() if value is not None}
        where = f" WHERE {' AND '.join(given)}" if given else ""
        newest = f"SELECT * FROM events{where} ORDER BY start_time DESC, id DESC LIMIT ?"  # noqa: S608 (no input in it)
        query = _SELECT.replace("events", f"({newest})") + " ORDER BY start_time, id"
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

        To be called at start, before any camera runs: an event still in progress would be marked as well.
        """
        query = "UPDATE events SET end_time = frame_time, cut = ? WHERE end_time IS NULL"
        with self._faults():
            return self._opened.execute(query, (reason,)).rowcount

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise self._error("not open")
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        if self._read_only:
            return self._connect_to_read()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _connect_to_read(self) -> sqlite3.Connection:
        if not self._path.is_file():
            raise self._error("no journal here: nothing was recorded yet, or the path is wrong")
        name = self._path.absolute().as_uri()
        connection = sqlite3.connect(f"{name}?mode=ro", timeout=BUSY_TIMEOUT, isolation_level=None, uri=True)
        try:
            connection.execute("PRAGMA schema_version")
        except sqlite3.OperationalError as error:
            connection.close()
            resting = not self._path.with_name(self._path.name + "-wal").exists()
            refused = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            if not (refused and resting):
                raise
            # WAL needs its two companions; where the reader may not create them, nobody writes and none are needed.
            connection = sqlite3.connect(f"{name}?immutable=1", isolation_level=None, uri=True)
        return connection

    def _check(self) -> None:
        """Make sure that the file is a journal, of the schema this edgecam knows; a writer makes it one where empty."""
        newest = len(_MIGRATIONS)
        mine, version = self._pragma("application_id") == APPLICATION_ID, self._pragma("user_version")
        if not mine and (version or self._pragma("schema_version")):
            raise self._error("is a database, but not a journal of edgecam: choose another path, or move it away")
        if version > newest:
            raise self._error(f"is of schema {version}, this edgecam knows {newest}: install the newer edgecam again")
        if version == newest:
            return
        if self._read_only:
            raise self._error(f"is of schema {version}, this edgecam reads {newest}: let `edgecam run` update it")
        self._opened.execute("PRAGMA journal_mode = WAL")
        self._migrate()

    def _migrate(self) -> None:
        """Bring the schema up to date, all or nothing; another writer may have been faster."""
        self._opened.execute("BEGIN IMMEDIATE")
        try:
            for version in range(self._pragma("user_version"), len(_MIGRATIONS)):
                for statement in _MIGRATIONS[version].split(";"):
                    self._opened.execute(statement)
                self._opened.execute(f"PRAGMA user_version = {version + 1}")
            self._opened.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        except sqlite3.Error:
            self._opened.execute("ROLLBACK")
            raise
        self._opened.execute("COMMIT")

    def _pragma(self, name: str) -> int:
        return int(self._opened.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except EdgecamError:
            raise
        except (sqlite3.Error, OSError) as error:
            raise self._error(_explained(error)) from error

    def _error(self, reason: str) -> EdgecamError:
        kind = InputError if self._read_only else SinkError
        return kind(f"journal {self._path}: {reason}")


_DAMAGED = (
    "damaged, or no database: move it away and a new one is begun (`sqlite3 FILE .recover` may save what is in it)"
)
_REMEDIES = {
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_READONLY: "may not be written to: give this user write access, or choose another path",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that the folder exists and that this user may write there",
    sqlite3.SQLITE_BUSY: f"in use by another program for more than {BUSY_TIMEOUT:g} s: stop that one, or try again",
    sqlite3.SQLITE_IOERR: "the disk fails to read or write: look at its space and its health",
}


def _explained(error: sqlite3.Error | OSError) -> str:
    if isinstance(error, OSError):
        return f"cannot be opened: {error.strerror}"
    code = getattr(error, "sqlite_errorcode", None)  # errors of the sqlite3 module itself have none
    return _REMEDIES.get(code & 0xFF, str(error)) if code is not None else str(error)


def _document(row: tuple[str, float | None, str | None, str | None]) -> dict[str, Any]:
    data, end_time, snapshot, cut = row
    document: dict[str, Any] = json.loads(data)
    return document | {"end_time": end_time, "snapshot": snapshot, "cut": cut}
