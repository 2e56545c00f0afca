"""A script: `edgecam run` on one camera for a while, with notes of every frame; one JSON document on stdout."""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from edgecam import console
from edgecam.app import App
from edgecam.benchmark.figures import Spread
from edgecam.clock import SystemClock
from edgecam.commands.run import summarise
from edgecam.composition import build_display, build_parts, model_folders, with_display
from edgecam.config import Config, load
from edgecam.errors import EdgecamError
from edgecam.models import resolve
from edgecam.pipeline import Pipeline
from edgecam.ports import Clock, Sink
from edgecam.types import AnnotatedFrame

CAMERA = "check"
"""The camera's name in the configuration."""
MOST_CHANGES = 200
PATIENCE = 30.0
"""Seconds beyond what is planned, in which the first frame has to come."""


class Note(NamedTuple):
    """A frame that reached the end: when it was taken and when it had been written, in monotonic seconds.

    `made` and `inference` are its analysis's, None where the detector skipped it.
    """

    sequence: int
    timestamp: float
    written: float
    made: float | None
    inference: float | None


class LastWarning(logging.Handler):
    """Remembers the newest one."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


class NotingSink(Sink):
    """Stands last, so that what the others take is in `written`."""

    def __init__(self, clock: Clock) -> None:
        self.notes: list[Note] = []
        self.size = (0, 0)
        self._clock = clock

    def write(self, annotated: AnnotatedFrame) -> None:
        frame, analysis = annotated.frame, annotated.analysis
        made, inference = (analysis.made, analysis.inference) if analysis else (None, None)
        self.notes.append(Note(frame.sequence, frame.timestamp, self._clock.monotonic(), made, inference))
        self.size = (frame.main.shape[1], frame.main.shape[0] * 2 // 3)


class Observer:
    """Looks at a running app several times a second, notes what changes, and ends it after `seconds` with frames."""

    def __init__(self, app: App, sink: NotingSink, seconds: float, clock: Clock) -> None:
        self.changes: list[dict[str, Any]] = []
        self._app = app
        self._sink = sink
        self._seconds = seconds
        self._clock = clock
        self._last: tuple[Any, ...] = ()
        self._patience_ends = clock.monotonic() + seconds + PATIENCE

    def __call__(self) -> None:
        if not self._sink.notes:
            if self._clock.monotonic() > self._patience_ends:
                self._app.stop()
            return
        at = self._clock.monotonic() - self._sink.notes[0].timestamp
        pipeline, display = self._app.pipelines[0], self._app.display
        info = pipeline.detect.info
        state = (
            info.device if info else "",
            info.degraded if info else "",
            pipeline.capture.reopened,
            display.state if display else "",
        )
        if state != self._last and len(self.changes) < MOST_CHANGES:
            names = ("device", "degraded", "reopened", "display")
            captured = {"frames_captured": pipeline.capture.captured}
            self.changes.append({"at": round(at, 2), **dict(zip(names, state, strict=True)), **captured})
        self._last = state
        if at >= self._seconds:
            self._app.stop()


def watch(config: Config, seconds: float) -> dict[str, Any]:
    """The camera of the configuration through the pipeline of `edgecam run`. Raises EdgecamError."""
    clock = SystemClock()
    sink, changed, warnings = NotingSink(clock), threading.Event(), LastWarning()
    display = build_display(config, clock)
    model = resolve(config.detector.model, folders=model_folders(config))
    parts = with_display(build_parts(config, CAMERA, config.cameras[CAMERA], model, clock), display)
    pipeline = Pipeline(replace(parts, sinks=[*parts.sinks, sink]), changed.set)
    app = App([pipeline], changed, display)
    observer = Observer(app, sink, seconds, clock)
    logging.getLogger("edgecam").addHandler(warnings)
    try:
        app.run(observer)
    finally:
        logging.getLogger("edgecam").removeHandler(warnings)
    if len(sink.notes) < 2:
        raise EdgecamError(f"only {len(sink.notes)} frames came: {warnings.text or 'nothing was said'}")
    summary = summarise(app.counters(), app.detectors(), clock)
    return {
        **summary.pop("cameras")[CAMERA],
        "reopened": pipeline.capture.reopened,
        "display": display.summary() if display else None,
        **{name: getattr(parts.camera, name) for name in ("damaged", "lost") if hasattr(parts.camera, name)},
        "size": sink.size,
        **figures(sink.notes),
        **_load(sink.notes),
        "changes": observer.changes,
    }


def figures(notes: Sequence[Note]) -> dict[str, Any]:
    """The rate, and in seconds: the intervals, the age of a frame when it was analysed and when it was written.

    Of the frames that were not dropped. Intervals are those between neighbours, so that a frame dropped does not count
    as a pause of the camera. There have to be two at least.
    """
    steps = [after.timestamp - before.timestamp for before, after in pairwise(notes)]
    neighbours = [
        step for step, (before, after) in zip(steps, pairwise(notes), strict=True)
        if after.sequence == before.sequence + 1
    ]  # fmt: skip
    whole = notes[-1].timestamp - notes[0].timestamp
    return {
        "seconds": round(whole, 3),
        "fps": round((notes[-1].sequence - notes[0].sequence) / whole, 2),
        "interval": _spread(neighbours),
        "longest_pause": round(max(steps), 4),
        "latency_analysed": _spread([note.made - note.timestamp for note in notes if note.made is not None]),
        "latency_written": _spread([note.written - note.timestamp for note in notes]),
        "inference": _spread([note.inference for note in notes if note.inference is not None]),
    }


def _load(notes: Sequence[Note]) -> dict[str, Any]:
    """What it cost: CPU seconds of this process and of the detector's, memory at most, start included."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    return {
        "cpu_seconds": round(seconds, 2),
        "cpu_seconds_per_frame": round(seconds / len(notes), 5),
        "memory_most_mib": [each.ru_maxrss // 1024 for each in used],
    }


def _spread(durations: Sequence[float]) -> dict[str, Any] | None:
    if not durations:
        return None
    return {name: round(value, 5) for name, value in asdict(Spread.of(durations)).items()}


def main() -> int:
    """Watch, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="edgecam: %(message)s", stream=sys.stderr)
    try:
        console.emit_json(watch(load(options.config, cameras_needed=True), options.seconds))
    except EdgecamError as error:
        console.complain(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
