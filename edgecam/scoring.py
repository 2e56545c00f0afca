"""How right a detector is where the truth is known: precision and recall at an overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgecam.types import BBox, Detection


class Truth(Protocol):
    """One object that is really there. A difficult one (mostly hidden, tiny) counts neither for nor against."""

    @property
    def label(self) -> str: ...

    @property
    def bbox(self) -> BBox: ...

    @property
    def difficult(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Tally:
    """Objects found, objects missed, and detections of nothing."""

    found: int = 0
    missed: int = 0
    false: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.found + other.found, self.missed + other.missed, self.false + other.false)

    @property
    def precision(self) -> float:
        """Part of the detections that are right; 1 where there was nothing to be wrong about."""
        return self.found / (self.found + self.false) if self.found + self.false else 1.0

    @property
    def recall(self) -> float:
        """Part of the objects that were found; 1 where there was nothing to find."""
        return self.found / (self.found + self.missed) if self.found + self.missed else 1.0


def tally(detections: Iterable[Detection], truths: Sequence[Truth], iou: float = 0.5) -> Tally:
    """Match one picture's detections to its objects, best score first, each object once (as PASCAL VOC does).

    A detection takes the free object of its label that it overlaps most, if by `iou` or more. One that meets a
    difficult object instead is ignored.
    """
    free = [truth for truth in truths if not truth.difficult]
    difficult = [truth for truth in truths if truth.difficult]
    found = false = 0
    for detection in sorted(detections, key=lambda detection: -detection.score):
        best = _best(detection, free, iou)
        if best is not None:
            free.remove(best)
            found += 1
        elif _best(detection, difficult, iou) is None:
            false += 1
    return Tally(found, len(free), false)


def _best(detection: Detection, truths: Sequence[Truth], iou: float) -> Truth | None:
    overlaps = [
        (detection.bbox.iou(truth.bbox), index) for index, truth in enumerate(truths) if truth.label == detection.label
    ]
    overlap, index = max(overlaps, default=(0.0, -1))
    return truths[index] if overlap >= iou else None
