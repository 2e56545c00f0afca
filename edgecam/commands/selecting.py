"""Which events a command is about: those named, or all that match."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edgecam.errors import InputError


@dataclass(frozen=True, slots=True)
class Selection:
    """Events by id, or by what they have in common; both at once is refused. Nothing at all means every event."""

    event_ids: tuple[str, ...] = ()
    camera: str | None = None
    label: str | None = None
    zone: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def filters(self) -> dict[str, Any]:
        """What was asked for besides ids, as the keywords of `Journal.events`."""
        wanted = {name: getattr(self, name) for name in ("camera", "label", "zone", "since", "until")}
        return {name: value for name, value in wanted.items() if value is not None}

    @property
    def is_all(self) -> bool:
        """Whether nothing was asked for."""
        return not self.event_ids and not self.filters


def selected(journal: Path, wanted: Selection, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """The documents of the events, oldest first. Raises InputError."""
    from edgecam.journal import Journal

    if wanted.event_ids and wanted.filters:
        raise InputError(f"name events or give --{next(iter(wanted.filters))}, not both")
    with Journal(journal, read_only=True) as events:
        if not wanted.event_ids:
            yield from events.events(**wanted.filters, limit=limit)
        for event_id in dict.fromkeys(wanted.event_ids):
            event = events.event(event_id)
            if event is None:
                raise InputError(f"no event {event_id} in the journal: see `edgecam events list`")
            yield event
