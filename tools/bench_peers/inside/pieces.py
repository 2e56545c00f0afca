"""Tracking and drawing by themselves: edgecam's beside norfair's, supervision's and plain OpenCV's. Prints JSON.

Takes the number of rounds. Milliseconds of CPU time, medians over the rounds of means of many, all in turn: `tracking`
by number of objects and name, `drawing` by name; `missing` says what could not be measured, and why.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from time import thread_time
from typing import Any

import cv2
import numpy as np
from bench_trackers.contenders import ByteTrack, Entry, Norfair, Ours, frigate, in_pixels
from bench_trackers.timing import crowd, milliseconds

from edgecam.overlay import Overlay
from edgecam.types import BBox, Detection, Track

OBJECTS = 5
_TIMES = 200
_WIDTH, _HEIGHT = 1280, 720
_GREEN = (0, 255, 0)
TRACKERS = (
    Entry("edgecam", "edgecam", "defaults", Ours),
    Entry("norfair", "norfair", "defaults", Norfair),
    Entry("norfair, as Frigate has it", "norfair", "Frigate's", frigate),
    Entry("supervision's ByteTrack", "supervision", "defaults", ByteTrack),
)
Work = Callable[[], object]


def main() -> None:
    """Measure all that can be."""
    rounds = int(sys.argv[1])
    missing = {entry.name: why for entry in TRACKERS if (why := entry.missing)}
    trackers = [entry for entry in TRACKERS if entry.name not in missing]
    tracking = {str(count): milliseconds(trackers, count, rounds) for count in (5, 20)}
    people = crowd(OBJECTS)[0][1]
    works: dict[str, Work] = {}
    for name, make in DRAWINGS.items():
        try:
            works[name] = make(people)
            works[name]()
        except Exception as error:  # noqa: BLE001 -- whatever a foreign package does
            missing[name] = f"{type(error).__name__}: {error}"
            works.pop(name, None)
    drawing: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            drawing[name].append(_once(work))
    times = {name: median(each) for name, each in drawing.items()}
    print(json.dumps({"tracking": tracking, "drawing": times, "missing": missing}))


def _once(work: Work) -> float:
    work()
    gc.collect()
    began = thread_time()
    for _ in range(_TIMES):
        work()
    return 1000 * (thread_time() - began) / _TIMES


def ours(people: list[Detection]) -> Work:
    """Boxes and labels alone, as the others draw."""
    return _overlay(people, Overlay(show_clock=False, show_status=False))


def ours_in_full(people: list[Detection]) -> Work:
    """With the strip that has the clock and the status."""
    return _overlay(people, Overlay())


def _overlay(people: list[Detection], overlay: Overlay) -> Work:
    picture = np.full((_HEIGHT * 3 // 2, _WIDTH), 128, np.uint8)
    tracks = [
        Track(number, one.label, one.score, one.bbox, hits=9, misses=0, velocity=BBox(0, 0, 0, 0), confirmed=True)
        for number, one in enumerate(people, start=1)
    ]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return lambda: overlay.draw(picture, tracks, moment, "30 fps")


def opencv(people: list[Detection]) -> Work:
    """rectangle and putText."""
    picture, boxes = _colour(), _pixels(people)

    def draw() -> object:
        for (left, top, right, bottom), one in zip(boxes, people, strict=True):
            cv2.rectangle(picture, (left, top), (right, bottom), _GREEN, 2)
            text = f"{one.label} {one.score:.0%}"
            cv2.putText(picture, text, (left, top), cv2.FONT_HERSHEY_SIMPLEX, 0.6, _GREEN, 2)
        return picture

    return draw


def supervision(people: list[Detection]) -> Work:
    """Its annotators of boxes and labels."""
    import supervision as library

    picture = _colour()
    found = library.Detections(
        xyxy=np.array(_pixels(people), np.float32),
        confidence=np.array([one.score for one in people], np.float32),
        class_id=np.zeros(len(people), int),
        tracker_id=np.arange(1, len(people) + 1),
    )
    names = [f"{one.label} {one.score:.0%}" for one in people]
    box, label = library.BoxAnnotator(), library.LabelAnnotator()
    return lambda: label.annotate(box.annotate(picture, found), found, labels=names)


def norfair(people: list[Detection]) -> Work:
    """draw_boxes with labels and scores."""
    import norfair as library

    picture = _colour()
    found = [
        library.Detection(points=np.array(box).reshape(2, 2), scores=np.full(2, one.score), label=one.label)
        for box, one in zip(_pixels(people), people, strict=True)
    ]
    return lambda: library.draw_boxes(picture, found, draw_labels=True, draw_scores=True)


def _colour() -> Any:
    return np.full((_HEIGHT, _WIDTH, 3), 128, np.uint8)


def _pixels(people: list[Detection]) -> list[tuple[int, int, int, int]]:
    return [tuple(int(edge) for edge in in_pixels(one.bbox)) for one in people]  # type: ignore[misc]


DRAWINGS = {
    "edgecam": ours,
    "edgecam, with clock and status": ours_in_full,
    "plain OpenCV": opencv,
    "supervision": supervision,
    "norfair": norfair,
}

if __name__ == "__main__":
    main()
