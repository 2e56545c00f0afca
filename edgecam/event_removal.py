"""Deleting events with all that belongs to them: clips and pictures first, so that nothing stays that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam.clip_files import delete as delete_clips
from edgecam.clip_store import ClipStore


@dataclass(frozen=True, slots=True)
class Removed:
    """What was deleted, and how much that freed."""

    events: int = 0
    clips: int = 0
    freed_bytes: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.events + other.events, self.clips + other.clips, self.freed_bytes + other.freed_bytes)


def remove_events(
    store: ClipStore, data: Path, events: Iterable[Mapping[str, Any]], *, favourites: bool = False
) -> Removed:
    """Delete a few events, which are over, with their pictures, and with their clips where no other event is in them.

    `events` are documents as a Journal has them. Without `favourites` those with a clip that is one stay. Whoever
    records waits until this is done: not too many at a time. Raises SinkError.
    """
    batch = {event["id"]: event for event in events}
    found = {clip.clip_id: clip for event_id in batch for clip in store.of_event(event_id)}
    if not favourites:
        spared = {event for clip_id, clip in found.items() if clip.kept for event in store.events_of(clip_id)}
        batch = {event_id: event for event_id, event in batch.items() if event_id not in spared}
    alone = [clip_id for clip_id in found if set(store.events_of(clip_id)) <= batch.keys()]
    claimed = store.claim(alone, favourites=favourites)
    freed = delete_clips(store, data, claimed)
    freed += sum(_delete_snapshot(event) for event in batch.values())
    store.forgotten(batch)
    return Removed(len(batch), len(claimed), freed)


def _delete_snapshot(event: Mapping[str, Any]) -> int:
    """Delete an event's picture; returns how many bytes that frees."""
    path = Path(event.get("snapshot") or "")
    if path.suffix != ".jpg":
        return 0
    with suppress(OSError):
        size = path.stat().st_size
        path.unlink()
        return size
    return 0
