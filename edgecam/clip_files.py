"""The files of the clips, and that they agree with the clip store: deleting both, and finding what has only one."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from edgecam.clip_store import ClipKind, ClipRow, ClipStore
from edgecam.errors import InputError, SinkError
from edgecam.recording.boxes import boxes_path
from edgecam.recording.fragments import part_of, sync_folder
from edgecam.recording.walking import contents
from edgecam.sinks.faults import as_sink_error

log = logging.getLogger(__name__)

CLIPS = "clips"
"""The folder of the clips in the data folder: clips/CAMERA/2026-11-30/18-30-05-ID.mp4, by local time."""
FOLDERS = {CLIPS: ClipKind.EVENT, "continuous": ClipKind.CONTINUOUS}
"""What is in the folders of the data folder that have clips in them, all named alike."""
INTERRUPTED = "edgecam had stopped without ending it"
STRANGERS_NAMED = 10
"""Files that are left alone are named, so many of them."""
_NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(.+)")
_UNCLAIMED = 86_400.0
"""Seconds after which an empty folder, or boxes without a clip, belong to nobody."""
_FEW = 10


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found, and mended but for `missing` and `strangers`.

    `adopted` files were not in the journal, `forgotten` clips had no file, `resized` ones another size. `missing` are
    the ids of so many clips without a file that their disk may be unmounted: they stay in the journal for now.
    `strangers` are files that are no clips of edgecam's.
    """

    clips: int = 0
    adopted: int = 0
    forgotten: int = 0
    resized: int = 0
    missing: frozenset[str] = frozenset()
    strangers: tuple[str, ...] = ()


def clip_file(data: Path, clip: ClipRow) -> Path:
    """Where a clip lies. Raises SinkError for a path that leads out of the data folder: it is not ours."""
    if clip.path.is_absolute() or ".." in clip.path.parts:
        raise SinkError(f"clip {clip.clip_id}: its path {clip.path} leads out of {data}: the journal is damaged")
    return data / clip.path


def delete(store: ClipStore, data: Path, claimed: Iterable[ClipRow]) -> int:
    """Delete clips that were claimed: their files, durably, then their rows. Returns how many bytes that frees.

    Raises SinkError; what is left stays claimed.
    """
    folders, gone, freed = set(), [], 0
    for clip in claimed:
        path = clip_file(data, clip)
        with as_sink_error(path):
            for file in (path, boxes_path(path)):
                freed += _size(file)
                file.unlink(missing_ok=True)
        folders.add(path.parent)
        gone.append(clip.clip_id)
    for folder in folders:
        with as_sink_error(folder), suppress(FileNotFoundError):
            sync_folder(folder)
    store.removed(gone)
    return freed


def settle_interrupted(store: ClipStore, data: Path) -> int:
    """Settle the clips that a crash left growing in the journal; returns how many.

    To be called at start, before any camera runs, and once unfinished files were repaired. One whose file is there is
    as long as that is, the others are forgotten. Raises SinkError.
    """
    settled = 0
    for clip in store.growing():
        path = clip_file(data, clip)
        if path.exists():
            whole = _described(path, clip)
            store.finished(clip.clip_id, whole.end or clip.start, whole.frames, whole.size_bytes, INTERRUPTED)
        elif not part_of(path).exists():
            store.removed([clip.clip_id])
        else:
            continue
        settled += 1
    return settled


class Sweep:
    """One look at all clips: files without a row become known, rows without a file are forgotten.

    `steps` does it, a little at a time; `found` is what it has found so far. Recording may go on meanwhile. Where more
    than half of the clips have lost their file, and not just a few, they are only forgotten if they were `missing` at
    the last sweep, too: a disk that is not mounted must not cost what is known of its clips. `now` is in Unix seconds.
    """

    def __init__(self, store: ClipStore, data: Path, now: float, missing: frozenset[str] = frozenset()) -> None:
        self.found = Swept()
        self._now = now
        self._store = store
        self._data = data
        self._missing_before = missing

    def steps(self) -> Iterator[None]:
        """Yields after each piece of work. Raises SinkError."""
        claimed = self._store.claimed()
        if claimed:
            delete(self._store, self._data, claimed)
        yield
        for root in FOLDERS:
            for folder, names in folders(self._data / root):
                yield from self._compare(folder, names)
                yield
        if self.found.adopted:
            log.warning("%d clips were not in the journal: added", self.found.adopted)
        yield from self._find_missing()

    def _compare(self, folder: Path, names: list[str]) -> Iterator[None]:
        """The files of one folder, as they were a moment ago, with the rows there are now."""
        known = self._store.in_folder(folder.relative_to(self._data))
        for number, name in enumerate(sorted(names), 1):
            path = folder / name
            if number % 100 == 0:
                yield
            if name.endswith(".mp4"):
                if name not in known:
                    self._adopt(path)
                    yield
                elif known[name].end is not None:
                    self._measure(path, known[name])
            elif name.endswith(".vtt"):
                _remove_lonely(path, self._now)
        if not names:
            remove_empty(folder, self._now)

    def _adopt(self, path: Path) -> None:
        """Make a file known that the journal knows nothing of."""
        clip = _unknown(path, self._data)
        if clip is None or self._is_copy(clip):
            strangers = (*self.found.strangers, str(path))[:STRANGERS_NAMED]
            self.found = replace(self.found, strangers=strangers)
        elif path.exists():
            self._store.begun(clip)
            self.found = replace(self.found, adopted=self.found.adopted + 1)
            log.info("%s: was not in the journal: added", path)

    def _is_copy(self, clip: ClipRow) -> bool:
        """Whether the clip of this id lies elsewhere."""
        known = self._store.clip(clip.clip_id)
        return known is not None and clip_file(self._data, known).exists()

    def _measure(self, path: Path, clip: ClipRow) -> None:
        size = _size(path) + _size(boxes_path(path))
        if size and size != clip.size_bytes:
            self._store.measured(clip.clip_id, size)
            self.found = replace(self.found, resized=self.found.resized + 1)

    def _find_missing(self) -> Iterator[None]:
        count, missing = 0, set()
        for count, clip in enumerate(self._store.clips(), 1):
            if clip.end is not None and not clip_file(self._data, clip).exists():
                missing.add(clip.clip_id)
            if count % 100 == 0:
                yield
        many = len(missing) > max(_FEW, count / 2)
        gone = missing & self._missing_before if many else missing
        if gone:
            self._store.removed(gone)
            log.warning("%d clips have no file any more: forgotten", len(gone))
        self.found = replace(
            self.found, clips=count - len(gone), forgotten=len(gone), missing=frozenset(missing - gone)
        )


def folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """All folders from `root` down that were there, and the names of the files in each. Raises SinkError."""
    problems: list[OSError] = []
    for folder, _, names in os.walk(root, onerror=problems.append):
        yield Path(folder), names
    for problem in problems:
        if not isinstance(problem, FileNotFoundError):
            with as_sink_error(root):
                raise problem


def _unknown(path: Path, data: Path) -> ClipRow | None:
    """What can be known of a clip from its file alone; None where it is not one of ours."""
    relative = path.relative_to(data)
    name = _NAME.fullmatch(path.stem)
    if name is None or len(relative.parts) != 4:
        return None
    root, camera, date, _ = relative.parts
    try:
        start = datetime.fromisoformat(f"{date}T{name[1]}:{name[2]}:{name[3]}").astimezone().timestamp()
    except (ValueError, OverflowError):
        return None
    return _described(path, ClipRow(name[4], camera, relative, start, kind=FOLDERS[root]))


def _described(path: Path, clip: ClipRow) -> ClipRow:
    """The clip with the end, the frames and the size that its file says it has."""
    frames, length = 0, 0.0
    with suppress(InputError, OSError), path.open("rb") as file:
        found = contents(file)
        frames, length = found.frames, found.duration
    return replace(clip, end=clip.start + length, frames=frames, size_bytes=_size(path) + _size(boxes_path(path)))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _remove_lonely(boxes: Path, now: float) -> None:
    """Boxes whose clip is no more."""
    clip = boxes.with_suffix(".mp4")
    if not clip.exists() and not part_of(clip).exists() and is_old(boxes, now):
        with as_sink_error(boxes):
            boxes.unlink(missing_ok=True)


def remove_empty(folder: Path, now: float) -> None:
    """Remove a folder that is old and has nothing in it."""
    if is_old(folder, now):
        with suppress(OSError):  # there is something in it
            folder.rmdir()


def is_old(path: Path, now: float) -> bool:
    """Whether nobody has changed it for a day, so that nobody is about to."""
    with suppress(OSError):
        return now - path.stat().st_mtime > _UNCLAIMED
    return False
