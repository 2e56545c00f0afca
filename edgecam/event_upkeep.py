"""Events that nobody needs any more, and the pictures of events: both go together, and neither is without the other."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgecam.clip_files import STRANGERS_NAMED, folders, is_old, remove_empty
from edgecam.event_store import EventStore, StoredEvent
from edgecam.sinks.faults import as_sink_error
from edgecam.sinks.names import safe_name

log = logging.getLogger(__name__)

SNAPSHOTS = "snapshots"
"""The folder of the pictures in the data folder: snapshots/CAMERA/2026-11-30/EVENT.jpg."""
BATCH = 50
"""Events dealt with at once: nobody has to wait long for the journal."""
SETTLED_AFTER = 3600.0
"""Seconds after its end from which on an event's picture is no more under way."""
FEW = 10
_NAME = re.compile(r"(\d+\.\d+)-([a-z0-9]+)")
"""The name of an event's picture, and of one that somebody asked for, without its ending."""
_ENDINGS = (".jpg", ".jpg.part")
_REQUESTED = "requested"


@dataclass(frozen=True, slots=True)
class Pictures:
    """What a sweep of the pictures found.

    `removed` were of no event, or unfinished; `lonely` are of no event and stay for now, because they are so many that
    the journal may be another one. `repaired` events said that they had a picture, and have none; `missing` are the ids
    of so many such events that the pictures' disk may be unmounted. `strangers` are files of others: left alone.
    """

    pictures: int = 0
    removed: int = 0
    lonely: int = 0
    repaired: int = 0
    missing: frozenset[str] = frozenset()
    strangers: tuple[str, ...] = ()


class EventUpkeep:
    """Keeps events and their pictures for `max_age` seconds, None: for ever, and as long as a clip shows them.

    `deleted` events went since the start. The methods yield after each piece of work and raise SinkError.
    """

    def __init__(self, store: EventStore, data: Path, max_age: float | None) -> None:
        self.deleted = 0
        self.found = Pictures()
        self._store = store
        self._data = data
        self._folder = data / SNAPSHOTS
        self._max_age = max_age

    def close(self) -> None:
        """Let go of the journal; it is opened again when it is needed."""
        self._store.close()

    def thin(self, now: float | None) -> Iterator[None]:
        """Delete old events with their pictures. `now` in Unix seconds, None while the clock is not known to be right:
        then nothing is old."""
        if now is None or self._max_age is None:
            return
        self._store.open()
        before, place, oldest = self.deleted, -1, now - self._max_age
        last = self._store.last_old(oldest)
        # From place to place: where clips keep many old events, none of them is looked at twice.
        while found := self._store.old(place, last, (oldest, now), BATCH):
            place = found[-1].place
            for event in found:
                self._delete_picture(event)
            self._store.forget(event.event_id for event in found)
            self.deleted += len(found)
            yield
        if self.deleted > before:
            log.info("%d events deleted: they were older than [retention] allows", self.deleted - before)

    def sweep(self, now: float) -> Iterator[None]:
        """Find pictures without an event and events without a picture, and mend that. `now` is in Unix seconds."""
        self._store.open()
        before, self.found = self.found, Pictures()
        lonely: list[Path] = []
        for folder, names in folders(self._folder):
            lonely += self._lonely(folder, names, now)
            if not names and folder != self._folder:
                remove_empty(folder, now)
            yield
        yield from self._remove_lonely(lonely, now)
        yield from self._find_missing(now, before.missing)

    def _lonely(self, folder: Path, names: list[str], now: float) -> list[Path]:
        """The files in a folder that are named as pictures are, and belong to no event."""
        ours = {name: match[0] for name in names if (match := self._match(folder, name))}
        known = self._store.known(ours.values())
        strange = [str(folder / name) for name in sorted(names) if name not in ours]
        strangers = (*self.found.strangers, *strange)[:STRANGERS_NAMED]
        self.found = replace(self.found, pictures=self.found.pictures + len(ours), strangers=strangers)
        return [
            folder / name
            for name, event_id in ours.items()
            if (event_id not in known or name.endswith(".part")) and is_old(folder / name, now)
        ]

    def _match(self, folder: Path, name: str) -> re.Match[str] | None:
        ending = next((each for each in reversed(_ENDINGS) if name.endswith(each)), None)
        if ending is None or len(folder.relative_to(self._folder).parts) != 2:
            return None
        return _NAME.fullmatch(name.removesuffix(ending))

    def _remove_lonely(self, lonely: list[Path], now: float) -> Iterator[None]:
        """Few of no event are remains; many may be all that is left of a journal that was lost, and go by age."""
        many = len(lonely) > max(FEW, self.found.pictures / 2)
        doomed = [path for path in lonely if self._is_over(path, now, spared=many)]
        for number, path in enumerate(doomed, 1):
            with as_sink_error(path):
                path.unlink(missing_ok=True)
            if number % BATCH == 0:
                yield
        if doomed:
            log.warning("%d pictures belonged to no event any more: removed", len(doomed))
        self.found = replace(self.found, removed=len(doomed), lonely=len(lonely) - len(doomed))

    def _is_over(self, path: Path, now: float, *, spared: bool) -> bool:
        """Whether a picture of no event goes. One that somebody asked for never had an event: it goes by its age."""
        taken, kind = path.name.split("-", 1)
        aged = self._max_age is not None and now - float(taken) > self._max_age
        return aged or not (spared or kind.startswith(_REQUESTED)) or kind.endswith(".part")

    def _find_missing(self, now: float, missing_before: frozenset[str]) -> Iterator[None]:
        place, count, missing = 0, 0, set[str]()
        while found := self._store.pictured(place, now - SETTLED_AFTER, now, BATCH):
            place, count = found[-1].place, count + len(found)
            missing |= {event.event_id for event in found if not self._has_picture(event)}
            yield
        many = len(missing) > max(FEW, count / 2)
        gone = missing & missing_before if many else missing
        if gone:
            self._store.unpicture(gone)
            log.warning("%d events have no picture any more: noted", len(gone))
        self.found = replace(self.found, repaired=len(gone), missing=frozenset(missing - gone))

    def _has_picture(self, event: StoredEvent) -> bool:
        noted = Path(event.snapshot or "")
        return noted.is_file() or any(path.is_file() for path in self._pictures_of(event))

    def _delete_picture(self, event: StoredEvent) -> None:
        for path in self._pictures_of(event):
            with as_sink_error(path), suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()

    def _pictures_of(self, event: StoredEvent) -> Iterator[Path]:
        """Where its picture is in this data folder, wherever that was when it was noted; nothing else is ours."""
        parts = Path(event.snapshot or "").parts[-4:]
        ours = len(parts) == 4 and parts[0] == SNAPSHOTS and ".." not in parts
        if ours and parts[3] == f"{safe_name(event.event_id)}.jpg":
            yield self._data.joinpath(*parts)
