"""One camera's pipeline: its three threads in a list, started from the end, stopped from the front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

import cv2

from edgecam.capture import CaptureWorker
from edgecam.detection import DetectWorker
from edgecam.errors import EdgecamError, WorkerStuck
from edgecam.events import EventRules
from edgecam.output import OutputWorker
from edgecam.overlay import Overlay
from edgecam.ports import Camera, Clock, Detector, Sink
from edgecam.ring import AnalysisQueue, FrameRing
from edgecam.storing import StoreWorker
from edgecam.switches import Switches
from edgecam.tracker import Tracker
from edgecam.worker import Worker

TURN = 0.2
"""Seconds between two ticks while a worker starts."""


@dataclass(frozen=True, slots=True)
class PipelineParts:
    """What a pipeline is made of; the devices are opened by the threads that own them.

    `caution` is what a viewer should know of the model, in a few words; empty for most. `open_limit` is how many
    seconds the detector may take to open before it counts as hung.
    """

    name: str
    camera: Camera
    detector: Detector
    tracker: Tracker
    rules: EventRules
    sinks: Sequence[Sink]
    overlay: Overlay | None
    clock: Clock
    caution: str = ""
    switches: Switches = field(default_factory=Switches)
    open_limit: float = Worker.open_limit


@dataclass(frozen=True, slots=True)
class Counters:
    """What went through a pipeline.

    Once it has stopped, captured equals written plus dropped, and analysed plus skipped plus failed (lost with the
    detector), exactly. `events_lost` counts messages that could be recorded nowhere.
    """

    frames_captured: int
    frames_analysed: int
    frames_skipped: int
    frames_failed: int
    frames_written: int
    frames_dropped: int
    events: int
    events_lost: int


class Pipeline:
    """Capture, detect and output of one camera, and the two hand-overs between them."""

    def __init__(
        self,
        parts: PipelineParts,
        on_exit: Callable[[], None],
        *,
        ring_frames: int = 64,
        output_wait: float = 0.5,
        start_timeout: float = 60.0,
        stop_timeout: float = 10.0,
    ) -> None:
        self.name = parts.name
        self.switches = parts.switches
        self._caution = parts.caution
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        clock = parts.clock
        lossless = parts.camera.lossless
        awaited = ("detect", "output") if lossless else ("output",)  # of a live camera, detect takes the newest alone
        self._ring = ring = FrameRing(ring_frames, lossless=lossless, readers=awaited)
        self._analyses = analyses = AnalysisQueue()
        self.capture = CaptureWorker(parts.camera, ring, clock, on_exit)
        self.detect = DetectWorker(
            ring, parts.detector, parts.tracker, parts.rules, analyses, clock, on_exit, switches=parts.switches
        )
        self.output = OutputWorker(
            ring, analyses, parts.sinks, parts.overlay, clock, on_exit, wait=output_wait, status=self.status
        )
        self.workers: list[Worker] = [self.capture, self.detect, self.output]
        self.stores = self.output.stores
        self.sinks = list(parts.sinks)
        self.detect.open_limit = parts.open_limit
        for worker in (*self.workers, *self.stores):
            worker.name = f"{worker.name}-{parts.name}"
            worker.camera = parts.name

    @property
    def done(self) -> bool:
        """True when the camera has ended by itself or a worker has failed."""
        return self.fault is not None or (self.capture.ready.is_set() and not self.capture.is_alive())

    @property
    def fault(self) -> BaseException | None:
        """The first error that ended a worker."""
        return next((worker.fault for worker in (*self.workers, *self.stores) if worker.fault), None)

    @property
    def ready(self) -> bool:
        """Whether pictures are looked at: one was, or one has come that is not to be."""
        seen = self.detect.skipped if not self.switches["detect"] else 0
        return self.detect.analysed + seen > 0

    def start(self, tick: Callable[[], None] = lambda: None) -> None:
        """Start the consumers first, so that nobody produces for nobody; `tick` is called while that takes long.

        Raises what stopped a worker from starting.
        """
        cv2.setNumThreads(1)  # with threads of its own, OpenCV takes half as much CPU time again for a small picture
        for worker in (*self.stores, *reversed(self.workers)):
            worker.start()
            limit = monotonic() + max(self._start_timeout, worker.open_limit)
            while not worker.ready.wait(TURN):
                tick()
                if monotonic() > limit:
                    raise EdgecamError(f"{worker.name} did not start in time; its device hangs")
            if worker.fault:
                raise worker.fault

    def stop(self) -> list[WorkerStuck]:
        """Stop in flow order, draining what is under way; each worker has its own limit. Returns the stuck ones.

        Where a lossless camera came to its end by itself, the frames left are still analysed; else only written.
        """
        at_its_end = self._ring.lossless and self.capture.ident is not None and not self.capture.is_alive()
        stuck = [self._stop(self.capture)]
        self._ring.close()  # also where capture hangs and cannot
        stuck.append(self._stop(self.detect, wait_only=at_its_end))
        self._analyses.close()
        stuck.append(self._stop(self.output, wait_only=True))
        stuck += [self._stop_store(store) for store in self.stores]
        return [error for error in stuck if error]

    def counters(self) -> Counters:
        """The counts so far."""
        output = self.output
        return Counters(
            frames_captured=self.capture.captured,
            frames_analysed=self.detect.analysed,
            frames_skipped=self.detect.skipped,
            frames_failed=self.detect.failed,
            frames_written=output.written,
            frames_dropped=output.missed + output.refused,
            events=self.detect.events_started,
            events_lost=self._unrecorded + self._analyses.events_lost,
        )

    @property
    def _unrecorded(self) -> int:
        """Event messages that no sink of events alone could take: the most that one of them lost."""
        return max((outlet.events_lost for outlet in self.output.outlets if not outlet.takes_frames), default=0)

    def status(self) -> str:
        """One line for the overlay: camera, model, device, caution, frames a second."""
        info = self.detect.info
        degraded = "degraded" if info and info.degraded else ""
        who = (info.model, info.device or "no device", degraded) if info else ("no detector",)
        return " · ".join(filter(None, (self.name, *who, self._caution, f"{self.output.rate:.0f} fps")))

    def _stop_store(self, store: StoreWorker) -> WorkerStuck | None:
        """Let a sink take what is left; what a stuck one has not taken counts as refused, or lost."""
        store.close()
        error = self._stop(store, wait_only=True)
        if error or store.ident is None:
            store.abandon()
        return error

    def _stop(self, worker: Worker, *, wait_only: bool = False) -> WorkerStuck | None:
        if not wait_only:
            worker.stopping.set()
        try:
            worker.join_within(self._stop_timeout)
        except WorkerStuck as error:
            worker.stopping.set()
            return error
        return None
