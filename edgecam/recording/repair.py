"""Clips that a crash or a power cut left unfinished: finished as far as they are whole, or removed."""

from __future__ import annotations

import os
from pathlib import Path

from edgecam.errors import InputError
from edgecam.recording.fragments import ClipInfo, publish, seal
from edgecam.recording.walking import Contents, Unfinished, contents

ENDING = ".part"


def repair(part: Path) -> ClipInfo | None:
    """Make a clip of `NAME.mp4.part`: cut after its last whole fragment, its duration and index written, renamed.

    Whole is what its checksums say, so that neither a torn write nor blocks that never reached the disk are taken for
    pictures. None, and the file removed, where there is nothing to play. Killed itself at any moment, it leaves what a
    second call completes. Raises InputError for what is not an unfinished clip of ours, or has a damaged header: that
    stays where it is, for somebody to look at; OSError where the disk fails.
    """
    if part.suffix != ENDING or not part.is_file() or part.is_symlink():
        raise InputError(f"{part}: not an unfinished clip: a file NAME.mp4{ENDING} is")
    path = part.with_suffix("")
    try:
        found = _mended(part)
    except Unfinished:
        found = None
    except InputError as error:
        raise InputError(f"{part}: cannot be repaired: {error}; it is left alone: move it away or remove it") from error
    if found is None:
        part.unlink(missing_ok=True)
        return None
    publish(part, path)
    start = found.header.start
    return ClipInfo(path, start, start + found.duration, found.frames, found.end, "the recording was interrupted")


def _mended(part: Path) -> Contents | None:
    """Cut and completed under its old name; None where there is nothing to play."""
    with part.open("r+b") as file:
        found = contents(file)
        if found.fragments == 0:
            return None
        os.truncate(file.fileno(), found.end)
        seal(file.fileno(), found.header, found.index)
    return found
