"""The journal's file: its schema, and how it is opened."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from edgecam.errors import EdgecamError, InputError, SinkError
from edgecam.journal_faults import explained

APPLICATION_ID = 0x65646763
"""Marks the file as ours (`PRAGMA application_id`): "edgc"."""
BUSY_TIMEOUT = 5.0
"""Seconds for which a record waits for another writer."""
_LOG_PAGES = 280
"""About what the write-ahead log grows to before the outbox's connection folds it into the file: 1.1 MB."""
_ROOM_BYTES = 100_000_000
"""Where less is free, it is not for the log."""

MIGRATIONS = (
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
    """
    CREATE TABLE outbox (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        boot TEXT NOT NULL,
        monotonic REAL NOT NULL,
        wall REAL NOT NULL,
        synced INTEGER NOT NULL,
        payload TEXT NOT NULL
    );
    CREATE INDEX outbox_by_synced ON outbox (synced);
    CREATE TABLE outbox_state (lost INTEGER NOT NULL);
    INSERT INTO outbox_state VALUES (0);
    """,
    """
    CREATE TABLE clips (
        id TEXT PRIMARY KEY,
        camera TEXT NOT NULL,
        path TEXT NOT NULL,
        start_time REAL NOT NULL,
        end_time REAL,
        clock_synced INTEGER NOT NULL,
        frames INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        kept INTEGER NOT NULL DEFAULT 0,
        cut TEXT,
        kind TEXT NOT NULL,
        leaving INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX clips_by_start ON clips (start_time);
    CREATE INDEX clips_by_path ON clips (path);
    CREATE INDEX open_clips ON clips (id) WHERE end_time IS NULL;
    CREATE INDEX leaving_clips ON clips (id) WHERE leaving;
    CREATE TABLE clip_events (
        event_id TEXT NOT NULL,
        clip_id TEXT NOT NULL,
        PRIMARY KEY (event_id, clip_id)
    ) WITHOUT ROWID;
    CREATE INDEX events_by_clip ON clip_events (clip_id);
    CREATE INDEX events_by_label ON events (label);
    CREATE INDEX events_by_camera ON events (camera);
    ALTER TABLE events ADD COLUMN zones TEXT;
    UPDATE events SET zones = json_extract(data, '$.entered_zones');
    CREATE INDEX events_by_zones ON events (zones);
    """,
    """
    UPDATE events SET zones = '[]' WHERE zones IS NULL;
    CREATE INDEX events_by_kind ON events (camera, label, zones, start_time);
    CREATE INDEX events_by_score ON events (top_score) WHERE end_time IS NOT NULL;
    CREATE INDEX kept_clips ON clips (id) WHERE kept;
    """,
)
"""What leads from each schema version (`PRAGMA user_version`) to the next; never edited, only added to."""


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Open a file of any kind, or create it. Raises OSError, sqlite3.Error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a file that exists, only to read, also where this user may not write. Raises OSError, sqlite3.Error."""
    name = path.absolute().as_uri()
    connection = sqlite3.connect(f"{name}?mode=ro", timeout=BUSY_TIMEOUT, isolation_level=None, uri=True)
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        connection.close()
        resting = not path.with_name(path.name + "-wal").exists()
        refused = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if not (refused and resting):
            raise
        # WAL needs its two companions; where the reader may not create them, nobody writes and none are needed.
        connection = sqlite3.connect(f"{name}?immutable=1", isolation_level=None, uri=True)
    return connection


def connect_beside(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a file that exists, to write to it beside the one who records. Raises sqlite3.Error."""
    name = path.absolute().as_uri()
    return sqlite3.connect(f"{name}?mode=rw", timeout=timeout, isolation_level=None, uri=True)


def complaint(connection: sqlite3.Connection) -> str:
    """Why this file cannot be used, not even after `migrate`; "" where it can."""
    used = pragma(connection, "schema_version")  # first: another writer may make it a journal between two questions
    newest, version = len(MIGRATIONS), pragma(connection, "user_version")
    mine = pragma(connection, "application_id") == APPLICATION_ID
    if not mine and (version or used):
        return "is a database, but not a journal of edgecam: choose another path, or move it away"
    if version > newest:
        return f"is of schema {version}, this edgecam knows {newest}: install the newer edgecam again"
    return ""


def outdated(connection: sqlite3.Connection) -> str:
    """What to do about a file that is still of an older schema, or empty; "" where it is of the present one."""
    newest, version = len(MIGRATIONS), pragma(connection, "user_version")
    return (
        "" if version == newest else f"is of schema {version}, this edgecam reads {newest}: let `edgecam run` update it"
    )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, all or nothing; another writer may have been faster."""
    _log_ahead(connection)
    with transaction(connection):
        for version in range(pragma(connection, "user_version"), len(MIGRATIONS)):
            for statement in MIGRATIONS[version].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Let the file have a log. Beside a writer about to commit, SQLite refuses this at once, so it is asked again."""
    given_up = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > given_up:
                raise
        time.sleep(0.01)


def make_room(connection: sqlite3.Connection, path: Path) -> None:
    """Let the write-ahead log have its full length from the start: to write over what is there takes a disk a fraction
    of the time that it takes to make a file longer (ext4, here: 0.2 ms against 1.8), and an event waits for it.

    SQLite keeps the log's length when it begins again at its front; so it is filled once, with commits that change
    nothing and that nobody waits for. On a disk with little space, or beside another writer, it stays as it is.
    """
    if shutil.disk_usage(path.parent).free < _ROOM_BYTES:
        return
    version = pragma(connection, "user_version")
    connection.execute("PRAGMA synchronous = OFF")
    with suppress(sqlite3.OperationalError):
        for _ in range(_LOG_PAGES):
            connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("PRAGMA synchronous = FULL")
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written in the context, or nothing of it. Waits for other writers at its beginning."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def pragma(connection: sqlite3.Connection, name: str) -> int:
    """The value of one of SQLite's settings."""
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


class JournalFile:
    """The journal's file, opened by whoever works with it: one connection, of the thread that opened it.

    Errors are SinkError for a writer and InputError for a reader; a file that is damaged or not ours is left as it is.
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

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise self._error("not open")
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        if not self._read_only:
            return connect_to_write(self._path)
        if not self._path.is_file():
            raise self._error("no journal here: nothing was recorded yet, or the path is wrong")
        return connect_to_read(self._path)

    def _check(self) -> None:
        """Make sure that the file is a journal, of the schema this edgecam knows; a writer makes it one where empty."""
        reason = complaint(self._opened) or (outdated(self._opened) if self._read_only else "")
        if reason:
            raise self._error(reason)
        if outdated(self._opened):
            migrate(self._opened)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except EdgecamError:
            raise
        except (sqlite3.Error, OSError) as error:
            raise self._error(explained(error)) from error

    def _error(self, reason: str) -> EdgecamError:
        kind = InputError if self._read_only else SinkError
        return kind(f"journal {self._path}: {reason}")
