"""Clips that a crash or a power cut left unfinished, found at start: repaired and journalled as cut, or removed."""

from __future__ import annotations

import logging
from pathlib import Path

from edgecam.clip_store import ClipKind, ClipRow, ClipStore
from edgecam.errors import InputError
from edgecam.recording.boxes import boxes_path
from edgecam.recording.repair import ENDING, repair

log = logging.getLogger(__name__)


def adopt(folder: Path, store: ClipStore, kind: ClipKind = ClipKind.EVENT) -> list[ClipRow]:
    """Settle every `.part` below the folder of clips of a kind; returns those that can be played, as the open store now
    has them. To be called before anything records, and before the store's other growing clips are settled: those have
    no `.part`.

    One that the store does not know becomes a clip without events. What cannot be repaired is left alone, with a word
    in the log, and keeps nobody from recording. Interrupted itself, it is completed by what settles the others, and by
    the next call. Raises SinkError where the store does.
    """
    data = folder.parent
    growing = {row.path: row for row in store.growing()}
    adopted: list[ClipRow] = []
    for part in sorted(folder.rglob(f"*.mp4{ENDING}")):
        clip = part.with_suffix("")
        row = growing.get(clip.relative_to(data))
        try:
            written = part.stat().st_mtime
            info = repair(part)
            beside = boxes_path(clip).stat().st_size if boxes_path(clip).is_file() else 0
        except InputError as error:
            log.error("%s", error)
            continue
        except OSError as error:
            log.error("%s: cannot be repaired: %s", part, error.strerror or error)
            continue
        if info is None:
            boxes_path(clip).unlink(missing_ok=True)
            store.removed([row.clip_id] if row else [])
            continue
        if row is None:
            row = _unknown(clip.relative_to(data), written - info.duration, kind)
            store.begun(row)
        store.finished(row.clip_id, row.start + info.duration, info.frames, info.bytes + beside, info.cut)
        adopted.append(store.clip(row.clip_id) or row)
    return adopted


def _unknown(path: Path, start: float, kind: ClipKind) -> ClipRow:
    """What the path tells: clips/CAMERA/2026-11-30/18-30-05-ID.mp4."""
    camera = path.parts[1] if len(path.parts) > 2 else ""
    return ClipRow(path.stem.split("-", 3)[-1], camera, path, start, clock_synced=False, kind=kind)
