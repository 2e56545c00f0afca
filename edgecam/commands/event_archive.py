"""Events with all that belongs to them in one zip: events.json, clips/… and snapshots/…"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from edgecam import console
from edgecam.commands.whole import written_whole
from edgecam.errors import InputError

if TYPE_CHECKING:
    from edgecam.clip_store import ClipStore


def write_archive(out: Path, journal: Path, events: Iterable[dict[str, Any]], *, boxes: bool = False) -> None:
    """Write the events' archive. Pictures and videos are small already: they are stored as they are.

    events.json is a list of the documents, each with `clips` and `snapshot` as they are called in the archive; what is
    missing on the disk is left out and said. With `boxes`, clips that have their boxes beside them go in as copies with
    the boxes drawn into the pictures, which costs what recording them costs. Raises SinkError where the file cannot be
    written, InputError.
    """
    from edgecam.clip_store import ClipStore

    data, documents, missing = journal.parent, [], 0
    packed: set[str] = set()
    with written_whole(out) as part, ZipFile(part, "w", ZIP_STORED, strict_timestamps=False) as archive:
        with ClipStore(journal, read_only=True) as store, console.progress("exporting") as advance:
            for event in events:
                found = _clips(store, data, event["id"])
                clips = [clip.name for clip in found if _pack_clip(archive, packed, clip, part if boxes else None)]
                missing += len(store.of_event(event["id"])) - sum(name.endswith(".mp4") for name in clips)
                documents.append(event | {"clips": clips, "snapshot": _pack_snapshot(archive, packed, data, event)})
                missing += bool(event.get("snapshot")) and documents[-1]["snapshot"] is None
                advance(1)
        archive.writestr("events.json", json.dumps(documents, indent=1), ZIP_DEFLATED)
    console.say(f"{out}: {len(documents)} events, {len(packed)} files{f', {missing} missing' if missing else ''}")


class _File(NamedTuple):
    """A file of a clip, and what it is called in the archive; `start` is the clip's, in Unix seconds."""

    name: str
    path: Path
    start: float


def _clips(store: ClipStore, data: Path, event_id: str) -> Iterator[_File]:
    """The files of an event's finished clips, boxes among them."""
    from edgecam.clip_files import clip_file
    from edgecam.recording.boxes import boxes_path

    for clip in store.of_event(event_id):
        path = clip_file(data, clip)
        yield _File(clip.path.as_posix(), path, clip.start)
        if boxes_path(path).exists():
            yield _File(boxes_path(clip.path).as_posix(), boxes_path(path), clip.start)


def _pack_clip(archive: ZipFile, packed: set[str], clip: _File, beside: Path | None) -> bool:
    """Add a file of a clip, once; with its boxes drawn where they lie beside it, if `beside` says where copies may."""
    from edgecam.overlay import Overlay
    from edgecam.recording.boxes import boxes_path
    from edgecam.recording.burning import burn

    drawable = beside is not None and clip.path.suffix == ".mp4" and boxes_path(clip.path).exists()
    if beside is None or not drawable or clip.name in packed:
        return _pack(archive, packed, clip.name, clip.path)
    copy = beside.with_suffix(".mp4")
    copy.unlink(missing_ok=True)
    try:
        burn(clip.path, copy, Overlay(), started=datetime.fromtimestamp(clip.start, UTC).astimezone())
        return _pack(archive, packed, clip.name, copy)
    except InputError as error:
        console.say(f"without its boxes: {error}")
        return _pack(archive, packed, clip.name, clip.path)
    finally:
        copy.unlink(missing_ok=True)


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
