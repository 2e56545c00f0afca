"""The trackers that are compared, each behind the same three methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import numpy as np

from edgecam.tracker import Tracker
from edgecam.types import BBox, Detection, Track

PIXELS = (1280, 720)
"""The frame that peers, who think in pixels, are told of."""


class Shown(NamedTuple):
    """One box that a tracker would show under a number."""

    track_id: int
    bbox: BBox


class Contender(Protocol):
    """One tracker at work. Only `update` is timed: peers are not charged for our forms of input and output."""

    def prepare(self, timestamp: float, detections: Sequence[Detection]) -> Any: ...

    def update(self, prepared: Any) -> Any: ...

    def shown(self, result: Any) -> list[Shown]: ...


class Entry(NamedTuple):
    """A tracker in the table: its name, the package it needs, what it was set to, and how it starts at a rate."""

    name: str
    package: str
    parameters: str
    start: Callable[[int], Contender]

    @property
    def missing(self) -> str:
        """Why it cannot take part, "" where it can."""
        if find_spec(self.package) is None:
            return f"{self.package} is not installed"
        try:
            self.start(10)
        except Exception as error:  # noqa: BLE001 - whatever a foreign package does at its import
            return f"{type(error).__name__}: {error}"
        return ""


class Ours:
    """edgecam's tracker with the service's defaults: threshold 0.5, weak looks down to half of that."""

    def __init__(self, _rate: int, *, predictions: bool = False, **settings: Any) -> None:
        self._tracker = Tracker(**settings)
        self._predictions = predictions

    def prepare(self, timestamp: float, detections: Sequence[Detection]) -> tuple[float, list[Detection]]:
        return timestamp, [one for one in detections if one.score >= 0.25]

    def update(self, prepared: tuple[float, list[Detection]]) -> tuple[Track, ...]:
        return self._tracker.update(*prepared)

    def shown(self, result: tuple[Track, ...]) -> list[Shown]:
        return [
            Shown(track.track_id, track.bbox)
            for track in result
            if track.confirmed and (self._predictions or not track.misses)
        ]


class Norfair:
    """norfair; `patience` in seconds and `first` in looks are its hit_counter_max and initialization_delay."""

    def __init__(
        self,
        rate: int,
        *,
        distance: Any = "iou",
        threshold: float = 0.7,
        floor: float = 0.25,
        patience: float = 1.0,
        first: int = 2,
        predictions: bool = False,
        noise: float = 4.0,
    ) -> None:
        import norfair

        self._detection = norfair.Detection
        self._floor = floor
        self._predictions = predictions
        self._tracker = norfair.Tracker(
            distance_function=distance,
            distance_threshold=threshold,
            hit_counter_max=max(first + 1, round(patience * rate)),
            initialization_delay=first,
            filter_factory=norfair.OptimizedKalmanFilterFactory(R=noise),
        )
        self._fresh: set[int] = set()

    def prepare(self, timestamp: float, detections: Sequence[Detection]) -> list[Any]:
        return [
            self._detection(points=in_pixels(one.bbox).reshape(2, 2), label=one.label, data=timestamp)
            for one in detections
            if one.score >= self._floor
        ]

    def update(self, prepared: list[Any]) -> Any:
        self._fresh = {id(one) for one in prepared}
        return self._tracker.update(detections=prepared)

    def shown(self, result: Any) -> list[Shown]:
        """Where it was hit, the detection's own box, as Frigate does; else the estimate, if predictions are shown."""
        boxes = []
        for one in result:
            hit = id(one.last_detection) in self._fresh
            if hit or self._predictions:
                points = one.last_detection.points if hit else one.estimate
                boxes.append(Shown(one.id, in_fractions(points.ravel())))
        return boxes


def frigate(rate: int, **settings: Any) -> Norfair:
    """norfair as Frigate sets it (its `norfair_tracker.py` and the defaults of its `detect` settings)."""
    return Norfair(
        rate, distance=frigate_distance, threshold=2.5, floor=0.5, patience=5.0, first=rate // 2, noise=3.4, **settings
    )


def frigate_distance(detection: Any, tracked: Any) -> float:
    """Frigate's distance: how far the foot has moved and how much the sides have changed, in sides of the estimate."""
    points, estimate = detection.points, tracked.estimate
    size, before = points[1] - points[0], estimate[1] - estimate[0]
    moved = ((points[0, 0] + points[1, 0]) - (estimate[0, 0] + estimate[1, 0])) / 2 / before[0]
    sunk = (points[:, 1].max() - estimate[:, 1].max()) / before[1]
    wider, higher = np.maximum(size, before) / np.minimum(size, before) - 1
    return float(np.linalg.norm((moved, sunk, wider, higher)))


class ByteTrack:
    """supervision's ByteTrack; `patience` in seconds is its lost_track_buffer, None for its default of 30 frames."""

    def __init__(
        self,
        rate: int,
        *,
        activation: float = 0.25,
        matching: float = 0.8,
        patience: float | None = None,
        first: int = 1,
    ) -> None:
        import warnings

        import supervision

        self._detections = supervision.Detections
        frames = 30 if patience is None else max(1, round(patience * rate))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that a later version will not have it
            self._tracker = supervision.ByteTrack(
                track_activation_threshold=activation,
                lost_track_buffer=frames,
                minimum_matching_threshold=matching,
                frame_rate=30,
                minimum_consecutive_frames=first,
            )

    def prepare(self, timestamp: float, detections: Sequence[Detection]) -> Any:
        if not detections:
            return self._detections.empty()
        return self._detections(
            xyxy=np.array([in_pixels(one.bbox) for one in detections], np.float32),
            confidence=np.array([one.score for one in detections], np.float32),
        )

    def update(self, prepared: Any) -> Any:
        if not len(prepared):
            prepared.confidence = np.zeros(0, np.float32)
        return self._tracker.update_with_detections(prepared)

    def shown(self, result: Any) -> list[Shown]:
        return [Shown(int(n), in_fractions(box)) for n, box in zip(result.tracker_id, result.xyxy, strict=True)]


def in_pixels(box: BBox) -> Any:
    """[xmin, ymin, xmax, ymax] in pixels of the peers' frame."""
    return np.array(box) * (*PIXELS, *PIXELS)


def in_fractions(edges: Any) -> BBox:
    """The inverse of `in_pixels`."""
    return BBox(*(float(edge) / side for edge, side in zip(edges, (*PIXELS, *PIXELS), strict=True)))
