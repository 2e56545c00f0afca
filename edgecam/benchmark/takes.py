"""Measures the whole pipeline: a take is one run of it on the film, of which a part counts."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import process_time

from edgecam.benchmark.figures import Cost, Live, Rate
from edgecam.benchmark.film import FilmCamera, Note, NotingSink
from edgecam.errors import DetectorError, EdgecamError
from edgecam.pipeline import Pipeline, PipelineParts
from edgecam.ports import Clock
from edgecam.types import DetectorInfo

LEAST = 3
"""Fewest analyses before what counts begins, and in it, however short the time."""
PATIENCE = 60.0
"""Longest wait, seconds beyond what is planned, for the detector to start and for each of these analyses."""
_GLANCE = 0.1


@dataclass(frozen=True, slots=True)
class Take:
    """What was noted; what counts is what was analysed from `begin` to `end`, monotonic seconds.

    `handed_out` is when the camera handed out each frame, by its sequence; `info` the detector's; `cpu` the CPU time of
    this process in seconds, all threads together, `faults` the pages that the kernel had to find for it meanwhile
    (getrusage(2), ru_minflt). `rss_bytes` is the memory of the process and its children at the end, `grown_bytes` by
    how much that grew meanwhile; `start` the seconds from the start of the pipeline to its first analyses.
    """

    notes: Sequence[Note]
    handed_out: Sequence[float]
    begin: float
    end: float
    info: DetectorInfo
    cpu: float
    faults: int = 0
    rss_bytes: int = 0
    grown_bytes: int = 0
    start: float = 0.0
    copies: int = 0


def record(
    parts: PipelineParts, camera: FilmCamera, sink: NotingSink, device: str, seconds: float, settle: float = 0.0
) -> Take:
    """Run the pipeline; what counts begins `settle` seconds after it first analyses on `device`, and lasts `seconds`.

    It does not begin before the frames are through that the camera hands out ahead: while a ring fills, each frame's
    memory is new to the process, and costs what a running appliance never pays.

    Raises DetectorError where the detector does not get that far, or is lost on the way, and what ends a pipeline.
    """
    changed = threading.Event()
    pipeline = Pipeline(parts, changed.set)
    watch = _Watch(pipeline, parts.clock, changed)
    started = parts.clock.monotonic()
    with _running(pipeline):
        begin = watch.begin(device, lambda: _is_warm(camera, sink), settle)
        before, faults, spent = rss_bytes(), _faults(), process_time()
        end = watch.end(seconds)
        spent, faults = process_time() - spent, _faults() - faults
        info, rss = watch.info, rss_bytes()
    start, grown = watch.first - started, rss - before
    return Take(sink.notes, camera.handed_out, begin, end, info, spent, faults, rss, grown, start, camera.copies)


def _is_warm(camera: FilmCamera, sink: NotingSink) -> bool:
    """Whether all frames are through that came at once."""
    return bool(sink.notes) and sink.notes[-1].sequence >= camera.ahead


def rate(take: Take) -> Rate:
    """The pace of the analyses that count. Raises EdgecamError where they are too few."""
    made = [made for _sequence, made, _inference in _counted(take)]
    return Rate(len(made) - 1, made[-1] - made[0])


def live(take: Take) -> Live:
    """What became of the frames from the first to the last that count. Raises EdgecamError where these are too few."""
    counted = _counted(take)
    first, last = counted[0][0], counted[-1][0]
    arrived = sum(first <= note.sequence <= last for note in take.notes)
    overheads = [made - take.handed_out[sequence] - inference for sequence, made, inference in counted]
    return Live(
        analysed=len(counted),
        skipped=arrived - len(counted),
        dropped=last - first + 1 - arrived,
        overheads=tuple(overheads),
    )


def cost(take: Take) -> Cost:
    """The CPU time of this process for the frames that count."""
    return Cost(sum(take.begin <= moment <= take.end for moment in take.handed_out), take.cpu)


def inferences(take: Take) -> Sequence[float]:
    """The seconds of the invoke of each analysis that counts. Raises EdgecamError where these are too few."""
    return [inference for _sequence, _made, inference in _counted(take)]


def copies(take: Take) -> float:
    """Copies of a whole picture for each frame, from the camera to the sinks."""
    return take.copies + sum(note.copied for note in take.notes) / max(1, len(take.notes))


def rss_bytes() -> int:
    """The memory that this process and those it has started have in use now (proc(5), VmRSS)."""
    found = 0
    for task in Path("/proc/self/task").iterdir():
        for process in ("self", *(task / "children").read_text(encoding="ascii").split()):
            if process != "self" or task.name == str(os.getpid()):
                found += _resident(Path("/proc") / process)
    return found


def _resident(process: Path) -> int:
    with suppress(OSError):  # it may just have ended
        return int((process / "statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _faults() -> int:
    return getrusage(RUSAGE_SELF).ru_minflt


def _counted(take: Take) -> list[tuple[int, float, float]]:
    """Sequence, time of the analysis, and seconds of the invoke, of each analysis that counts."""
    counted = [
        (note.sequence, note.made, note.inference)
        for note in take.notes
        if note.made is not None and take.begin <= note.made <= take.end
    ]
    if len(counted) < 2:
        raise EdgecamError(f"only {len(counted)} analysed frames reached the output: give more --seconds")
    return counted


class _Watch:
    """Waits beside a running pipeline, in the main thread. Raises DetectorError, and what ends a pipeline."""

    def __init__(self, pipeline: Pipeline, clock: Clock, changed: threading.Event) -> None:
        self._pipeline = pipeline
        self._detect = pipeline.detect
        self._clock = clock
        self._changed = changed
        self._device = ""
        self._begin = 0.0
        self._failed = 0
        self.first = 0.0

    @property
    def info(self) -> DetectorInfo:
        """What the detector runs on, now."""
        return self._detect.info or DetectorInfo("", "", "", (0, 0))

    def begin(self, device: str, warm: Callable[[], bool], settle: float) -> float:
        """Wait until frames are analysed on `device`, which `first` notes, then `settle` seconds and until all is warm.

        Returns the time then.
        """
        self._device = device
        self.first = self._wait(lambda: self.info.device == device and self._detect.analysed >= LEAST, 0.0)
        enough = self._detect.analysed
        self._begin = self._wait(lambda: warm() and self._detect.analysed > enough, settle)
        self._failed = self._detect.failed
        return self._begin

    def end(self, seconds: float) -> float:
        """Wait `seconds` and until enough frames are analysed, all on the same device; returns the time then."""
        enough = self._detect.analysed + LEAST

        def reached() -> bool:
            info = self.info
            if self._detect.failed > self._failed or info.device != self._device or info.since > self._begin:
                raise DetectorError(f"the detector on {self._device} failed while it was measured: {self._account()}")
            return self._detect.analysed > enough

        return self._wait(reached, seconds)

    def _wait(self, reached: Callable[[], bool], seconds: float) -> float:
        due = self._clock.monotonic() + seconds
        while not reached() or self._clock.monotonic() < due:
            ahead = due - self._clock.monotonic()
            if ahead < -PATIENCE:
                raise DetectorError(f"the detector on {self._device} does not get on: {self._account()}")
            if self._pipeline.fault:
                raise self._pipeline.fault
            self._changed.wait(min(_GLANCE, ahead) if ahead > 0 else _GLANCE)
            self._changed.clear()
        return self._clock.monotonic()

    def _account(self) -> str:
        if self.info.degraded:
            return self.info.degraded
        return f"{self._detect.analysed} frames analysed, now on {self.info.device or 'no device'}"


@contextmanager
def _running(pipeline: Pipeline) -> Iterator[None]:
    stuck = []
    try:
        pipeline.start()
        yield
    finally:
        stuck = pipeline.stop()
    if stuck:
        raise stuck[0]
