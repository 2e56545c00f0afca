"""Clips: what happened, from some seconds before it began, one file for all events that overlap."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from edgecam.clip_store import ClipRow, ClipStore
from edgecam.errors import SinkError
from edgecam.ports import Clock, Sink
from edgecam.preroll import Packet
from edgecam.recording.encoder import EncoderOptions
from edgecam.sinks.clip_growing import GrowingClip
from edgecam.sinks.clip_interest import Interest
from edgecam.sinks.clip_stream import ClipStream
from edgecam.sinks.faults import as_sink_error, sink_error
from edgecam.sinks.names import clip_path
from edgecam.types import AnnotatedFrame, Event

log = logging.getLogger(__name__)


def _random_id() -> str:
    return uuid4().hex[:12]


class ClipSink(Sink):
    """Records one camera's events as FOLDER/CAMERA/2026-11-30/13-05-59-ID.mp4, local date and time of its first frame.

    Every frame is encoded once, the newest `pre_roll` seconds (and some more, because an event is announced after it
    began) are kept as packets. A clip begins with the keyframe at or before the event's start minus `pre_roll`, or
    with the oldest there is, and ends `post_roll` seconds after the last event's end. Events that begin before that
    share it. While all that there is stands still (stationary), nothing is recorded; once it moves again another clip
    begins, `pre_roll` before. After `max_length` seconds it goes on in another file, at a keyframe, with no frame lost
    or doubled; so it does, as far as there is anything to go on with, where the camera was away or changed its size.
    Each clip and the events that it shows are in the `store`, which this sink opens.

    Where neither `pre_roll` nor an event needs them, frames are not encoded: with `pre_roll` 0 a clip begins with the
    frame with which its event is announced. `overlay`: the boxes are in the picture; else the picture is the camera's
    and they are beside it (`edgecam.recording.boxes`). `sync`: see FragmentWriter.

    A disk that takes nothing is a SinkError; the clip is finished as far as it came, at once or when the sink is opened
    again. Encoding goes on meanwhile, and recording from where it stopped, as far as the packets that are kept reach.
    There is never an empty file. `recorded` counts finished clips.
    """

    waits_for_disk = True

    def __init__(  # noqa: PLR0913  (the keys of its configuration)
        self,
        folder: Path,
        camera: str,
        store: ClipStore,
        clock: Clock,
        *,
        encoder: EncoderOptions | None = None,
        pre_roll: float = 5.0,
        post_roll: float = 5.0,
        max_length: float = 300.0,
        overlay: bool = True,
        sync: bool = True,
        new_id: Callable[[], str] = _random_id,
    ) -> None:
        """`folder` lies in the data folder, from which the paths in the store start."""
        options = encoder or EncoderOptions()
        self.recorded = 0
        self._folder = Path(folder)
        self._camera = camera
        self._store = store
        self._clock = clock
        self._keyframe_interval = options.keyframe_interval
        self._pre_roll = pre_roll
        self._max_length = max_length
        self._files = {"sync": sync, "boxes": not overlay}
        self._new_id = new_id
        self._stream = ClipStream(options, pre_roll, overlay=overlay)
        self._interest = Interest(post_roll)
        self._newest: AnnotatedFrame | None = None
        self._growing: GrowingClip | None = None
        self._unsettled: list[GrowingClip] = []
        self._from = 0.0
        self._continued = ""
        self._is_open = self._failed = False

    @property
    def kept_bytes(self) -> int:
        """Bytes of packets that are kept for what may begin."""
        return self._stream.ring.bytes

    def open(self) -> None:
        if self._is_open:
            return
        self._failed = True
        with as_sink_error(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._store.open()
            self._settle_old()
        self._is_open, self._failed = True, False

    def write(self, annotated: AnnotatedFrame) -> None:
        self._require_open()
        with self._faults():
            if self._stream.breaks(annotated):
                self._end_stream(annotated.frame.timestamp)
            self._newest = annotated
            wanted = self._growing is not None or self._interest.wants(annotated.frame.timestamp)
            if wanted or self._pre_roll:
                self._record(self._stream.encode(annotated))

    def meanwhile(self, annotated: AnnotatedFrame) -> None:
        self._newest = annotated
        if not self._stream.is_open:
            return
        with suppress(SinkError):
            if self._stream.breaks(annotated):
                self._stream.close()
            self._stream.encode(annotated)

    def publish(self, event: Event) -> None:
        self._require_open()
        since = self._interest.take(event)
        with self._faults():
            if self._growing is not None:
                self._link(self._growing, event, since)
            elif since is not None:
                self._from = since - self._pre_roll
                self._begin_if_recent(event)

    def close(self) -> None:
        if self._failed:  # it is opened again soon, and what is kept is what it goes on with
            self._failed = self._is_open = False
            self._store.close()
            return
        try:
            if self._is_open:
                with self._faults():
                    self._record(self._stream.end())
                    self._finish()
                    self._settle_old()
        finally:
            self._is_open = self._failed = False
            self._forget()
            self._store.close()

    def _link(self, growing: GrowingClip, event: Event, since: float | None) -> None:
        """The growing clip shows the event; so does the one that it continues, where its pre-roll is in that."""
        if event.event_id in self._interest.events:
            growing.link(event.event_id)
        if since is not None and self._continued and since - self._pre_roll < growing.start:
            self._store.linked(event.event_id, self._continued)

    def _begin_if_recent(self, event: Event) -> None:
        """Begin a clip; not where the event is of long ago, told only now: its end may be the next that is told."""
        newest = self._newest
        if newest is None or newest.frame.timestamp - event.timestamp > self._pre_roll + self._keyframe_interval:
            return
        self._interest.wants(newest.frame.timestamp)
        if not self._stream.is_open:
            self._record(self._stream.encode(newest))
        else:
            self._begin(self._stream.ring.since(self._from))

    def _begin(self, packets: list[Packet], continued: str = "") -> None:
        """Begin a clip with these, the first of them a keyframe; without any it begins with the next. `continued` is
        the id of the one before, where no frame is between the two."""
        if not packets:
            return
        self._continued = continued
        start, synced = packets[0].timestamp, self._clock.synced()
        started = self._clock.wall(start).timestamp()
        clip_id = self._new_id()
        data, path = self._folder.parent, clip_path(self._folder, self._camera, started, clip_id)
        row = ClipRow(clip_id, self._camera, path.relative_to(data), started, clock_synced=synced)
        self._growing = GrowingClip(data, row, start, self._stream, self._store, **self._files)
        self._growing.begin(self._interest.events)
        self._record(packets)

    def _record(self, packets: list[Packet]) -> None:
        """Write packets that are wanted; begin and finish clips as it comes."""
        if self._growing is None:
            if packets and self._interest.wants(packets[-1].timestamp):
                self._begin(self._stream.ring.since(self._from))
            return
        ready: list[Packet] = []
        for number, packet in enumerate(packets):
            wanted = self._interest.wants(packet.timestamp)
            if not wanted or self._is_full(self._growing, packet):
                self._growing.write(ready)
                before = self._growing.clip_id
                self._finish()
                if wanted:
                    self._begin(packets[number:], before)
                return
            ready.append(packet)
        self._growing.write(ready)

    def _is_full(self, growing: GrowingClip, packet: Packet) -> bool:
        """Whether to go on in another file here: a keyframe, and the next one would come too late."""
        late = packet.timestamp + self._keyframe_interval > growing.start + self._max_length + 1e-6
        return packet.keyframe and late and packet.timestamp > growing.start

    def _finish(self) -> None:
        if self._growing is None:
            return
        self._from = self._growing.end
        self.recorded += self._growing.settle()
        self._growing = None
        if not self._pre_roll and not self._interest.wants(self._from):
            self._stream.close()

    def _end_stream(self, timestamp: float) -> None:
        """The next frame, of this time, belongs to another stream."""
        self._record(self._stream.end())
        self._finish()
        self._stream.close()
        self._interest.limit(timestamp)
        self._from = timestamp

    def _settle_old(self) -> None:
        while self._unsettled:
            self.recorded += self._unsettled[0].settle()
            del self._unsettled[0]

    def _interrupt(self) -> None:
        """Something failed: finish the clip as far as it came, now or later."""
        self._failed = True
        growing, self._growing = self._growing, None
        if growing is None:
            return
        self._from = growing.end
        try:
            self.recorded += growing.settle()
        except OSError as error:
            log.debug("%s: while finishing it: %s", growing.path, error)
            self._unsettled.append(growing)

    def _forget(self) -> None:
        self._stream.close()
        self._interest.forget()
        self._growing = self._newest = None

    def _require_open(self) -> None:
        if not self._is_open:
            raise SinkError(f"{self._folder}: the clip folder is not open")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """What fails ends the clip, and is a SinkError that names it."""
        try:
            yield
        except OSError as error:
            path = self._folder if self._growing is None else self._growing.path
            self._interrupt()
            if isinstance(error, SinkError):
                raise
            raise sink_error(path, error) from error
