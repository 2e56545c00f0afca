"""What becomes of events, seen by whoever looks into the journal every now and then."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from edgecam.errors import InputError
from edgecam.event_search import EventSearch, FoundEvent, Wanted
from edgecam.types import EventType
from edgecam.web.api.archive import Archive

log = logging.getLogger(__name__)

FOLLOWED = 64
"""Events whose changes are seen: those that are not over, and the newest others; a clip may end, or be kept."""
AT_ONCE = 500
"""New events at one look; the others come at the next."""

Change = tuple[EventType, FoundEvent]


class EventWatch:
    """Finds what has changed since it looked last; what there was at the first look is not news.

    While nothing changes a look costs next to nothing. A journal that cannot be read is told of once, and tried again.
    Used by one thread.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._search: EventSearch | None = None
        self._followed: dict[str, FoundEvent] = {}
        self._place = 0
        self._version = -1
        self._refused = False
        self._started = False

    def look(self) -> list[Change]:
        """What has changed, in the order of recording."""
        try:
            return [*self._changes()]
        except InputError as error:
            if not self._refused:
                log.warning("%s", error)
            self._refused = True
            self.close()
            return []

    def close(self) -> None:
        """Let go of the journal. Safe to call twice; another look opens it again."""
        search, self._search = self._search, None
        self._version = -1
        if search is not None:
            search.close()

    def _changes(self) -> Iterator[Change]:
        search = self._opened()
        if search is None:
            self._started = True
            return
        version = search.version()
        if not self._started:
            self._start(search)
        elif version != self._version:
            yield from self._of_known(search)
            yield from self._of_new(search)
        self._version, self._refused = version, False

    def _opened(self) -> EventSearch | None:
        if self._search is None and self._archive.journal.is_file():
            search = EventSearch(self._archive.journal)
            search.open()
            self._search = search
        return self._search

    def _start(self, search: EventSearch) -> None:
        self._started = True
        self._place = search.last_place()
        for found in [*reversed(search.search(Wanted(), FOLLOWED // 2)), *search.open_events(FOLLOWED // 2)]:
            self._follow(found)

    def _of_known(self, search: EventSearch) -> Iterator[Change]:
        found = {event.event_id: event for event in search.events(self._followed)}
        for event_id, before in list(self._followed.items()):
            now = found.get(event_id)
            if now is None:
                del self._followed[event_id]
            elif now != before:
                self._followed[event_id] = now
                yield (EventType.END if now.is_over and not before.is_over else EventType.UPDATE), now

    def _of_new(self, search: EventSearch) -> Iterator[Change]:
        for found in search.recorded_since(self._place, AT_ONCE):
            self._place = found.place
            self._follow(found)
            yield EventType.NEW, found
            if found.is_over:
                yield EventType.END, found

    def _follow(self, found: FoundEvent) -> None:
        """Let go of the one that has been followed for longest, rather of one that is over."""
        self._followed[found.event_id] = found
        if len(self._followed) > FOLLOWED:
            over = (event_id for event_id, event in self._followed.items() if event.is_over)
            del self._followed[next(over, next(iter(self._followed)))]
