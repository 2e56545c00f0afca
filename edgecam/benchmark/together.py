"""Runs several cameras at one detector, as `edgecam run` does, and counts what each of them gets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import process_time

from edgecam.benchmark.film import FilmCamera, NotingSink
from edgecam.benchmark.several_figures import Trouble, Window
from edgecam.benchmark.takes import LEAST, PATIENCE, rss_bytes
from edgecam.errors import CameraError, DetectorError, WorkerStuck
from edgecam.inference import InferenceWorker
from edgecam.pipeline import Pipeline, PipelineParts
from edgecam.ports import Camera, Clock
from edgecam.types import Frame

STOP_TIMEOUT = 10.0
"""How long, in seconds, the inference thread may show no life while it stops."""
_GLANCE = 0.05


class TroubledCamera(Camera):
    """Shows a film until it is given a `trouble`: a camera that stalls gives no frames, one that dies fails for good.

    Freed of it, it goes on as if it were opened anew.
    """

    def __init__(self, film: FilmCamera) -> None:
        self.film = film
        self.trouble = Trouble.NONE
        self._mended = threading.Event()
        self._stalled = False

    def open(self) -> None:
        self._check()
        self.film.open()

    def close(self) -> None:
        self.film.close()

    def read(self, timeout: float) -> Frame | None:
        self._check()
        if self.trouble is Trouble.STALLS:
            self._stalled = True
            self._mended.wait(timeout)
            return None
        if self._stalled:
            self._stalled = False
            self.film.open()
        return self.film.read(timeout)

    def suffer(self, trouble: Trouble) -> None:
        """Have this trouble from the next frame on. From any thread."""
        self.trouble = trouble
        if trouble is Trouble.NONE:
            self._mended.set()
        else:
            self._mended.clear()

    def _check(self) -> None:
        if self.trouble is Trouble.DIES:
            raise CameraError("the benchmark has it die")


class Together:
    """The running pipelines of several cameras, watched by the main thread."""

    def __init__(
        self, pipelines: Sequence[Pipeline], sinks: Sequence[NotingSink], clock: Clock, changed: threading.Event
    ) -> None:
        self._pipelines = pipelines
        self._sinks = sinks
        self._clock = clock
        self._changed = changed
        self._device = ""

    def settle(self, device: str, warm: Callable[[], bool] = lambda: True) -> None:
        """Wait until each camera's frames are analysed on `device` and all is `warm`.

        Raises DetectorError where that takes too long, and what ends a pipeline.
        """
        self._device = device
        limit = self._clock.monotonic() + PATIENCE
        while not (all(self._begun(each) for each in self._pipelines) and warm()):
            if self._clock.monotonic() > limit:
                raise DetectorError(f"the detector on {device} does not get on: {self._account()}")
            self._wait(_GLANCE)

    def window(self, seconds: float) -> Window:
        """Count for so many seconds. Raises DetectorError where the detector is lost, and what ends a pipeline."""
        analysed, captured = self._analysed(), self._captured()
        spent, begin = process_time(), self._clock.monotonic()
        self.wait(seconds)
        now, after, taken = self._analysed(), self._captured(), process_time() - spent
        end = self._clock.monotonic()
        busy = sum(
            note.inference for sink in self._sinks for note in sink.notes if note.made and begin <= note.made <= end
        )
        return Window(end - begin, _less(now, analysed), _less(after, captured), taken, rss_bytes(), busy)

    def wait(self, seconds: float) -> None:
        """Let so many seconds pass. Raises DetectorError where the detector is lost, and what ends a pipeline."""
        begin = self._clock.monotonic()
        while (left := begin + seconds - self._clock.monotonic()) > 0:
            self._wait(min(left, _GLANCE))
            if not all(self._works(each, begin) for each in self._pipelines):
                raise DetectorError(f"the detector on {self._device} failed while it was measured: {self._account()}")

    def _wait(self, seconds: float) -> None:
        for pipeline in self._pipelines:
            if pipeline.fault:
                raise pipeline.fault
        if self._changed.wait(seconds):
            self._changed.clear()

    def _analysed(self) -> list[int]:
        return [pipeline.detect.analysed for pipeline in self._pipelines]

    def _captured(self) -> list[int]:
        return [pipeline.capture.captured for pipeline in self._pipelines]

    def _works(self, pipeline: Pipeline, begin: float) -> bool:
        """Is its detector there, and has it been since `begin`?"""
        info = pipeline.detect.info
        return (
            self._on_device(pipeline)
            and pipeline.detect.lost_since is None
            and info is not None
            and info.since <= begin
        )

    def _begun(self, pipeline: Pipeline) -> bool:
        return self._on_device(pipeline) and pipeline.detect.analysed >= LEAST

    def _on_device(self, pipeline: Pipeline) -> bool:
        info = pipeline.detect.info
        return info is not None and info.device == self._device

    def _account(self) -> str:
        infos = [pipeline.detect.info for pipeline in self._pipelines]
        degraded = next((info.degraded for info in infos if info and info.degraded), "")
        return degraded or f"{self._analysed()} frames analysed"


@contextmanager
def together(parts: Sequence[PipelineParts], inference: InferenceWorker | None, clock: Clock) -> Iterator[Together]:
    """Start the pipelines, behind what lends them their detector, and stop them again. Raises what stops them."""
    changed = threading.Event()
    pipelines = [Pipeline(each, changed.set) for each in parts]
    stuck: list[WorkerStuck | None] = []
    try:
        if inference is not None:
            inference.start()
        for pipeline in pipelines:
            pipeline.start()
        sinks = [sink for each in parts for sink in each.sinks if isinstance(sink, NotingSink)]
        yield Together(pipelines, sinks, clock, changed)
    finally:
        stuck += [error for pipeline in pipelines for error in pipeline.stop()]
        stuck += [inference.stop_within(STOP_TIMEOUT)] if inference is not None else []
    for error in filter(None, stuck):
        raise error


def _less(after: Sequence[int], before: Sequence[int]) -> tuple[int, ...]:
    return tuple(now - then for now, then in zip(after, before, strict=True))
