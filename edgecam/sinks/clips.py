"""Clips: what happened, from some seconds before it began, and all there is in segments, encoded once for both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from edgecam.clip_store import ClipStore
from edgecam.errors import SinkError
from edgecam.live_feed import LiveFeed
from edgecam.ports import Clock, Sink
from edgecam.preroll import Packet
from edgecam.recording.encoder import EncoderOptions
from edgecam.sinks.clip_reel import EventReel, Reel, Shelving, random_id
from edgecam.sinks.clip_stream import ClipStream
from edgecam.sinks.disk_worker import DiskWorker
from edgecam.sinks.faults import as_sink_error
from edgecam.types import AnnotatedFrame, Event

CONTINUOUS = "continuous"
"""The folder of the segments, beside that of the clips."""


class ClipSink(Sink):
    """Records one camera's events as FOLDER/CAMERA/2026-11-30/13-05-59-ID.mp4, local date and time of its first frame.

    Every frame is encoded once, the newest `pre_roll` seconds (and some more, because an event is announced after it
    began) are kept as packets. A clip begins with the keyframe at or before the event's start minus `pre_roll`, or
    with the oldest there is, and ends `post_roll` seconds after the last event's end. Events that begin before that
    share it. While all that there is stands still (stationary), nothing is recorded; once it moves again another clip
    begins, `pre_roll` before. After `max_length` seconds it goes on in another file, at a keyframe, with no frame lost
    or doubled; so it does, as far as there is anything to go on with, where the camera was away or changed its size.
    Each clip and the events that it shows are in the `store`, which this sink opens.

    With `segment_length` all there is is recorded as well, the same packets, in files of that many seconds in the
    folder `continuous` beside FOLDER; with `events` False nothing else is.

    Where neither `pre_roll` nor an event nor a segment needs them, nor anybody looks at `live`, which gets all packets,
    frames are not encoded: with `pre_roll` 0 a clip begins with the frame with which its event is announced, or, while
    somebody looks, with the keyframe before the event. `overlay`: the boxes are in the picture; else the picture
    is the camera's and they are beside it (`edgecam.recording.boxes`). `sync`: see FragmentWriter.

    What touches the disk is done in a thread of this sink's own: while a write hangs, encoding goes on, and packets
    wait within the bounds of DiskWorker; beyond them this sink hangs as well. A disk that refuses is a SinkError; the
    clip is finished as far as it came, at once or when the sink is opened again. Encoding goes on meanwhile, and
    recording from where it stopped, as far as the packets that are kept reach. There is never an empty file.
    `recorded` counts finished clips.
    """

    name = "clips"
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
        events: bool = True,
        segment_length: float = 0.0,
        live: LiveFeed | None = None,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        """`folder` lies in the data folder, from which the paths in the store start."""
        options = encoder or EncoderOptions()
        self._folder = Path(folder)
        self._camera = camera
        self._store = store
        self._pre_roll = pre_roll if events else 0.0
        self._live = live
        self._stream = ClipStream(options, self._pre_roll, overlay=overlay, live=live)
        shelving = Shelving(
            self._folder,
            camera,
            store,
            clock,
            max_length,
            options.keyframe_interval,
            sync=sync,
            boxes=not overlay,
            new_id=new_id,
        )
        self._happenings = EventReel(shelving, self._stream, self._do, pre_roll=self._pre_roll, post_roll=post_roll)
        self._reels: list[Reel] = [self._happenings] if events else []
        if segment_length:
            segments = replace(shelving, folder=self._folder.with_name(CONTINUOUS), max_length=segment_length)
            self._reels.append(Reel(segments, self._stream, self._do))
        self._newest: AnnotatedFrame | None = None
        self._disk: DiskWorker | None = None
        self._is_open = self._failed = False

    @property
    def recorded(self) -> int:
        """Clips that were finished."""
        return sum(reel.recorded for reel in self._reels)

    @property
    def kept_bytes(self) -> int:
        """Bytes of packets that are kept for what may begin, or wait for the disk."""
        return self._stream.ring.bytes + (self._disk.waiting_bytes if self._disk else 0)

    def open(self) -> None:
        if self._is_open:
            return
        self._failed = True
        if self._disk is None:
            self._disk = DiskWorker(f"clips-disk-{self._camera}")
            self._disk.start()
        self._do(self._prepare)
        self._disk.drain()
        self._is_open, self._failed = True, False

    def write(self, annotated: AnnotatedFrame) -> None:
        self._require_open()
        now = annotated.frame.timestamp
        self._attend(now)
        with self._faults():
            if self._stream.breaks(annotated):
                self._end_stream(now)
            self._newest = annotated
            if self._pre_roll or self._needed(now):
                packets = self._stream.encode(annotated)
                for reel in self._reels:
                    reel.take(packets)
                if not (self._pre_roll or self._needed(now)):
                    self._stream.close()

    def meanwhile(self, annotated: AnnotatedFrame) -> None:
        self._newest = annotated
        self._attend(annotated.frame.timestamp)
        if not (self._stream.is_open or self._is_watched):
            return
        with suppress(SinkError):
            if self._stream.breaks(annotated):
                self._stream.close()
            self._stream.encode(annotated)

    def publish(self, event: Event) -> None:
        self._require_open()
        if self._happenings in self._reels:
            with self._faults():
                self._happenings.publish(event, self._newest)

    def close(self) -> None:
        if self._failed:  # it is opened again soon, and what is kept is what it goes on with
            self._leave_disk()
            return
        try:
            if self._is_open and self._disk is not None:
                with self._faults():
                    self._finish(self._stream.end())
                    self._disk.drain()
        finally:
            self._stream.close()
            for reel in self._reels:
                reel.forget()
            self._newest = None
            self._leave_disk()

    @property
    def _is_watched(self) -> bool:
        return self._live is not None and self._live.wanted

    def _attend(self, timestamp: float) -> None:
        if self._live is not None:
            self._live.attend(timestamp)

    def _needed(self, timestamp: float) -> bool:
        return any(reel.needs(timestamp) for reel in self._reels) or self._is_watched

    def _finish(self, packets: list[Packet]) -> None:
        """Record the last packets of the stream, and end the clips."""
        for reel in self._reels:
            reel.take(packets)
            reel.finish()

    def _end_stream(self, timestamp: float) -> None:
        """The next frame, of this time, belongs to another stream."""
        self._finish(self._stream.end())
        self._stream.close()
        for reel in self._reels:
            reel.end(timestamp)

    def _prepare(self) -> None:
        """Open the folder and the store, and settle what was left. Touches the disk."""
        with as_sink_error(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._store.open()
            for reel in self._reels:
                reel.settle_open()

    def _leave_disk(self) -> None:
        """Have the disk's thread close the store, and end. Waits for the disk. Raises SinkError."""
        self._is_open = self._failed = False
        disk, self._disk = self._disk, None
        if disk is None:
            return
        try:
            disk.do(self._store.close)
            disk.drain()
        finally:
            disk.close()

    def _do(self, job: Callable[[], None], size_bytes: int = 0) -> None:
        if self._disk is None:
            raise SinkError(f"{self._folder}: the clip folder is not open")
        self._disk.do(job, size_bytes)

    def _require_open(self) -> None:
        if not self._is_open:
            raise SinkError(f"{self._folder}: the clip folder is not open")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """What fails ends the clips: they are finished as far as they came, now or later."""
        try:
            yield
        except OSError as error:
            self._failed = True
            for reel in self._reels:
                reel.interrupt()
            with as_sink_error(self._folder):
                raise error
