"""Live video where the recorder makes none: pictures are encoded while somebody looks, and only then."""

from __future__ import annotations

from collections import deque
from threading import Condition

from edgecam.errors import EndOfStream, SinkError
from edgecam.live_feed import LiveFeed
from edgecam.ports import Sink
from edgecam.recording.encoder import EncoderOptions
from edgecam.sinks.clip_stream import ClipStream
from edgecam.types import AnnotatedFrame
from edgecam.worker import Worker

TURN = 0.5
"""Longest wait of one turn, seconds."""
DEPTH = 16
"""Pictures that may wait for the encoder; beyond it the oldest goes, and the video has one less."""
STOP_LIMIT = 5.0
"""Seconds that the encoder may take for its last picture."""


class LiveSink(Sink):
    """Feeds `live` where there is no recorder, it is switched off, or its disk hangs.

    Costs nothing, and has no thread, while nobody looks or the recorder is at work. Otherwise a thread of its own
    encodes, which holds up nobody: what it does not take in time is left out, and counted in `left_out`. An encoder
    that does not work is a SinkError.
    """

    name = "live video"

    def __init__(
        self, camera: str, live: LiveFeed, *, encoder: EncoderOptions | None = None, overlay: bool = True
    ) -> None:
        self.left_out = 0
        self._camera = camera
        self._live = live
        self._options = encoder or EncoderOptions()
        self._overlay = overlay
        self._worker: LiveEncoderWorker | None = None

    def write(self, annotated: AnnotatedFrame) -> None:
        if not self._live.wanted or self._live.is_attended(annotated.frame.timestamp):
            self._rest()
            return
        worker = self._worker
        if worker is None or not worker.is_alive():
            self._worker = None
            if worker is not None and worker.fault is not None:
                raise SinkError(f"live video: {worker.fault}") from worker.fault
            stream = ClipStream(self._options, 0.0, overlay=self._overlay, live=self._live)
            worker = self._worker = LiveEncoderWorker(self._camera, stream, self._live)
            worker.start()
        self.left_out += worker.offer(annotated)

    def _rest(self) -> None:
        """Have the encoder end, if there is one; no wait for it."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stopping.set()
            worker.wake()

    def close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None and (stuck := worker.stop_within(STOP_LIMIT)):
            raise SinkError(str(stuck))


class LiveEncoderWorker(Worker):
    """Encodes what it is offered, until nobody looks or it is stopped: the recorder is at work again."""

    def __init__(self, camera: str, stream: ClipStream, live: LiveFeed) -> None:
        super().__init__(f"live-{camera}", lambda: None)
        self.camera = camera
        self._stream = stream
        self._live = live
        self._changed = Condition()
        self._waiting: deque[AnnotatedFrame] = deque()

    def offer(self, annotated: AnnotatedFrame) -> int:
        """Have a picture encoded; returns how many are left out for it. From any thread; never waits."""
        with self._changed:
            left_out = len(self._waiting) >= DEPTH
            if left_out:
                self._waiting.popleft()
            self._waiting.append(annotated)
            self._changed.notify()
        return int(left_out)

    def step(self) -> None:
        annotated = self._take()
        if not self._live.wanted:
            raise EndOfStream
        if annotated is None:
            return
        if self._stream.breaks(annotated):
            self._stream.close()
        self._stream.encode(annotated)

    def wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def teardown(self) -> None:
        self._stream.close()

    def _take(self) -> AnnotatedFrame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.stopping.is_set(), TURN)
            return self._waiting.popleft() if self._waiting else None
