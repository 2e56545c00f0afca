"""The file of a clip while it grows, such that at any moment it plays up to the last half second."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EEXIST, EINVAL
from pathlib import Path

from edgecam.preroll import Packet
from edgecam.recording.h264 import StreamInfo
from edgecam.recording.mp4 import INDEX_BYTES, TICKS, Index, Sample, duration, fragment, header, index
from edgecam.recording.walking import Header

LONGEST = 0.5
"""Seconds in a fragment, at most: what a crash may cost, besides the frame the encoder still holds."""
MOST_FRAMES = 250
"""Pictures in a fragment, at most, should the timestamps stand still."""
MOST_TICKS = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """A finished clip. `start` and `end` are monotonic seconds: of the first frame, and of the last one's disappearing.

    `cut` says why it ends before its time, "" where it does not.

    After a restart of the machine they belong to a clock that is no more, and only their difference means something.
    """

    path: Path
    start: float
    end: float
    frames: int
    bytes: int
    cut: str = ""

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.start


class FragmentWriter:
    """Writes packets as a fragmented MP4 (`edgecam.recording.mp4`), `PATH.part` until it is finished.

    A fragment begins at each keyframe, and after `longest` seconds; it is written whole, with one write, once the
    packet after it is known, and with it how long its last frame is shown. Nothing else is kept in memory.

    What is durable: with `sync`, every `write` that completes a fragment ends with fdatasync, and the first one with an
    fsync of the folder, so that a power cut costs what a crash costs. `finish` writes duration and index in the places
    kept for them, then fdatasync, rename, fsync of the folder. Without `sync` a crash of the program costs the same,
    a power cut what the kernel had not written yet (30 s is usual), and the card is written to less.

    The finished file stays fragmented: to make it a plain one would write it a second time, or leave a moment at which
    it has neither form's table of contents. Its moov and index come first, so it can be played while it is sent, and
    sought in. Players need fragmented MP4, as all of today's do: browsers (what MSE and HLS use is this), VLC, mpv,
    FFmpeg, Android, Apple since 2016.

    The file is created with its first fragment: there is never an empty one. `write`, `finish` and `abandon` raise
    OSError. After an error nothing more is taken and the `.part` is whole up to its last fragment: `finish` makes a
    clip of that, `repair` would too. One of `finish` and `abandon` is to be called.
    """

    def __init__(
        self, path: Path, stream: StreamInfo, *, sync: bool = True, longest: float = LONGEST, started: float = 0.0
    ) -> None:
        """`started`: the wall time of the first frame in Unix seconds, which players show; 0: not known."""
        self.bytes = 0
        self.frames = 0
        self._path = Path(path)
        self._part = part_of(self._path)
        self._stream = stream
        self._sync = sync
        self._longest = longest
        self._started = started
        self._header: Header | None = None
        self._fragments = 0
        self._index = Index()
        self._waiting: list[Packet] = []
        self._fd = -1
        self._failed = ""

    @property
    def end(self) -> float | None:
        """Up to which timestamp the clip is in the file; None while nothing is."""
        return None if self._header is None else self._header.start + self._index.ticks / TICKS

    def write(self, packets: Iterable[Packet]) -> None:
        """Take the next packets. The first of all is to be a keyframe: what comes before it is left out."""
        before = self._fragments
        with self._last_attempt():
            for packet in packets:
                if self._waiting and (packet.keyframe or self._is_full(packet)):
                    self._write_fragment(packet.timestamp)
                if self._waiting or self._fragments or packet.keyframe:
                    self._waiting.append(packet)
            if self._sync and self._fragments > before:
                os.fdatasync(self._fd)
                if before == 0:
                    sync_folder(self._path.parent)

    def finish(self) -> ClipInfo | None:
        """Complete the clip and give it its name; None, and no file, where there is nothing to play.

        A last fragment that the disk refuses is left out: `ClipInfo.cut` says so. Raises OSError where even that fails;
        it may then be tried again.
        """
        if self._waiting and not self._failed:
            last = self._waiting[-1]
            with suppress(OSError), self._last_attempt():
                self._write_fragment(last.timestamp + last.duration)
        self._waiting.clear()
        if self._header is None:
            self.abandon()
            return None
        self._open(os.O_RDWR)
        try:
            seal(self._fd, self._header, self._index)
        finally:
            self._close()
        publish(self._part, self._path)
        start, cut, self._failed = self._header.start, self._failed, "it is finished"
        end = start + self._index.ticks / TICKS
        return ClipInfo(self._path, start, end, self.frames, self.bytes, cut)

    def abandon(self) -> None:
        """Remove what was written: nobody wants this clip. May be called twice; a finished clip stays."""
        self._failed = self._failed or "it was abandoned"
        self._waiting.clear()
        self._close()
        if self._header is not None:
            self._part.unlink(missing_ok=True)

    def _is_full(self, packet: Packet) -> bool:
        return packet.timestamp - self._waiting[0].timestamp >= self._longest or len(self._waiting) >= MOST_FRAMES

    def _write_fragment(self, until: float) -> None:
        """Write the packets that are waiting; the last of them is shown until the timestamp `until`."""
        waiting = self._waiting
        start = waiting[0].timestamp if self._header is None else self._header.start
        samples, begin = [], self._index.ticks
        at = begin
        for packet, end in zip(waiting, [*(each.timestamp for each in waiting[1:]), until], strict=True):
            ticks = min(max(1, round((end - start) * TICKS) - at), MOST_TICKS)
            samples.append(Sample(packet.data, ticks))
            at += ticks
        data = fragment(self._fragments + 1, begin, samples, keyframe=waiting[0].keyframe)
        if self._header is None:
            self._create(start, data)
        else:
            self._append(data)
        self._index.add(len(data), at - begin, keyframe=waiting[0].keyframe)
        self._fragments += 1
        self.frames += len(samples)
        waiting.clear()

    def _create(self, start: float, data: bytes) -> None:
        head = header(self._stream, start, self._started)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            raise FileExistsError(EEXIST, "a clip of this name is there already", str(self._path))
        self._open(os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            self._append(head + data)
        except OSError:
            self._close()
            self._part.unlink(missing_ok=True)
            raise
        self._header = Header(start, head.rfind(b"mehd") + 8, len(head) - INDEX_BYTES)

    def _append(self, data: bytes) -> None:
        """One write, as a rule; what a full disk took only in part is taken back."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, self.bytes)
            raise
        self.bytes += len(data)

    def _open(self, flags: int) -> None:
        if self._fd < 0:
            self._fd = os.open(self._part, flags | os.O_CLOEXEC, 0o644)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    @contextmanager
    def _last_attempt(self) -> Iterator[None]:
        """The first error is the last: what follows it would leave a hole."""
        if self._failed:
            raise OSError(EINVAL, f"nothing more is taken: {self._failed}", str(self._part))
        try:
            yield
        except OSError as error:
            self._failed = error.strerror or str(error)
            self._waiting.clear()
            raise


def part_of(path: Path) -> Path:
    """What a clip is called until it is finished."""
    return path.with_name(path.name + ".part")


def seal(fd: int, head: Header, entries: Index) -> None:
    """Write duration and index in their places, durably. Raises OSError."""
    os.pwrite(fd, index(entries.entries), head.index_at)
    os.pwrite(fd, duration(entries.ticks), head.duration_at)
    os.fdatasync(fd)


def publish(part: Path, path: Path) -> None:
    """Give a sealed clip its name, durably. Raises OSError; FileExistsError rather than replace another clip."""
    if path.exists():
        raise FileExistsError(EEXIST, "a clip of this name is there already", str(path))
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
