"""The demonstration: the bundled model on the bundled clip, through the very pipeline of the service, scored."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from edgecam import sinks
from edgecam.app import App
from edgecam.bundled import demo_clip
from edgecam.composition import announce, build_parts, with_display
from edgecam.config import Config
from edgecam.errors import EdgecamError, EndOfStream, InputError
from edgecam.models import Model, resolve
from edgecam.pipeline import Pipeline
from edgecam.ports import Camera, Clock, Sink
from edgecam.scoring import Tally, tally
from edgecam.sinks.display import Display
from edgecam.sinks.screen import Screen
from edgecam.types import AnnotatedFrame, BBox, Frame

CAMERA = "demo"
FPS = 25.0
"""Frames per second of the bundled clip."""
IOU = 0.5


@dataclass(frozen=True, slots=True)
class TrueObject:
    """One object of the clip as the renderer drew it."""

    label: str
    bbox: BBox
    difficult: bool


class ScoringSink(Sink):
    """Compares each analysed frame's detections with the truth; `result` is the tally so far."""

    def __init__(self, truth: list[list[TrueObject]], threshold: float) -> None:
        self.result = Tally()
        self._truth = truth
        self._threshold = threshold

    def write(self, annotated: AnnotatedFrame) -> None:
        if annotated.analysis is None:
            return
        seen = [found for found in annotated.analysis.detections if found.score >= self._threshold]
        self.result += tally(seen, self._truth[annotated.frame.sequence], IOU)


class Beginning(Camera):
    """The first frames of another camera, and no more."""

    def __init__(self, camera: Camera, frames: int) -> None:
        self.lossless = camera.lossless
        self._camera = camera
        self._frames = frames

    def open(self) -> None:
        self._camera.open()

    def close(self) -> None:
        self._camera.close()

    def read(self, timeout: float) -> Frame | None:
        frame = self._camera.read(timeout)
        if frame is not None and frame.sequence >= self._frames:
            raise EndOfStream(f"{CAMERA}: {self._frames} frames were asked for")
        return frame


def load_truth(path: Path) -> list[list[TrueObject]]:
    """The clip's ground truth, a list of objects for each frame. Raises InputError."""
    try:
        frames = json.loads(path.read_text(encoding="utf-8"))["frames"]
        return [
            [TrueObject(thing["label"], BBox(*thing["bbox"]), thing["difficult"]) for thing in things]
            for things in frames
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: the demo's ground truth cannot be read ({error}); install edgecam again") from error


class Demonstration:
    """One run of the demonstration; leaves annotated.mp4, events.jsonl, summary.json and more in `folder`.

    With a screen the frames are shown on it, too, as far as it keeps up with them. Raises InputError where the
    bundled clip is missing.
    """

    def __init__(
        self, folder: Path, clock: Clock, screen: Screen | None = None, *, seconds: float | None = None
    ) -> None:
        """Of the clip are shown the first `seconds`, all of it where that is None."""
        self.folder = folder
        self._seconds = seconds
        self._clock = clock
        self._display = Display(screen, clock, [CAMERA]) if screen else None
        self._truth = load_truth(demo_clip().with_suffix(".json"))

    @property
    def frames(self) -> int:
        """Frames that are shown."""
        return len(self._truth) if self._seconds is None else min(len(self._truth), max(1, round(self._seconds * FPS)))

    def run(self, tick: Callable[[int], None]) -> dict[str, Any]:
        """Run it; `tick` gets the number of frames written so far. Returns the summary. Raises EdgecamError."""
        self._make_room()
        config = self._config()
        model = resolve(config.detector.model)
        announce(model)
        scorer = ScoringSink(self._truth, config.events.threshold)
        pipeline, changed = self._pipeline(config, model, scorer)
        app = App([pipeline], changed, self._display)
        started = monotonic()
        app.run(lambda: tick(pipeline.output.written))
        summary = self._summary(pipeline, scorer.result, monotonic() - started)
        self._write_summary(summary)
        return summary

    def _config(self) -> Config:
        return Config.model_validate(
            {
                "data_dir": self.folder,
                "detector": {"model": "edgecam-demo"},
                "cameras": {CAMERA: {"type": "video_file", "path": str(demo_clip()), "pace": "fast"}},
            }
        )

    def _pipeline(self, config: Config, model: Model, scorer: ScoringSink) -> tuple[Pipeline, threading.Event]:
        changed = threading.Event()
        parts = build_parts(config, CAMERA, config.cameras[CAMERA], model, self._clock)
        camera = Beginning(parts.camera, self.frames)
        shots = self.folder / "snapshots"
        ways_out = [
            sinks.create("journal", path=self.folder / "edgecam.db", snapshots=shots),
            sinks.create("jsonl", path=self.folder / "events.jsonl"),
            sinks.create("snapshot", folder=shots),
            sinks.create("video", path=self.folder / "annotated.mp4"),
            scorer,
        ]
        return Pipeline(
            with_display(replace(parts, camera=camera, sinks=ways_out), self._display), changed.set
        ), changed

    def _make_room(self) -> None:
        """Remove what an earlier demonstration left, and nothing else. Raises EdgecamError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in ("annotated.mp4", "events.jsonl", "summary.json"):
                (self.folder / name).unlink(missing_ok=True)
            for journal in self.folder.glob("edgecam.db*"):
                journal.unlink()
            shutil.rmtree(self.folder / "snapshots" / CAMERA, ignore_errors=True)
        except OSError as error:
            raise EdgecamError(
                f"{self.folder}: cannot write there ({error.strerror}); name another with --out"
            ) from error

    def _summary(self, pipeline: Pipeline, result: Tally, seconds: float) -> dict[str, Any]:
        counters, info = pipeline.counters(), pipeline.detect.info
        assert info is not None
        return {
            **asdict(counters),
            "precision": round(result.precision, 4),
            "recall": round(result.recall, 4),
            "iou": IOU,
            "model": info.model,
            "runtime": info.runtime,
            "device": info.device,
            "seconds": round(seconds, 2),
            "fps": round(counters.frames_written / seconds, 1),
            "out": str(self.folder),
            **({"display": self._display.summary()} if self._display else {}),
        }

    def _write_summary(self, summary: dict[str, Any]) -> None:
        part = self.folder / "summary.json.part"
        part.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        part.replace(self.folder / "summary.json")
