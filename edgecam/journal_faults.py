"""What SQLite's faults mean for the journal, and their remedies."""

from __future__ import annotations

import sqlite3

_DAMAGED = (
    "damaged, or no database: move it away and a new one is begun (`sqlite3 FILE .recover` may save what is in it)"
)
_REMEDIES = {
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_READONLY: "may not be written to: mount its disk writable where it is read-only, "
    "else give this user write access, or choose another path",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that the folder exists and that this user may write there",
    sqlite3.SQLITE_BUSY: "in use by another program for too long: stop that one, or try again",
    sqlite3.SQLITE_IOERR: "the disk fails to read or write: look at its space and its health",
}


def explained(error: sqlite3.Error | OSError) -> str:
    """What went wrong with the file, and the remedy."""
    if isinstance(error, OSError):
        return f"cannot be opened: {error.strerror}"
    code = getattr(error, "sqlite_errorcode", None)  # errors of the sqlite3 module itself have none
    return _REMEDIES.get(code & 0xFF, str(error)) if code is not None else str(error)
