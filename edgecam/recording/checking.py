"""Is a clip what it claims to be? Every picture is decoded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.error import FFmpegError

from edgecam.errors import InputError
from edgecam.recording.walking import Foreign, contents

GAP = 1.0
"""Seconds between two pictures from which on it is worth a word."""
MOST_PIXELS = 8192 * 8192
MOST_ERRORS = 10
"""Complaints about one clip; a file full of noise has thousands."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in a clip. `duration` is in seconds, from the first picture to the last one's disappearing.

    `frames` could be decoded; `gaps` are pictures after which none came for long: (seconds into the clip, seconds).
    `errors` are in plain words, none where all is well.
    """

    path: Path
    frames: int
    duration: float
    gaps: tuple[tuple[float, float], ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.errors and self.frames > 0


@dataclass(slots=True)
class _Findings:
    frames: int = 0
    end: float = 0.0
    last: float | None = None
    gaps: list[tuple[float, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def complain(self, error: str) -> None:
        if error not in self.errors and len(self.errors) < MOST_ERRORS:
            self.errors.append(error)


def check(path: Path) -> Verdict:
    """Decode all of an MP4 file. Whatever is wrong with it is in the verdict.

    Clips of ours are compared with their own checksums, frame count and duration as well: a decoder hides much. Raises
    InputError where there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such clip: give the path of an MP4 file")
    found = _Findings()
    try:
        with path.open("rb") as file:
            expected = _by_its_boxes(file, found)
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror or error}") from error
    _decode(path, found)
    if expected is not None and expected[0] != found.frames:
        found.complain(f"{expected[0]} frames are in it, {found.frames} can be decoded")
    if expected is not None and abs(expected[1] - found.end) > 0.001:
        found.complain(f"{expected[1]:.3f} s are in it, {found.end:.3f} s can be decoded")
    if not found.frames:
        found.complain("nothing in it can be played")
    return Verdict(path, found.frames, found.end, tuple(found.gaps), tuple(found.errors))


def _by_its_boxes(file: BinaryIO, found: _Findings) -> tuple[int, float] | None:
    """Frames and seconds by the checksums of a clip of ours; None where it is another's, or its header is damaged."""
    try:
        known = contents(file)
    except Foreign:
        return None
    except InputError as error:
        found.complain(str(error))
        return None
    size = file.seek(0, os.SEEK_END)
    if known.end != size:
        found.complain(f"torn or damaged at byte {known.end} of {size}, after {known.duration:.3f} s")
        return None
    return known.frames, known.duration


def _decode(path: Path, found: _Findings) -> None:
    try:
        # MP4 alone: other formats may name files and addresses that FFmpeg would then open.
        opened: Any = av.open(f"file:{path}", format="mov", metadata_errors="replace")
        with opened as container:
            stream = next(iter(container.streams.video), None)
            if stream is None or stream.codec_context is None:
                found.complain("no video in it that FFmpeg knows")
                return
            stream.codec_context.options = {"err_detect": "explode", "max_pixels": str(MOST_PIXELS)}
            for packet in container.demux(stream):
                _take(packet, found)
    except (FFmpegError, OSError, ValueError) as error:
        found.complain(f"cannot be read: {_reason(error)}")


def _take(packet: Any, found: _Findings) -> None:
    try:
        frames = packet.decode()
    except FFmpegError as error:
        found.complain(f"damaged picture after {found.end:.3f} s: {_reason(error)}")
        return
    for frame in frames:
        if frame.pts is None:
            found.complain(f"a picture without a time after {found.end:.3f} s")
            continue
        at = float(frame.pts * frame.time_base)
        if found.last is not None and at - found.last >= GAP:
            found.gaps.append((found.last, at - found.last))
        found.frames += 1
        found.last = at
        found.end = at + float((frame.duration or 0) * frame.time_base)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
