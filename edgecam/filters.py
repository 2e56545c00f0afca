"""Filters: which labels, scores, sizes and shapes count, and for how long an object must be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgecam.types import BBox, Detection

#: Detections down to this part of their label's threshold reach the tracker: weak looks keep a track alive.
_FLOOR = 0.5


@dataclass(frozen=True, slots=True)
class Filter:
    """What one label needs.

    Areas are fractions of the frame; ratios are width by height in pixels. `min_duration` is how many seconds an object
    is followed before it becomes an event, `cooldown` how many no other one does after the end of an event.
    """

    threshold: float = 0.5
    min_area: float = 0.0
    max_area: float = 1.0
    min_ratio: float = 0.0
    max_ratio: float = 1000.0
    min_duration: float = 0.0
    cooldown: float = 0.0

    def fits(self, box: BBox, frame_size: tuple[int, int]) -> bool:
        """Whether a box has the right size and shape; `frame_size` is width and height in pixels, (0, 0): unknown,
        and the shape is not looked at."""
        if not self.min_area <= box.area <= self.max_area:
            return False
        width, height = box.width * frame_size[0], box.height * frame_size[1]
        return self.min_ratio * height <= width <= self.max_ratio * height or not all(frame_size)


@dataclass(frozen=True)
class Filters:
    """The filters of one camera: those of some labels, and that of all others.

    `labels` are those that count, empty: all; `exclude_labels` those that do not.
    """

    common: Filter = Filter()
    by_label: Mapping[str, Filter] = field(default_factory=dict)
    labels: frozenset[str] = frozenset()
    exclude_labels: frozenset[str] = frozenset()

    @property
    def lowest_threshold(self) -> float:
        """The least score with which any label can start an event: what a tracker needs to start a track."""
        return min(each.threshold for each in (self.common, *self.by_label.values()))

    def of(self, label: str) -> Filter:
        """The filter of a label."""
        return self.by_label.get(label, self.common)

    def counts(self, label: str) -> bool:
        """Whether the label counts."""
        return label not in self.exclude_labels and (not self.labels or label in self.labels)

    def accept(self, detection: Detection, box: BBox, frame_size: tuple[int, int]) -> bool:
        """Whether the tracker should see it: down to half its label's threshold. `box` is its part in the frame."""
        if not self.counts(detection.label):
            return False
        wanted = self.of(detection.label)
        return detection.score >= _FLOOR * wanted.threshold and wanted.fits(box, frame_size)
