"""What was recorded, for whoever asks: the journal, opened anew for each question, and the files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import HTTPException

from edgecam.clip_files import clip_file
from edgecam.clip_store import ClipKind, ClipRow, ClipStore
from edgecam.event_search import EventSearch, FoundEvent, Wanted
from edgecam.event_upkeep import SNAPSHOTS
from edgecam.recording.fragments import part_of

JOURNAL = "edgecam.db"
"""The journal's file in the data folder."""


class Archive:
    """Events, pictures and clips in a data folder. Used by any thread. Methods raise InputError, SinkError, and
    HTTPException for what there is not."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.journal = data / JOURNAL

    @contextmanager
    def searching(self) -> Iterator[EventSearch | None]:
        """The journal, to be read; None while nothing was recorded yet."""
        if not self.journal.is_file():
            yield None
            return
        with EventSearch(self.journal) as search:
            yield search

    def search(self, wanted: Wanted, limit: int) -> list[FoundEvent]:
        """The newest events that match."""
        with self.searching() as search:
            return search.search(wanted, limit) if search else []

    def event(self, event_id: str) -> FoundEvent:
        """The event of this id."""
        with self.searching() as search:
            found = search.event(event_id) if search else None
        if found is None:
            raise HTTPException(404, f"event {event_id}: there is none, or none any more")
        return found

    def clips(self, event_id: str) -> list[ClipRow]:
        """The clips that show an event, those made for events first."""
        with ClipStore(self.journal, read_only=True) as store:
            return sorted(store.of_event(event_id), key=lambda clip: clip.kind is not ClipKind.EVENT)

    def clip(self, event_id: str, number: int) -> tuple[ClipRow, Path]:
        """One of an event's clips, from 0, and its file: what there is of it, if it still grows."""
        self.event(event_id)
        clips = self.clips(event_id)
        if number >= len(clips):
            said = f"has {len(clips)} clips, counted from 0" if clips else "has no clip"
            raise HTTPException(404, f"event {event_id}: {said}")
        path = clip_file(self.data, clips[number])
        for file in (path, part_of(path)):
            if file.is_file():
                return clips[number], file
        raise HTTPException(404, f"event {event_id}: the file of its clip is missing")

    def picture(self, found: FoundEvent) -> Path:
        """An event's picture."""
        path = self._noted(found.snapshot) if found.snapshot else None
        if path is None or not path.is_file():
            raise HTTPException(404, f"event {found.event_id}: has no picture")
        return path

    def _noted(self, snapshot: str) -> Path | None:
        """Where a picture is in this data folder, wherever that was when it was noted; nothing else is ours."""
        parts = Path(snapshot).parts[-4:]
        ours = len(parts) == 4 and parts[0] == SNAPSHOTS and ".." not in parts and parts[3].endswith(".jpg")
        return self.data.joinpath(*parts) if ours else None
