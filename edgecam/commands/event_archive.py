"""Events with all that belongs to them in one zip: events.json, clips/… and snapshots/…"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from edgecam import console
from edgecam.commands.whole import written_whole

if TYPE_CHECKING:
    from edgecam.clip_store import ClipStore


def write_archive(out: Path, journal: Path, events: Iterable[dict[str, Any]]) -> None:
    """Write the events' archive. Pictures and videos are small already: they are stored as they are.

    events.json is a list of the documents, each with `clips` and `snapshot` as they are called in the archive; what is
    missing on the disk is left out and said. Raises SinkError where the file cannot be written, InputError.
    """
    from edgecam.clip_store import ClipStore

    data, documents, missing = journal.parent, [], 0
    packed: set[str] = set()
    with written_whole(out) as part, ZipFile(part, "w", ZIP_STORED, strict_timestamps=False) as archive:
        with ClipStore(journal, read_only=True) as store, console.progress("exporting") as advance:
            for event in events:
                clips = [name for name, file in _clips(store, data, event["id"]) if _pack(archive, packed, name, file)]
                missing += len(store.of_event(event["id"])) - sum(name.endswith(".mp4") for name in clips)
                documents.append(event | {"clips": clips, "snapshot": _pack_snapshot(archive, packed, data, event)})
                missing += bool(event.get("snapshot")) and documents[-1]["snapshot"] is None
                advance(1)
        archive.writestr("events.json", json.dumps(documents, indent=1), ZIP_DEFLATED)
    console.say(f"{out}: {len(documents)} events, {len(packed)} files{f', {missing} missing' if missing else ''}")


def _clips(store: ClipStore, data: Path, event_id: str) -> Iterator[tuple[str, Path]]:
    """The files of an event's finished clips, boxes among them, and what they are called in the archive."""
    from edgecam.clip_files import clip_file
    from edgecam.recording.boxes import boxes_path

    for clip in store.of_event(event_id):
        path = clip_file(data, clip)
        yield clip.path.as_posix(), path
        if boxes_path(path).exists():
            yield boxes_path(clip.path).as_posix(), boxes_path(path)


def _pack_snapshot(archive: ZipFile, packed: set[str], data: Path, event: dict[str, Any]) -> str | None:
    noted = event.get("snapshot")
    if not noted:
        return None
    *_, camera, date, name = ("", "", *Path(noted).parts)
    inside = f"snapshots/{camera}/{date}/{name}"
    # Where it was noted, or, in a copy of the data folder, where it would be there.
    found = [path for path in (Path(noted), data / inside) if path.is_file()]
    return inside if found and _pack(archive, packed, inside, found[0]) else None


def _pack(archive: ZipFile, packed: set[str], name: str, file: Path) -> bool:
    """Add a file, once; False where it is not there."""
    if name not in packed:
        try:
            archive.write(file, name)
        except FileNotFoundError:
            return False
        packed.add(name)
    return True
