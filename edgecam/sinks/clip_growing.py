"""A clip in the making: its file, its boxes and its row in the journal, which come and go together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from edgecam.clip_store import ClipRow, ClipStore
from edgecam.preroll import Packet
from edgecam.recording.boxes import BoxesWriter, boxes_path
from edgecam.recording.fragments import ClipInfo, FragmentWriter
from edgecam.recording.h264 import StreamInfo
from edgecam.types import Track


class GrowingClip:
    """Its row is there before its file: what is found on the disk after a crash is known to the journal, and so are the
    events that it shows. All methods raise OSError, of which SinkError is one.
    """

    def __init__(
        self, data: Path, row: ClipRow, start: float, stream: StreamInfo, store: ClipStore, *, sync: bool, boxes: bool
    ) -> None:
        """`data` is the folder that the row's path starts from; `start` the first packet's timestamp."""
        self.start = start
        self.path = data / row.path
        self.clip_id = row.clip_id
        self._row = row
        self._store = store
        self._writer = FragmentWriter(self.path, stream, sync=sync, started=row.start)
        self._boxes = BoxesWriter(boxes_path(self.path), start) if boxes else None
        self._events: set[str] = set()
        self._is_written = False
        self._info: ClipInfo | None = None

    @property
    def end(self) -> float:
        """Up to which timestamp it is in the file."""
        return self.start if self._writer.end is None else self._writer.end

    def begin(self, event_ids: Iterable[str]) -> None:
        """Tell the journal, and which events it shows."""
        ids = list(dict.fromkeys(event_ids))
        self._store.begun(self._row, ids)
        self._events.update(ids)

    def link(self, event_id: str) -> None:
        """It shows this event, too."""
        if event_id not in self._events:
            self._store.linked(event_id, self._row.clip_id)
            self._events.add(event_id)

    def write(self, packets: Sequence[Packet], tracks: Sequence[tuple[Track, ...]]) -> None:
        """Take the next packets, and the tracks that belong to each."""
        self._writer.write(packets)
        if self._boxes is not None:
            for packet, found in zip(packets, tracks, strict=True):
                self._boxes.write(packet.timestamp, found)

    def settle(self) -> bool:
        """Finish it as far as it has come, and tell the journal; False where it never became one, and is gone.

        To be called again where it failed.
        """
        if not self._is_written:
            self._info = self._writer.finish()
            self._is_written = True
        info, beside = self._info, boxes_path(self.path)
        if self._boxes is not None:
            self._boxes.close(self.start if info is None else info.end)
        if info is None:
            beside.unlink(missing_ok=True)
            self._store.removed([self._row.clip_id])
            return False
        size = info.bytes + (beside.stat().st_size if beside.is_file() else 0)
        self._store.finished(self._row.clip_id, self._row.start + info.duration, info.frames, size, info.cut or None)
        return True
