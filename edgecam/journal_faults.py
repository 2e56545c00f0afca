"""What SQLite's faults mean for the journal, and their remedies."""

from __future__ import annotations

import sqlite3
from errno import EDQUOT, EIO, ENOSPC, EROFS

from edgecam.errors import SinkError

_DAMAGED = (
    "damaged, or no database: move it away and a new one is begun (`sqlite3 FILE .recover` may save what is in it)"
)
_FULL = "the disk is full: free some space"
_REMEDIES = {
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,  # of the file beside the journal that all who have it open share
    sqlite3.SQLITE_READONLY: "may not be written to: mount its disk writable where it is read-only, "
    "else give this user write access, or choose another path",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that the folder exists and that this user may write there",
    sqlite3.SQLITE_BUSY: "in use by another program for too long: stop that one, or try again",
    sqlite3.SQLITE_IOERR: "the disk fails to read or write: look at its space and its health",
}


_OF_THE_DISK = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR}


def may_pass(error: SinkError) -> bool:
    """Whether it is the disk that refuses, being full, read-only or at fault, and not what the file is or where."""
    cause = error.__cause__
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _OF_THE_DISK
    return isinstance(cause, OSError) and cause.errno in {ENOSPC, EDQUOT, EROFS, EIO}


def explained(error: sqlite3.Error | OSError) -> str:
    """What went wrong with the file, and the remedy."""
    if isinstance(error, OSError):
        return f"cannot be opened: {error.strerror}"
    code = getattr(error, "sqlite_errorcode", None)  # errors of the sqlite3 module itself have none
    if code is None:
        return str(error)
    return _REMEDIES.get(code) or _REMEDIES.get(code & 0xFF, str(error))
