"""File names made of what others choose: camera names and event ids."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

from edgecam.types import Event

LONGEST = 100
"""Characters; leaves room for suffixes below the 255 bytes that file systems take."""


def safe_name(text: str) -> str:
    """The text where it makes a harmless file name, else what is harmless of it and a checksum, so that two differ."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:LONGEST].lstrip(".-") or "_"
    return plain if plain == text else f"{plain}-{crc32(text.encode(errors='replace')):08x}"


def snapshot_path(folder: Path, event: Event) -> Path:
    """Where an event's picture lies: FOLDER/CAMERA/2026-11-30/EVENT.jpg, by the local date of its start."""
    return _day(folder, event.camera, event.started) / f"{safe_name(event.event_id)}.jpg"


def requested_path(folder: Path, camera: str, taken: float) -> Path:
    """Where a picture lies that somebody asked for: FOLDER/CAMERA/2026-11-30/TAKEN-requested.jpg, Unix seconds."""
    return _day(folder, camera, taken) / f"{taken:.3f}-requested.jpg"


def clip_path(folder: Path, camera: str, started: float, clip_id: str) -> Path:
    """Where a clip lies: FOLDER/CAMERA/2026-11-30/13-05-59-ID.mp4, by the local time of its start, Unix seconds."""
    time = datetime.fromtimestamp(started, UTC).astimezone()
    return _day(folder, camera, started) / f"{time:%H-%M-%S}-{safe_name(clip_id)}.mp4"


def _day(folder: Path, camera: str, unix: float) -> Path:
    return folder / safe_name(camera) / f"{datetime.fromtimestamp(unix, UTC).astimezone():%Y-%m-%d}"
