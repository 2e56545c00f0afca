"""A data folder with clips that were really written, and what the clip store knows of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clip_stories import known_packets, write_clip

from edgecam.clip_files import CLIPS
from edgecam.clip_store import ClipRow, ClipStore
from edgecam.journal import Journal

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


def event_message(event_id: str, at: float = 0.0, *, label: str = "person", **changes: Any) -> dict[str, Any]:
    """The last message of an event of five seconds, `at` seconds after noon."""
    start = NOON + at
    message = {
        "type": "end",
        "id": event_id,
        "camera": "front",
        "label": label,
        "score": 0.75,
        "top_score": 0.875,
        "box": [0.25, 0.25, 0.5, 0.75],
        "frame": 40,
        "track_id": 3,
        "start_time": start,
        "frame_time": start + 5,
        "end_time": start + 5,
        "entered_zones": [],
        "best": {"frame": 30, "box": [0.3, 0.2, 0.5, 0.7]},
    }
    return message | changes


@dataclass(frozen=True)
class Shelf:
    """A data folder."""

    data: Path

    @property
    def journal(self) -> Path:
        return self.data / "edgecam.db"

    def path(self, clip_id: str, at: float = 0.0, camera: str = "front") -> Path:
        """Where a clip that began `at` seconds after noon lies, relative to the data folder."""
        begun = datetime.fromtimestamp(NOON + at, UTC).astimezone()
        return Path(CLIPS, camera, f"{begun:%Y-%m-%d}", f"{begun:%H-%M-%S}-{clip_id}.mp4")

    def write(self, clip_id: str, at: float = 0.0, frames: int = 15, camera: str = "front") -> ClipRow:
        """Write a clip of `frames` pictures at 30 a second, and say what is to be known of it."""
        stream, packets = known_packets()
        path = self.path(clip_id, at, camera)
        info = write_clip(self.data / path, packets[:frames], stream)
        start = NOON + at
        return ClipRow(clip_id, camera, path, start, start + info.duration, True, info.frames, info.bytes)

    def store(self, store: ClipStore, clip_id: str, at: float = 0.0, *events: str, frames: int = 15) -> ClipRow:
        """Write a clip and make it known."""
        clip = self.write(clip_id, at, frames)
        store.begun(clip, events)
        return clip

    def tell(self, *messages: dict[str, Any]) -> None:
        """Record events."""
        with Journal(self.journal) as journal:
            for message in messages:
                journal.record(message)

    def files(self) -> list[str]:
        """The files among the clips."""
        return sorted(path.name for path in (self.data / CLIPS).rglob("*") if path.is_file())
