"""The event search: which events match, newest first, with what is known of their clips; for readers alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from heapq import merge
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from edgecam.journal_schema import JournalFile, pragma

_SHOWN = "FROM clip_events JOIN clips ON clips.id = clip_id WHERE event_id = events.id AND NOT leaving"
_HAS_CLIP = f"EXISTS (SELECT 1 {_SHOWN})"
_KEPT = "id IN (SELECT event_id FROM clips JOIN clip_events ON clip_id = clips.id WHERE kept AND NOT leaving)"
_IS_KEPT = f"EXISTS (SELECT 1 {_SHOWN} AND kept)"
_GROWS = f"EXISTS (SELECT 1 {_SHOWN} AND clips.end_time IS NULL)"
_COLUMNS = f"events.rowid, data, end_time, snapshot, cut, {_HAS_CLIP}, {_IS_KEPT}, {_GROWS}"
_DAYS = """
    SELECT date(start_time, 'unixepoch', 'localtime') AS day, count(*) FROM events
    {} GROUP BY day HAVING day IS NOT NULL ORDER BY day
"""
_SELECT = f"SELECT {_COLUMNS} FROM events"  # noqa: S608 (constants)
_OF_KIND = f"SELECT start_time, {_COLUMNS} FROM events INDEXED BY events_by_kind"  # noqa: S608 (constants)
_NEWEST_FIRST = "ORDER BY start_time DESC, events.rowid DESC LIMIT ?"
#: The "+" keeps SQLite from going through all events in that order where only a few are in question.
_FEW_NEWEST_FIRST = "ORDER BY +start_time DESC, events.rowid DESC LIMIT ?"
#: Three questions: SQLite would answer that for (camera, label, zones) > (?, ?, ?) by going through all of a camera.
_NEXT_KIND = """
    SELECT * FROM (SELECT camera, label, zones FROM events WHERE camera = ?1 AND label = ?2 AND zones > ?3
        ORDER BY zones LIMIT 1)
    UNION ALL SELECT * FROM (SELECT camera, label, zones FROM events WHERE camera = ?1 AND label > ?2
        ORDER BY label, zones LIMIT 1)
    UNION ALL SELECT * FROM (SELECT camera, label, zones FROM events WHERE camera > ?1
        ORDER BY camera, label, zones LIMIT 1)
    LIMIT 1
"""
_SCORED = "SELECT rowid FROM events WHERE end_time IS NOT NULL AND top_score BETWEEN ? AND ?"
_IN_FEW = f"AND events.rowid IN ({_SCORED} UNION ALL SELECT rowid FROM events WHERE end_time IS NULL)"  # noqa: S608 (constants)
_FEW = 5000
"""So many events are sorted in no time; where more have a score, the next page of them is not far."""
AT_ONCE = 500
"""Ids in one question."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for. Empty lists and None ask for nothing; `after` and `before`, Unix seconds, speak of the start
    and are not included. An event is found in a zone if its object was in one of them at any time."""

    cameras: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    after: float | None = None
    before: float | None = None
    has_clip: bool | None = None
    has_snapshot: bool | None = None
    kept: bool | None = None
    in_progress: bool | None = None
    min_score: float | None = None
    max_score: float | None = None


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """One event as the journal has it.

    `place` is its row's number: later events have higher ones. `document` is that of its last message, its `end_time`
    as things are now. `cut` says why it has no proper end. It has a clip from the moment one has begun, which may still
    grow; it is `kept` if one of them is a favourite.
    """

    place: int
    document: Mapping[str, Any]
    snapshot: str | None
    cut: str | None
    has_clip: bool
    kept: bool
    clip_grows: bool

    @property
    def event_id(self) -> str:
        """Its id."""
        return str(self.document["id"])

    @property
    def is_over(self) -> bool:
        """Whether the object is gone."""
        return self.document["end_time"] is not None


class EventSearch(JournalFile):
    """Looks for events in the journal's file, through a connection of its own that writes nothing.

    Errors are InputError. Used by the thread that opened it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, read_only=True)

    def search(self, wanted: Wanted, limit: int) -> list[FoundEvent]:
        """The newest events that match, by their start, at most so many.

        What is asked for decides where to look, so that nobody waits while all events are gone through for a few, or
        for none: the events that last, the favourites, those of a score that few have, the kinds that match (each
        camera, label and list of zones has its events by their start); else all, by their start.
        """
        conditions, values = _conditions(wanted)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        if wanted.in_progress or wanted.kept:
            return self._found(f"{where} {_FEW_NEWEST_FIRST}", *values, limit)
        if few := self._few_scored(wanted):
            return self._found(f"{where} {_IN_FEW} {_FEW_NEWEST_FIRST}", *values, *few, limit)
        if wanted.cameras or wanted.labels or wanted.zones:
            return self._of_kinds(wanted, limit)
        return self._found(f"{where} {_NEWEST_FIRST}", *values, limit)

    def event(self, event_id: str) -> FoundEvent | None:
        """The event of exactly this id; None where there is none."""
        return next(iter(self._found("WHERE id = ?", event_id)), None)

    def events(self, event_ids: Iterable[str]) -> list[FoundEvent]:
        """The events of these ids, those that there are, in the order of recording."""
        ids, found = list(event_ids), list[FoundEvent]()
        for first in range(0, len(ids), AT_ONCE):
            part = ids[first : first + AT_ONCE]
            found += self._found(f"WHERE id IN ({_marks(part)})", *part)
        return sorted(found, key=lambda event: event.place)

    def open_events(self, limit: int) -> list[FoundEvent]:
        """The newest events that are not over, in the order of recording."""
        return self._found("WHERE end_time IS NULL ORDER BY +events.rowid DESC LIMIT ?", limit)[::-1]

    def recorded_since(self, place: int, limit: int) -> list[FoundEvent]:
        """The next events that were recorded for the first time behind `place`, in that order."""
        return self._found("WHERE events.rowid > ? ORDER BY events.rowid LIMIT ?", place, limit)

    def last_place(self) -> int:
        """The place of the newest event; 0 where there is none."""
        with self._faults():
            return int(self._opened.execute("SELECT coalesce(max(rowid), 0) FROM events").fetchone()[0])

    def version(self) -> int:
        """A number that changes whenever another connection has changed the file: to ask costs next to nothing."""
        with self._faults():
            return pragma(self._opened, "data_version")

    def days(self, camera: str | None = None) -> list[tuple[str, int]]:
        """The local dates ("2026-11-21") on which events began, oldest first, and how many."""
        condition, values = ("WHERE camera = ?", (camera,)) if camera is not None else ("", ())
        with self._faults():
            return [(day, count) for day, count in self._opened.execute(_DAYS.format(condition), values)]

    def _few_scored(self, wanted: Wanted) -> tuple[float, float] | None:
        """The scores asked for, if few events that are over have one of these."""
        if wanted.min_score is None and wanted.max_score is None:
            return None
        low = float("-inf") if wanted.min_score is None else wanted.min_score
        high = float("inf") if wanted.max_score is None else wanted.max_score
        with self._faults():
            query = f"SELECT count(*) FROM ({_SCORED} LIMIT {_FEW})"  # noqa: S608 (constants)
            count = self._opened.execute(query, (low, high)).fetchone()[0]
        return (low, high) if count < _FEW else None

    def _of_kinds(self, wanted: Wanted, limit: int) -> list[FoundEvent]:
        """The newest events of the kinds that match: each kind's come by their start, and only as far as needed."""
        conditions, values = _conditions(replace(wanted, cameras=(), labels=(), zones=()))
        where = " AND ".join(["camera = ? AND label = ? AND zones = ?", *conditions])
        query = f"{_OF_KIND} WHERE {where} {_NEWEST_FIRST}"
        with self._faults(), self._at_one_moment():
            kinds = [kind for kind in self._kinds() if _matches(wanted, *kind)]
            each = (self._opened.execute(query, (*kind, *values, limit)) for kind in kinds)
            newest = merge(*each, key=itemgetter(0, 1), reverse=True)
            return [_event(*row[1:]) for row in islice(newest, limit)]

    def _kinds(self) -> Iterator[tuple[str, str, str]]:
        """Each camera, label and list of zones that there is together: few, whatever the number of events."""
        kind = ("", "", "")
        while found := self._opened.execute(_NEXT_KIND, kind).fetchone():
            yield (kind := found)

    @contextmanager
    def _at_one_moment(self) -> Iterator[None]:
        """The file as it is now, for several questions."""
        self._opened.execute("BEGIN")
        try:
            yield
        finally:
            self._opened.execute("ROLLBACK")

    def _found(self, condition: str, *values: object) -> list[FoundEvent]:
        with self._faults():
            return [_event(*row) for row in self._opened.execute(f"{_SELECT} {condition}", values)]


def _conditions(wanted: Wanted) -> tuple[list[str], list[object]]:
    """The conditions of a search and their values."""
    pairs = [*_ranges(wanted)]
    for column, several in (("camera", wanted.cameras), ("label", wanted.labels)):
        if several:
            pairs.append((f"+{column} IN ({_marks(several)})", several))
    if wanted.zones:
        names = tuple(json.dumps(zone, ensure_ascii=False) for zone in wanted.zones)
        pairs.append((f"({' OR '.join(['instr(zones, ?)'] * len(names))})", names))
    flags = {
        _HAS_CLIP: wanted.has_clip,
        _KEPT: wanted.kept,
        "snapshot IS NOT NULL": wanted.has_snapshot,
        "end_time IS NULL": wanted.in_progress,
    }
    pairs += [
        (condition if flag else f"NOT ({condition})", ()) for condition, flag in flags.items() if flag is not None
    ]
    return [condition for condition, _ in pairs], [value for _, values in pairs for value in values]


def _matches(wanted: Wanted, camera: str, label: str, zones: str) -> bool:
    """Whether events of this kind are looked for."""
    return (
        camera in (wanted.cameras or (camera,))
        and label in (wanted.labels or (label,))
        and (not wanted.zones or any(json.dumps(zone, ensure_ascii=False) in zones for zone in wanted.zones))
    )


def _ranges(wanted: Wanted) -> Iterator[tuple[str, tuple[object, ...]]]:
    bounds = {
        "start_time > ?": wanted.after,
        "start_time < ?": wanted.before,
        "top_score >= ?": wanted.min_score,
        "top_score <= ?": wanted.max_score,
    }
    for condition, value in bounds.items():
        if value is not None:
            yield condition, (value,)


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


def _event(
    place: int,
    data: str,
    end_time: float | None,
    snapshot: str | None,
    cut: str | None,
    has_clip: int,
    kept: int,
    grows: int,
) -> FoundEvent:
    document = json.loads(data) | {"end_time": end_time}
    return FoundEvent(place, document, snapshot, cut, bool(has_clip), bool(kept), bool(grows))
