"""Parking: event messages that the journal could not take before the end, kept elsewhere for the next start."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import stat
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from edgecam.journal import Journal
from edgecam.outbox import Moment
from edgecam.outlet import EVENTS_KEPT
from edgecam.types import EventType

log = logging.getLogger(__name__)

NAME = "parked-events.jsonl"
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # no fifo may hold up the start
_LINE = re.compile(rb'\{"crc32": "([0-9a-f]{8})", (.*)', re.DOTALL)
#: The sinks of several cameras may park at once.
_LOCK = Lock()


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """One event message, with all that a journal would have been given.

    `document` is as `event_document` makes it, `snapshot` the path at which the event's picture lies if there is one,
    `recorded` the moment at which it should have been recorded.
    """

    document: Mapping[str, Any]
    snapshot: Path | None
    recorded: Moment

    def line(self) -> bytes:
        """The message as one line of JSON; its first key is a checksum of all that comes behind it."""
        snapshot = None if self.snapshot is None else str(self.snapshot)
        parts = {"event": dict(self.document), "snapshot": snapshot, "recorded": asdict(self.recorded)}
        rest = json.dumps(parts, allow_nan=False).encode("ascii")[1:]
        return b'{"crc32": "%08x", %b\n' % (zlib.crc32(rest), rest)

    @classmethod
    def of(cls, line: bytes) -> ParkedEvent:
        """The message of a line. Raises ValueError where it is not as it was written."""
        found = _LINE.fullmatch(line.removesuffix(b"\n"))
        if found is None or int(found[1], 16) != zlib.crc32(found[2]):
            raise ValueError("a damaged line")
        parts = json.loads(b"{" + found[2])
        try:
            snapshot = None if parts["snapshot"] is None else Path(parts["snapshot"])
            return cls(parts["event"], snapshot, Moment(**parts["recorded"]))
        except (KeyError, TypeError) as error:
            raise ValueError("a line of another edgecam") from error


class Parked(NamedTuple):
    """What a file holds: the messages in order, and the numbers of the lines that are damaged."""

    events: list[ParkedEvent]
    damaged: list[int]


def parse(content: bytes) -> Parked:
    """Read what a file holds. Whatever happened to it, it is only the damaged lines that are lost."""
    parked = Parked([], [])
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            if line:
                parked.events.append(ParkedEvent.of(line))
        except ValueError:
            parked.damaged.append(number)
    return parked


class _Left(NamedTuple):
    """A file as this process left it; `before_bytes` of it were there before its first line."""

    inode: int
    size_bytes: int
    lines: int
    before_bytes: int

    def is_still(self, status: os.stat_result) -> bool:
        """Whether nobody else has changed it since."""
        return (self.inode, self.size_bytes) == (status.st_ino, status.st_size)


class Parking:
    """The file, `parked-events.jsonl`, in which one journal's events wait for the next start, at most EVENTS_KEPT.

    It lies in systemd's run-time folder, which is in memory and outlives the unit but not the machine. Run by hand,
    edgecam has a folder of its own, that nobody else may look into, in $XDG_RUNTIME_DIR or, failing that, in the one
    for temporary files. Any thread may park.
    """

    def __init__(self, journal: Path, environment: Mapping[str, str] = os.environ) -> None:
        self._journal = journal
        self._environment = environment
        self._left: dict[Path, _Left] = {}

    def park(self, events: Sequence[ParkedEvent], *, in_memory: bool = False) -> tuple[int, Path]:
        """Add messages, all of them on the disk before this returns; of more than there is room for the newest.

        With `in_memory` only where that is memory. Returns how many, and where they are now. Raises OSError: nothing
        was added.
        """
        refusals: list[OSError] = []
        with _LOCK:
            for path in self.paths(in_memory=in_memory):
                try:
                    return self._append(path, events), path
                except OSError as error:
                    refusals.append(error)
        raise refusals[0]

    def let_go(self) -> None:
        """Take out what was added by this object: it is recorded. Raises OSError.

        What lay there before stays, and so does all of a file that somebody else has changed since: a message that is
        recorded already does no harm.
        """
        with _LOCK:
            while self._left:
                path, left = self._left.popitem()
                with suppress(FileNotFoundError), _opened(path, _APPEND & ~os.O_CREAT) as descriptor:
                    if left.is_still(os.fstat(descriptor)):
                        os.ftruncate(descriptor, left.before_bytes)
                        if not left.before_bytes:
                            self.remove(path)

    def paths(self, *, in_memory: bool = False) -> list[Path]:
        """Where the file may be, the best place first; with `in_memory` only those that are no matter of a disk."""
        service = self._environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
        if service:
            return [Path(service, NAME)]
        mark = hashlib.sha256(os.fsencode(self._journal.absolute())).hexdigest()[:12]
        temporary = self._environment.get("TMPDIR") or "/tmp"  # noqa: S108 (the owner of what is in it is checked)
        folders = filter(None, (self._environment.get("XDG_RUNTIME_DIR"), None if in_memory else temporary))
        return [Path(folder, f"edgecam-{os.geteuid()}", mark, NAME) for folder in folders]

    def remove(self, path: Path) -> None:
        """Delete the file, and the folders that were made for it. Raises OSError."""
        path.unlink()
        if not self._is_service:
            with suppress(OSError):
                path.parent.rmdir()
                path.parent.parent.rmdir()

    @property
    def _is_service(self) -> bool:
        return bool(self._environment.get("RUNTIME_DIRECTORY"))

    def _append(self, path: Path, events: Sequence[ParkedEvent]) -> int:
        if not self._is_service:
            _make_own(path.parent.parent)
            _make_own(path.parent)
        with _opened(path, _APPEND) as descriptor:
            left = self._as_it_is(path, descriptor)
            room = max(0, EVENTS_KEPT - left.lines)
            lines = [event.line() for event in events][-room:] if room else []
            torn = left.size_bytes and os.pread(descriptor, 1, left.size_bytes - 1) != b"\n"
            content = (b"\n" if torn else b"") + b"".join(lines)
            try:
                _write_all(descriptor, content)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, left.size_bytes)
                raise
            size_bytes, number = left.size_bytes + len(content), left.lines + len(lines)
            self._left[path] = left._replace(size_bytes=size_bytes, lines=number)
        with _opened(path.parent, os.O_RDONLY | os.O_DIRECTORY) as folder:
            os.fsync(folder)
        return len(lines)

    def _as_it_is(self, path: Path, descriptor: int) -> _Left:
        """The file as this object left it, without reading it; else as it is found."""
        status, left = os.fstat(descriptor), self._left.get(path)
        if left is not None and left.is_still(status):
            return left
        content = _content(descriptor)
        return _Left(status.st_ino, len(content), content.count(b"\n"), len(content))


def record_parked(parking: Parking, journal: Journal) -> int:
    """Record what the last run could not, each message once, and let the file go; returns how many messages.

    They are in the journal, and in its outbox, before the file goes: a crash in between does no harm. Raises SinkError,
    and the file stays as it is.
    """
    found = {path: parked for path in parking.paths() if (parked := _look(path)) is not None}
    waiting = [event for parked in found.values() for event in parked.events]
    waiting.sort(key=_came_to_pass)
    taken = journal.record_late((each.document, _existing(each.snapshot), each.recorded) for each in waiting)
    for path, parked in found.items():
        if parked.damaged:
            numbers = ", ".join(map(str, parked.damaged))
            log.error("%s: %d damaged lines are lost: %s", path, len(parked.damaged), numbers)
        try:
            parking.remove(path)
        except OSError as error:
            log.warning("%s: cannot be deleted, though all of it is recorded: %s", path, error.strerror)
    if found:
        where = " and ".join(map(str, found))
        log.warning("%d event messages that the last run could not record are recorded now, from %s", taken, where)
    return taken


def _came_to_pass(event: ParkedEvent) -> tuple[float, bool]:
    """What orders the messages of all cameras; an `end` speaks of the same frame as the message before it."""
    return float(event.document["frame_time"]), event.document["type"] == EventType.END


def _look(path: Path) -> Parked | None:
    """What the file holds; None where there is none, or none of ours."""
    try:
        with _opened(path, _READ) as descriptor:
            return parse(_content(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        log.error("%s: events of the last run cannot be read: %s", path, error.strerror)
        return None


def _existing(snapshot: Path | None) -> Path | None:
    with suppress(OSError):
        if snapshot is not None and snapshot.is_file():
            return snapshot
    return None


def _make_own(folder: Path) -> None:
    """Make a folder that is this user's alone. Raises OSError where it is there already and is not."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PermissionError(errno.EPERM, "not a folder that is this user's alone", str(folder))


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file of ours. Raises OSError, also where it is somebody else's, or no file."""
    descriptor = os.open(path, flags, 0o600)
    try:
        status = os.fstat(descriptor)
        if not flags & os.O_DIRECTORY and (not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid()):
            raise PermissionError(errno.EPERM, "not a file of this user", str(path))
        yield descriptor
    finally:
        os.close(descriptor)


def _content(descriptor: int) -> bytes:
    content = bytearray()
    while part := os.pread(descriptor, 1 << 20, len(content)):
        content += part
    return bytes(content)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
