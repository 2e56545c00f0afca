"""The clip store: what the journal's file knows of the clips, which of them show which event, and what is to stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from edgecam.journal_schema import (
    JournalFile,
    transaction,
)
from edgecam.retention import StoredClip

_COLUMNS = "id, camera, path, start_time, end_time, clock_synced, frames, bytes, kept, cut, kind"
_BEGIN = f"INSERT OR REPLACE INTO clips ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 (a constant)
_FINISH = "UPDATE clips SET end_time = ?, frames = ?, bytes = ?, cut = ? WHERE id = ?"
_LINK = "INSERT OR IGNORE INTO clip_events VALUES (?, ?)"
_LABELS = """
    (SELECT group_concat(label, char(10)) FROM clip_events JOIN events ON events.id = event_id WHERE clip_id = clips.id)
"""
_STORED = """
    SELECT id, camera, start_time, end_time, bytes, kept, clock_synced, {labels}
    FROM clips WHERE end_time IS NOT NULL AND kind = ? AND NOT leaving ORDER BY rowid
"""
_SOME_LABELS = f"CASE WHEN clock_synced AND start_time BETWEEN ? AND ? THEN NULL ELSE {_LABELS} END"
_CLAIM = "UPDATE clips SET leaving = 1 WHERE id = ? AND end_time IS NOT NULL AND (NOT kept OR ?)"
_PAGE = 1000
"""Clips read at once: a reader that takes its time must not make the write-ahead log grow."""


class ClipKind(StrEnum):
    """Why a clip was recorded: for events, or as one segment of all there is."""

    EVENT = "event"
    CONTINUOUS = "continuous"


@dataclass(frozen=True, slots=True)
class ClipRow:
    """One clip, as the journal knows it.

    `path` is relative to the data folder. `start` and `end` are Unix seconds, `end` None while it grows: `start` as the
    clock stood when the clip began, `end` so much later as it is long, whatever the clock did meanwhile.
    `clock_synced` says whether that clock was known to be right. `cut` says why it has no proper end, None where it
    has. A `kept` clip is a favourite.
    """

    clip_id: str
    camera: str
    path: Path
    start: float
    end: float | None = None
    clock_synced: bool = True
    frames: int = 0
    size_bytes: int = 0
    kept: bool = False
    cut: str | None = None
    kind: ClipKind = ClipKind.EVENT


class ClipStore(JournalFile):
    """The clips in the journal's file, through a connection of its own.

    A commit is on the disk before a method that writes returns; clips are few. Transactions are short, so that who
    records events hardly waits for them. A writer makes the file where there is none; readers open with `read_only`.

    Errors are SinkError for a writer and InputError for a reader. Used by the thread that opened it.
    """

    def begun(self, clip: ClipRow, event_ids: Iterable[str] = ()) -> None:
        """A clip has begun, or a whole one was found; it shows these events. Another one of that id is replaced."""
        row = (clip.clip_id, clip.camera, clip.path.as_posix(), clip.start, clip.end, clip.clock_synced, clip.frames,
               clip.size_bytes, clip.kept, clip.cut, str(clip.kind))  # fmt: skip
        with self._faults(), transaction(self._opened):
            self._opened.execute(_BEGIN, row)
            self._opened.executemany(_LINK, [(event_id, clip.clip_id) for event_id in event_ids])

    def finished(self, clip_id: str, end_time: float, frames: int, size_bytes: int, cut: str | None = None) -> None:
        """A clip is whole: it ends at this Unix time. `cut` says why it has no proper end."""
        with self._faults(), transaction(self._opened):
            self._opened.execute(_FINISH, (end_time, frames, size_bytes, cut, clip_id))

    def linked(self, event_id: str, clip_id: str) -> None:
        """A clip shows an event, whether the journal knows of that already or not."""
        with self._faults(), transaction(self._opened):
            self._opened.execute(_LINK, (event_id, clip_id))

    def keep(self, clip_id: str, kept: bool) -> bool:  # noqa: FBT001 (it is what is set)
        """Make a clip a favourite, or no longer; False where there is none, or it is being deleted."""
        query = "UPDATE clips SET kept = ? WHERE id = ? AND NOT leaving"
        with self._faults(), transaction(self._opened):
            return self._opened.execute(query, (kept, clip_id)).rowcount > 0

    def claim(self, clip_ids: Iterable[str], *, favourites: bool = False) -> list[ClipRow]:
        """Say that these clips are about to be deleted; returns those that are to be.

        From now on they are not among the clips, but in `claimed` until they are `removed`: what a crash interrupts can
        be completed. Clips that grow are not claimed, favourites only if asked for, also where they have become one a
        moment ago.
        """
        ids = list(clip_ids)
        with self._faults(), transaction(self._opened):
            for clip_id in ids:
                self._opened.execute(_CLAIM, (clip_id, favourites))
        wanted = set(ids)
        return [clip for clip in self.claimed() if clip.clip_id in wanted]

    def claimed(self) -> list[ClipRow]:
        """The clips that are being deleted."""
        return [_clip(row) for row in self._rows(f"SELECT {_COLUMNS} FROM clips WHERE leaving ORDER BY +rowid")]  # noqa: S608 (a constant)

    def removed(self, clip_ids: Iterable[str]) -> None:
        """The files of these clips are gone."""
        ids = [(clip_id,) for clip_id in clip_ids]
        with self._faults(), transaction(self._opened):
            self._opened.executemany("DELETE FROM clip_events WHERE clip_id = ?", ids)
            self._opened.executemany("DELETE FROM clips WHERE id = ?", ids)

    def forgotten(self, event_ids: Iterable[str]) -> None:
        """Forget events, and which clips show them; the clips stay."""
        ids = [(event_id,) for event_id in event_ids]
        with self._faults(), transaction(self._opened):
            self._opened.executemany("DELETE FROM clip_events WHERE event_id = ?", ids)
            self._opened.executemany("DELETE FROM events WHERE id = ?", ids)

    def clips(
        self,
        camera: str | None = None,
        kind: ClipKind | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[ClipRow]:
        """The clips that match, in the order of recording, with `limit` the newest so many; some may still grow.

        `since` and `until` carry a time zone and speak of the clip's start; the latter is not included.
        """
        wanted = {
            "camera = ?": camera,
            "kind = ?": kind,
            "start_time >= ?": None if since is None else since.timestamp(),
            "start_time < ?": None if until is None else until.timestamp(),
        }
        given = {condition: value for condition, value in wanted.items() if value is not None}
        where = " AND ".join(["NOT leaving AND rowid > ?", *given])
        query = f"SELECT rowid, {_COLUMNS} FROM clips WHERE {where} ORDER BY rowid"  # noqa: S608 (no input in it)
        last = -1
        if limit is not None:
            newest = f"SELECT min(rowid) - 1 FROM ({query} DESC LIMIT ?)"  # noqa: S608 (no input in it)
            last = self._rows(newest, last, *given.values(), limit)[0][0] or 0
        while rows := self._rows(f"{query} LIMIT {_PAGE}", last, *given.values()):
            yield from (_clip(row[1:]) for row in rows)
            last = rows[-1][0]

    def clip(self, clip_id: str) -> ClipRow | None:
        """The clip of this id, also one that is being deleted."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM clips WHERE id = ?", clip_id)  # noqa: S608 (a constant)
        return _clip(rows[0]) if rows else None

    def growing(self) -> list[ClipRow]:
        """The clips that are not whole yet, or never will be: a crash leaves such."""
        query = f"SELECT {_COLUMNS} FROM clips WHERE end_time IS NULL ORDER BY +rowid"  # noqa: S608 (columns of our own)
        return [_clip(row) for row in self._rows(query)]

    def in_folder(self, folder: Path) -> dict[str, ClipRow]:
        """The clips in a folder, itself relative to the data folder, by file name; also those being deleted."""
        query = f"SELECT {_COLUMNS} FROM clips WHERE path > ? AND path < ?"  # noqa: S608 (a constant)
        rows = map(_clip, self._rows(query, f"{folder.as_posix()}/", f"{folder.as_posix()}0"))
        return {clip.path.name: clip for clip in rows if clip.path.parent == folder}

    def total_bytes(self) -> int:
        """What all clips take that are whole."""
        return int(self._rows("SELECT coalesce(sum(bytes), 0) FROM clips WHERE NOT leaving")[0][0])

    def measured(self, clip_id: str, size_bytes: int) -> None:
        """A clip takes so much, whatever was thought before."""
        with self._faults(), transaction(self._opened):
            self._opened.execute("UPDATE clips SET bytes = ? WHERE id = ?", (size_bytes, clip_id))

    def of_event(self, event_id: str) -> list[ClipRow]:
        """The clips that show an event, in the order of recording."""
        joined = f"SELECT {_COLUMNS} FROM clip_events JOIN clips ON id = clip_id"  # noqa: S608 (a constant)
        query = f"{joined} WHERE event_id = ? AND NOT leaving ORDER BY clips.rowid"
        return [_clip(row) for row in self._rows(query, event_id)]

    def events_of(self, clip_id: str) -> list[str]:
        """The ids of the events that a clip shows."""
        return [row[0] for row in self._rows("SELECT event_id FROM clip_events WHERE clip_id = ?", clip_id)]

    def stored(
        self, kind: ClipKind, *, labels: bool = True, unlabelled: tuple[float, float] = (1.0, 0.0)
    ) -> list[StoredClip]:
        """What retention is to know: the clips of a kind that are whole, in the order of recording.

        Without `labels`, which only bounds of age by label ask for, that takes a fraction of the time; those that began
        in the span `unlabelled`, Unix seconds by a clock that was right, come without them in any case.
        """
        query, values = (_SOME_LABELS, unlabelled) if labels else ("NULL", ())
        rows = self._rows(_STORED.format(labels=query), *values, kind)
        return [
            StoredClip(clip_id, camera, _split(found), start, end, size, bool(kept), bool(synced))
            for clip_id, camera, start, end, size, kept, synced, found in rows
        ]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._faults():
            return self._opened.execute(query, values).fetchall()


def _split(labels: str | None) -> tuple[str, ...]:
    return tuple(labels.split("\n")) if labels else ()


def _clip(row: tuple[Any, ...]) -> ClipRow:
    clip_id, camera, path, start, end, synced, frames, size, kept, cut, kind = row
    return ClipRow(clip_id, camera, Path(path), start, end, bool(synced), frames, size, bool(kept), cut, ClipKind(kind))
