"""Whether the disk has room, and is fast enough for what is recorded."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgecam.config import Config
from edgecam.doctor.finding import Finding, fail, ok, skipped, warn
from edgecam.doctor.surroundings import Surroundings
from edgecam.health.status import LITTLE_SPACE_BYTES
from edgecam.ports import Clock

TRIED_BYTES = 4_000_000
"""What is written to find out the speed."""
MARGIN = 4.0
"""A disk this many times as fast as the clips are written is fast enough: the journal and others write too."""
_OTHER_DISK = "take a faster card (A1 or A2) or an SSD for data_dir, or lower [clips] max_bitrate"


def check_disk(here: Surroundings) -> Iterator[Finding]:
    """Room where the data goes, against what is to stay free there."""
    folder, wanted = _present(here.config.data_dir), here.config.retention.min_free_bytes
    space = here.space(folder)
    told = f"{_gigabytes(space.free)} of {_gigabytes(space.total)} GB are free at {folder}"
    remedy = "delete what is not needed, lower [retention] max_age or max_bytes, or give data_dir a larger disk"
    if space.free < LITTLE_SPACE_BYTES:
        yield fail(told, remedy)
    elif space.free < wanted:
        yield warn(f"{told}, less than [retention] min_free_bytes ({_gigabytes(wanted)} GB): clips go early", remedy)
    else:
        yield ok(told)


def check_speed(here: Surroundings) -> Iterator[Finding]:
    """A few megabytes written where the data goes, against what the configured clips may take."""
    folder = here.config.data_dir
    if not os.access(folder, os.W_OK | os.X_OK):
        why = f"this user may not write to {folder}" if folder.is_dir() else f"{folder} is not there yet"
        yield skipped(why, "run `sudo edgecam doctor`, once edgecam is installed")
        return
    if here.space(folder).free < 10 * TRIED_BYTES:
        yield skipped(f"{folder} is full: see disk")
        return
    try:
        speed = bytes_per_second(folder, here.clock)
    except OSError as error:
        yield fail(f"{folder} cannot be written to: {error.strerror}", _remedy_for(error))
        return
    needed = needed_per_second(here.config)
    told = f"{speed / 1e6:.1f} MB/s at {folder}, the clips may take {needed / 1e6:.1f} MB/s"
    if speed < needed:
        yield fail(told, _OTHER_DISK)
    elif speed < MARGIN * needed:
        yield warn(told, _OTHER_DISK)
    else:
        yield ok(told)


def bytes_per_second(folder: Path, clock: Clock) -> float:
    """How fast the disk keeps what is written, measured with a file that is gone afterwards. Raises OSError."""
    content = os.urandom(TRIED_BYTES)
    with tempfile.TemporaryFile(dir=folder, prefix=".edgecam-doctor-") as file:
        begin = clock.monotonic()
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        return TRIED_BYTES / max(clock.monotonic() - begin, 1e-6)


def needed_per_second(config: Config) -> float:
    """What clips of all cameras at once write at most, bytes; without a bound on it, what 1080p takes at most."""
    if not config.clips.enabled:
        return 0.0
    bits = config.clips.bitrate or config.clips.max_bitrate or 16_000_000
    return len(config.enabled_cameras) * bits / 8


def _present(folder: Path) -> Path:
    """The folder, or where it will be made."""
    return next((place for place in (folder, *folder.absolute().parents) if place.is_dir()), Path("/"))


def _remedy_for(error: OSError) -> str:
    if error.errno == errno.EROFS:
        return "the kernel has made it read-only, often for a dying card: back it up, `sudo dmesg`, replace it"
    return "see `sudo dmesg`; check or replace the card"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f}"
