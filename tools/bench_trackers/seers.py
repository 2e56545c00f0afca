"""Detections for a stage or a video: from an imagined detector, or from a real model."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp
from pathlib import Path
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_trackers.stages import Moments, Sight
from edgecam import detectors
from edgecam.ports import Detector
from edgecam.types import BBox, Detection

FLOOR = 0.1
"""No weaker detection is handed to any tracker."""
_LABELS = ("person", "car", "dog", "bird")
_MEMORY = 0.3
"""Seconds over which the imagined detector's mood about an object lasts: looks fail in a row, not one by one."""

Detections = list[Detection]


class ImaginedDetector:
    """A middling detector, made up: it errs where real ones do, by fixed dice.

    Scores waver slowly about 0.75, lower for what is half hidden or tiny, and below `FLOOR` an object is missed; edges
    are off by 4 % of the sides; one label in fifty is wrong; one object in fifty has a second box on its upper part; of
    two boxes that cover each other by more than 0.6 the weaker is suppressed, as every detector's last stage does.
    There is about one box on nothing in a picture, mostly weak (0.1 to 0.4), and two in three stay where they are for
    about half a second: so it is with the bundled model on rendered scenes (0.8 in a picture above 0.15, half of them
    where one was in the picture before) and with COCO SSD v1 on the recorded videos.
    """

    def __init__(self, seed: int, rate: int) -> None:
        self._dice = Random(f"{seed} {rate}")
        self._rate = rate
        self._moods: dict[int, float] = {}
        self._haunts = [self._anywhere() for _ in range(4)]

    def look(self, sights: tuple[Sight, ...]) -> Detections:
        """What it makes of one picture."""
        found = [detection for sight in sights for detection in self._of(sight)]
        places = [place for n, place in enumerate(self._haunts) if self._mood(-1 - n) > 1]
        if self._dice.random() < 0.3:
            places.append(self._anywhere())
        for place in places:
            score = min(0.9, FLOOR + self._dice.expovariate(1 / 0.11))
            found.append(Detection(self._dice.choice(_LABELS), score, self._jittered(place)))
        return _suppressed([one for one in found if one.score >= FLOOR])

    def _of(self, sight: Sight) -> Detections:
        hidden = max(0.0, 0.75 - sight.visible)
        tiny = max(0.0, 0.08 - sight.bbox.height) * 4
        score = 0.75 - 0.9 * hidden - tiny + 0.17 * self._mood(sight.object_id) + self._dice.gauss(0, 0.05)
        if score < FLOOR:
            return []
        label = self._dice.choice(_LABELS) if self._dice.random() < 0.02 else sight.label
        found = [Detection(label, min(0.98, score), self._jittered(sight.bbox))]
        if self._dice.random() < 0.02:
            box = sight.bbox
            upper = BBox(box.xmin, box.ymin, box.xmax, box.ymin + 0.6 * box.height)
            found.append(Detection(label, min(0.9, 0.8 * score), self._jittered(upper)))
        return found

    def _mood(self, who: int) -> float:
        """A number about 0, deviation 1, that changes slowly."""
        keep = exp(-1 / (self._rate * _MEMORY))
        news = self._dice.gauss(0, 1)
        mood: float = keep * self._moods.get(who, news) + (1 - keep * keep) ** 0.5 * news
        self._moods[who] = mood
        return mood

    def _jittered(self, box: BBox) -> BBox:
        x, y = box.width, box.height
        return BBox(*(edge + self._dice.gauss(0, 0.04) * side for edge, side in zip(box, (x, y, x, y), strict=True)))

    def _anywhere(self) -> BBox:
        x, y, size = self._dice.random() * 0.8, self._dice.uniform(0.3, 0.7), self._dice.uniform(0.06, 0.25)
        return BBox(x, y, x + 0.5 * size, y + size)


def _suppressed(found: Detections) -> Detections:
    kept: Detections = []
    for one in sorted(found, key=lambda detection: -detection.score):
        if all(one.label != other.label or one.bbox.iou(other.bbox) <= 0.6 for other in kept):
            kept.append(one)
    return kept


def imagined(moments: Moments, seed: int, rate: int) -> list[Detections]:
    """What the imagined detector makes of all pictures."""
    detector = ImaginedDetector(seed, rate)
    return [detector.look(sights) for sights in moments]


def opened(model: Path, labels: Path | None = None) -> Detector:
    """A real model on the CPU, ready to look. Raises EdgecamError."""
    detector = detectors.create("tflite", model=model, labels=labels, threads=1, runtime="auto")
    detector.open()
    return detector


def looked(detector: Detector, picture: NDArray[np.uint8]) -> Detections:
    """What a real model makes of an RGB picture [height, width, 3]."""
    small = cv2.resize(picture, detector.info.input_size, interpolation=cv2.INTER_AREA)
    return [one for one in detector.detect(np.asarray(small, np.uint8)) if one.score >= FLOOR]


def frames_of(video: Path, every: int = 1) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Timestamp and RGB picture of every so many frames of a video."""
    import av

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or 10)
        for number, frame in enumerate(container.decode(stream)):
            if number % every == 0:
                yield number / rate, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
