"""A whole edgecam in a world of software Edge TPUs: the product's own pipeline and journal, and everything counted."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecam.clock import SystemClock
from edgecam.detectors.failover import FailoverDetector
from edgecam.detectors.process import ProcessOptions
from edgecam.detectors.watch import TpuWatch
from edgecam.events import EventRules
from edgecam.journal import Journal
from edgecam.pipeline import Pipeline, PipelineParts
from edgecam.ports import Camera, Detector, Sink
from edgecam.sinks.journal import JournalSink
from edgecam.tracker import Tracker
from edgecam.types import AnnotatedFrame, Detection, DetectorInfo, Frame, Inference
from edgecam.yuv import rgb_to_i420
from edgetpu.kit import PATIENCE, Kit, Picture
from edgetpu.measuring import Holdings, children, holdings, inhabitants, wait_until
from edgetpu.standin import StandIn

FPS = 30
STICK = "usb:2-1"
JOURNAL = "edgecam.db"
"""The journal's file in the world's folder."""


class LoopCamera(Camera):
    """Shows a film over and over, 30 frames a second; `pause` holds it, and no frame is lost by that."""

    def __init__(self, film: Sequence[Picture]) -> None:
        self.seen = threading.Event()
        self.seen.set()
        self._film = [(rgb_to_i420(picture), picture) for picture in film]
        self._sequence = 0
        self._due = 0.0

    def read(self, timeout: float) -> Frame | None:
        if not self.seen.wait(timeout):
            return None
        time.sleep(max(0.0, self._due - time.monotonic()))
        now = time.monotonic()
        self._due = max(self._due, now - 1 / FPS) + 1 / FPS  # after a pause it does not hurry
        frame = Frame(self._sequence, now, *self._film[self._sequence % len(self._film)])
        self._sequence += 1
        return frame


class Stretch(NamedTuple):
    """Analyses by one device without one by another between; `first` is the first one's monotonic time."""

    device: str
    first: float


class WitnessedDetector(Detector):
    """A detector that tells who makes the analyses: how many each device, and the latest stretches."""

    def __init__(self, detector: Detector) -> None:
        self.analyses: Counter[str] = Counter()
        self.stretches: deque[Stretch] = deque(maxlen=8)
        self._detector = detector

    @property
    def info(self) -> DetectorInfo:
        return self._detector.info

    @property
    def slots(self) -> int:
        return self._detector.slots

    def open(self) -> None:
        self._detector.open()

    def close(self) -> None:
        self._detector.close()

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        return self._detector.detect(image)

    def submit(self, image: NDArray[np.uint8]) -> None:
        self._detector.submit(image)

    def collect(self, timeout: float) -> Inference | None:
        done = self._detector.collect(timeout)
        if done is not None:
            device = self._detector.info.device
            if not self.stretches or self.stretches[-1].device != device:
                self.stretches.append(Stretch(device, time.monotonic()))
            self.analyses[device] += 1
        return done


class CountingSink(Sink):
    """Counts the frames that arrive, each once and in order."""

    def __init__(self) -> None:
        self.frames = 0
        self._newest = -1

    def write(self, annotated: AnnotatedFrame) -> None:
        sequence = annotated.frame.sequence
        if sequence > self._newest:
            self.frames += 1
            self._newest = sequence


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of all that went through a rig, and what it left behind.

    `seconds` it ran. `frames_lost` were captured and did not arrive at the sink, dropped
    ones among them. `events_lost` were announced
    and are not in the journal with their end. `walks_unseen`, of the whole `walks` shown, made no event. `tpu_analyses`
    and `cpu_analyses` are told by the detector, `tpu_invokes` by the stand-in. What is left: of this process, more
    than before; `processes_left` are all that still live in the world.
    """

    seconds: float
    frames_captured: int
    frames_written: int
    frames_dropped: int
    frames_lost: int
    frames_analysed: int
    frames_failed: int
    tpu_analyses: int
    tpu_invokes: int
    cpu_analyses: int
    events: int
    events_lost: int
    walks: int
    walks_unseen: int
    threads_left: int
    processes_left: int
    descriptors_left: int
    mappings_left: int

    @property
    def leaked(self) -> int:
        """Threads, processes, descriptors and shared mappings left behind."""
        return self.threads_left + self.processes_left + self.descriptors_left + self.mappings_left

    def problems(self) -> list[str]:
        """What should not be."""
        zero = [name for name in _LOSSES if getattr(self, name)]
        wrong = [f"{name} {getattr(self, name)}" for name in zero]
        if self.tpu_invokes < self.tpu_analyses:
            wrong.append(f"{self.tpu_analyses} analyses are said to be the Edge TPU's, which made {self.tpu_invokes}")
        return wrong


_LOSSES = (
    *("frames_dropped", "frames_lost", "frames_failed", "events_lost", "walks_unseen"),
    *("threads_left", "processes_left", "descriptors_left", "mappings_left"),
)


class Rig:
    """A camera, the failover detector, tracker, rules, journal: built, started and stopped as the app does it.

    The process must live in the world (see `lived_in`) as long as the rig runs.
    """

    def __init__(
        self,
        kit: Kit,
        world: StandIn,
        *,
        options: ProcessOptions | None = None,
        watch: TpuWatch | None = None,
        sinks: Sequence[Sink] = (),
    ) -> None:
        self.kit = kit
        self.world = world
        self.journal = world.folder / JOURNAL
        film, numbers, clock = kit.film(), count(1), SystemClock()
        self._film_frames = len(film)
        self.camera = LoopCamera(film)
        self.detector = WitnessedDetector(FailoverDetector(kit.pair, options=options, watch=watch))
        self._announced: list[str] = []
        self._sink = CountingSink()
        rules = EventRules("lab", clock=SystemClock(), new_id=lambda _start: self._announce(f"event-{next(numbers)}"))
        journal = JournalSink(self.journal)
        every = [journal, self._sink, *sinks]
        parts = PipelineParts("lab", self.camera, self.detector, Tracker(), rules, every, None, clock)
        self.pipeline = Pipeline(parts, lambda: None)
        self._before = holdings()
        self.started = 0.0

    def start(self) -> None:
        self.started = time.monotonic()
        self.pipeline.start()

    def wait_for(self, device: str, after: float, timeout: float = PATIENCE) -> float:
        """The monotonic time of the first analysis of a stretch on `device` that began after `after`."""

        def found() -> list[float]:
            stretches = tuple(self.detector.stretches)
            return [each.first for each in stretches if each.device == device and each.first >= after]

        self.wait_until(lambda: bool(found()), f"analysis on {device}", timeout)
        return found()[0]

    def wait_until(self, reached: Callable[[], bool], what: str, timeout: float = PATIENCE) -> float:
        """Wait for it; returns the monotonic time. Raises what ended a thread, and TimeoutError with `what`."""

        def reached_or_ended() -> bool:
            if self.pipeline.fault:
                raise self.pipeline.fault
            return reached()

        return wait_until(reached_or_ended, timeout, lambda: f"no {what}: {self.detector.info}")

    def finish_walk(self) -> None:
        """Go on until who walks by now has gone, so that nobody's event is cut off."""
        done = (self.pipeline.capture.captured // self._film_frames + 1) * self._film_frames
        self.wait_until(lambda: self.pipeline.capture.captured > done, "frames from the camera")

    @property
    def child(self) -> int:
        """The pid of the detector process. There must be one."""
        (pid,) = children()
        return pid

    def stop(self) -> Tally:
        """Stop in good order and count. Raises what ended a thread, or the first that is stuck."""
        stuck = self.pipeline.stop()
        seconds = time.monotonic() - self.started
        for error in filter(None, [self.pipeline.fault, *stuck]):
            raise error
        self._wait_for_the_last()
        return self._tally(seconds, holdings())

    def _announce(self, event_id: str) -> str:
        self._announced.append(event_id)
        return event_id

    def _wait_for_the_last(self) -> None:
        """Threads are joined a moment before they are gone, and what lives on a process of ours ends after it: 2 s."""

        def all_gone() -> bool:
            return not inhabitants(self.world.folder) and holdings().threads <= self._before.threads

        with suppress(TimeoutError):
            wait_until(all_gone, 2.0, str)

    def _tally(self, seconds: float, after: Holdings) -> Tally:
        counters = self.pipeline.counters()
        with Journal(self.journal, read_only=True) as journal:
            recorded = {document["id"]: document for document in journal.events()}
        whole = {event_id for event_id, document in recorded.items() if document["end_time"] is not None}
        seen = {document["best"]["frame"] // self._film_frames for document in recorded.values()}
        walks = counters.frames_captured // self._film_frames
        analyses, before = self.detector.analyses, self._before
        return Tally(
            seconds=seconds,
            frames_captured=counters.frames_captured,
            frames_written=counters.frames_written,
            frames_dropped=counters.frames_dropped,
            frames_lost=counters.frames_captured - self._sink.frames,
            frames_analysed=counters.frames_analysed,
            frames_failed=self.pipeline.detect.failed,
            tpu_analyses=analyses.total() - analyses["cpu"],
            tpu_invokes=sum(entry["event"] == "invoke" for entry in self.world.log()),
            cpu_analyses=analyses["cpu"],
            events=counters.events,
            events_lost=counters.events_lost + len(set(self._announced) - whole),
            walks=walks,
            walks_unseen=len(set(range(walks)) - seen),
            threads_left=after.threads - before.threads,
            processes_left=len(set(children()) | set(inhabitants(self.world.folder))),
            descriptors_left=after.descriptors - before.descriptors,
            mappings_left=after.mappings - before.mappings,
        )
