"""Recorded videos: how many pass in them, counted by eye, and how many numbers a tracker gave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench_trackers.contenders import Entry
from bench_trackers.seers import Detections, frames_of, looked, opened

MODEL = "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
LABELS = "coco_labels.txt"


class Video(NamedTuple):
    """`counted` is how many of `label` really pass (docs/tracking.md says how they were counted), None
    where that cannot be told."""

    name: str
    label: str
    counted: int | None
    rate: int
    every: int


VIDEOS = (
    Video("intel_one-by-one-person-detection.mp4", "person", 6, 10, 1),
    Video("intel_car-detection.mp4", "car", 4, 12, 2),
    Video("vtest.avi", "person", None, 10, 1),
)


class Seen(NamedTuple):
    """A video with what the model saw in it; `rate` is that of the looks."""

    video: Video
    looks: list[tuple[float, Detections]]


def seen(folder: Path) -> Iterator[Seen]:
    """The videos there are in the folder of test assets. Raises EdgecamError."""
    detector = opened(folder / "models" / MODEL, folder / "models" / LABELS)
    try:
        for video in VIDEOS:
            path = folder / "videos" / video.name
            if path.is_file():
                frames = frames_of(path, video.every)
                looks = [(timestamp, looked(detector, picture)) for timestamp, picture in frames]
                yield Seen(video, [(t, [one for one in found if one.label == video.label]) for t, found in looks])
    finally:
        detector.close()


def numbers_given(entry: Entry, film: Seen) -> int:
    """How many numbers a tracker shows in the whole video."""
    contender = entry.start(film.video.rate)
    numbers = set()
    for timestamp, found in film.looks:
        numbers |= {one.track_id for one in contender.shown(contender.update(contender.prepare(timestamp, found)))}
    return len(numbers)
