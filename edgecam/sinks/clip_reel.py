"""Clips of one kind, one after the other, from one camera's packets: when one begins, and when the next."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from edgecam.clip_store import ClipKind, ClipRow, ClipStore
from edgecam.ports import Clock
from edgecam.preroll import Packet
from edgecam.sinks.clip_growing import GrowingClip
from edgecam.sinks.clip_interest import Interest
from edgecam.sinks.clip_stream import ClipStream
from edgecam.sinks.faults import as_sink_error
from edgecam.sinks.names import clip_path
from edgecam.types import AnnotatedFrame, Event

log = logging.getLogger(__name__)

Do = Callable[[Callable[[], None], int], None]
"""Has a job done that touches the disk and holds so many bytes; raises OSError of this job or one before it."""


def random_id() -> str:
    """The id of a clip: no two are alike."""
    return uuid4().hex[:12]


@dataclass(frozen=True, slots=True)
class Shelving:
    """Where clips go, and how: in `folder`, which lies in the data folder, from which the paths in `store` start.

    `max_length` is in seconds, a clip goes on in the next at a keyframe, of which there is one each `keyframe_interval`
    seconds. `sync`: see FragmentWriter. `boxes`: whether they are to be beside the clip.
    """

    folder: Path
    camera: str
    store: ClipStore
    clock: Clock
    max_length: float
    keyframe_interval: float
    sync: bool = True
    boxes: bool = False
    new_id: Callable[[], str] = random_id


class Reel:
    """All there is, in segments. What touches the disk is done by `do`, and may be done later.

    `recorded` counts finished clips. All methods raise OSError, of which SinkError is one; `interrupt` is to be called
    then, and `settle_open` before anything is recorded again.
    """

    kind = ClipKind.CONTINUOUS

    def __init__(self, shelving: Shelving, stream: ClipStream, do: Do) -> None:
        self.recorded = 0
        self._shelving = shelving
        self._stream = stream
        self._do = do
        self._growing: GrowingClip | None = None
        self._open: list[GrowingClip] = []
        self._from = 0.0
        self._continued = ""

    def needs(self, timestamp: float) -> bool:
        """Whether a frame of this time is to be encoded."""
        return self._growing is not None or self._wants(timestamp)

    def take(self, packets: list[Packet]) -> None:
        """Record packets, which are in the ring as well, as far as wanted; begin and finish clips as it comes."""
        growing = self._growing
        if growing is None:
            if packets and self._wants(packets[-1].timestamp):
                self._begin(self._stream.ring.since(self._from))
            return
        for number, packet in enumerate(packets):
            wanted = self._wants(packet.timestamp)
            if not wanted or self._is_full(growing, packet):
                self._write(growing, packets[:number])
                self.finish()
                if wanted:
                    self._begin(packets[number:], growing.clip_id)
                return
        self._write(growing, packets)

    def finish(self) -> None:
        """End the clip that grows, if there is one."""
        growing, self._growing = self._growing, None
        if growing is not None:
            self._do(lambda: self._settle(growing), 0)

    def end(self, timestamp: float) -> None:
        """End the clip: the next frame, of this time, belongs to another stream."""
        self.finish()
        self._from = timestamp

    def settle_open(self) -> None:
        """Finish, as far as they came, all clips that grow or could not be finished. Touches the disk."""
        while self._open:
            self._settle(self._open[0])

    def interrupt(self) -> None:
        """Something failed: finish what grows as far as it came, now or later, and go on from there."""
        if self._open:
            self._from = self._open[0].end
        self._growing = None
        try:
            self._do(self.settle_open, 0)
        except OSError as error:
            log.debug("%s: while finishing a clip: %s", self._shelving.folder, error)

    def forget(self) -> None:
        """What comes next is another story."""
        self._growing = None

    def _wants(self, timestamp: float) -> bool:
        return True

    def _events(self) -> tuple[str, ...]:
        return ()

    def _begin(self, packets: list[Packet], continued: str = "") -> None:
        """Begin a clip with these, the first of them a keyframe; without any it begins with the next. `continued` is
        the id of the one before, where no frame is between the two."""
        if not packets:
            return
        shelving, start = self._shelving, packets[0].timestamp
        self._continued = continued
        started, clip_id = shelving.clock.wall(start).timestamp(), shelving.new_id()
        data, path = shelving.folder.parent, clip_path(shelving.folder, shelving.camera, started, clip_id)
        synced = shelving.clock.synced()
        row = ClipRow(clip_id, shelving.camera, path.relative_to(data), started, clock_synced=synced, kind=self.kind)
        files = {"sync": shelving.sync, "boxes": shelving.boxes}
        growing = GrowingClip(data, row, start, self._stream.info, shelving.store, **files)
        self._growing, events = growing, self._events()
        self._open.append(growing)
        self._do(lambda: growing.begin(events), 0)
        self.take(packets)

    def _write(self, growing: GrowingClip, packets: list[Packet]) -> None:
        if not packets:
            return
        last = packets[-1]
        self._from = last.timestamp + last.duration
        tracks = [self._stream.tracks_at(each.timestamp) for each in packets] if self._shelving.boxes else []

        def write() -> None:
            with as_sink_error(growing.path):
                growing.write(packets, tracks)

        self._do(write, sum(len(each.data) for each in packets))

    def _settle(self, growing: GrowingClip) -> None:
        with as_sink_error(growing.path):
            self.recorded += growing.settle()
        self._open.remove(growing)

    def _is_full(self, growing: GrowingClip, packet: Packet) -> bool:
        """Whether to go on in another file here: a keyframe, and the next one would come too late."""
        shelving = self._shelving
        late = packet.timestamp + shelving.keyframe_interval > growing.start + shelving.max_length + 1e-6
        return packet.keyframe and late and packet.timestamp > growing.start


class EventReel(Reel):
    """What happened: from `pre_roll` seconds before each event to `post_roll` seconds after the last that overlaps."""

    kind = ClipKind.EVENT

    def __init__(self, shelving: Shelving, stream: ClipStream, do: Do, *, pre_roll: float, post_roll: float) -> None:
        super().__init__(shelving, stream, do)
        self._pre_roll = pre_roll
        self._interest = Interest(post_roll)

    def publish(self, event: Event, newest: AnnotatedFrame | None) -> None:
        """Hear of an event; `newest` is the newest frame there is."""
        since = self._interest.take(event)
        if self._growing is not None:
            self._link(self._growing, event, since)
        elif since is not None:
            self._from = since - self._pre_roll
            self._begin_if_recent(event, newest)

    def end(self, timestamp: float) -> None:
        super().end(timestamp)
        self._interest.limit(timestamp)

    def forget(self) -> None:
        super().forget()
        self._interest.forget()

    def _wants(self, timestamp: float) -> bool:
        return self._interest.wants(timestamp)

    def _events(self) -> tuple[str, ...]:
        return self._interest.events

    def _link(self, growing: GrowingClip, event: Event, since: float | None) -> None:
        """The growing clip shows the event; so does the one that it continues, where its pre-roll is in that."""
        if event.event_id in self._interest.events:
            self._do(lambda: growing.link(event.event_id), 0)
        if since is not None and self._continued and since - self._pre_roll < growing.start:
            continued = self._continued
            self._do(lambda: self._shelving.store.linked(event.event_id, continued), 0)

    def _begin_if_recent(self, event: Event, newest: AnnotatedFrame | None) -> None:
        """Begin a clip; not where the event is of long ago, told only now: its end may be the next that is told."""
        recent = self._pre_roll + self._shelving.keyframe_interval
        if newest is None or newest.frame.timestamp - event.timestamp > recent:
            return
        self._interest.wants(newest.frame.timestamp)
        if not self._stream.is_open:
            self.take(self._stream.encode(newest))
        else:
            self._begin(self._stream.ring.since(self._from))
