"""Objects that stand still: a parked car, a coat on a hook."""

from __future__ import annotations

from edgecam.types import BBox

#: A box overlaps (IoU) the place where the object stands by this much, or the object has moved: boxes of things that
#: stand still keep above 0.8 in the shared videos, and a quarter of the width makes 0.6.
_IN_PLACE = 0.6
#: An object that stood still has moved once it was elsewhere for so many seconds: who walks past it cuts its box.
_GONE = 1.0
#: Where it stands is the mean of its boxes, the newest with this weight: one box shakes, and the first may be old.
_SETTLING = 0.2
#: What is found again overlaps the place by this much.
_FOUND_AGAIN = 0.5


class Stillness:
    """Whether one object stands still.

    It is `stationary` after `after` seconds in one place, and until it was elsewhere for a second. `motionless_count`
    counts the looks since it last moved, `position_changes` how often it moved after it was stationary.
    """

    __slots__ = (
        "_elsewhere",
        "_settled",
        "_since",
        "after",
        "motionless_count",
        "place",
        "position_changes",
        "stationary",
    )

    def __init__(self, after: float, timestamp: float, box: BBox) -> None:
        self.stationary = False
        self.motionless_count = 0
        self.position_changes = 0
        self.place = self._settled = box
        self.after = after
        self._since = timestamp
        self._elsewhere: float | None = None

    def look(self, timestamp: float, box: BBox) -> bool:
        """Take one look at the object; True where `stationary` has changed."""
        if self.place.iou(box) >= _IN_PLACE:
            return self._stand(timestamp, box)
        if not self.stationary:
            self._move(timestamp, box)
            return False
        if self._elsewhere is None:
            self._elsewhere = timestamp
        if timestamp - self._elsewhere < _GONE:
            return False
        self.stationary = False
        self.position_changes += 1
        self._move(timestamp, box)
        return True

    def found_again(self, box: BBox) -> float:
        """How well a new box fits the place; 0 where it does not."""
        overlap = self.place.iou(box)
        return overlap if overlap >= _FOUND_AGAIN else 0.0

    def _stand(self, timestamp: float, box: BBox) -> bool:
        self._elsewhere = None
        self.motionless_count += timestamp > self._since
        if self.stationary:
            return False
        x0, y0, x1, y1 = self._settled
        self._settled = BBox(
            x0 + (box.xmin - x0) * _SETTLING,
            y0 + (box.ymin - y0) * _SETTLING,
            x1 + (box.xmax - x1) * _SETTLING,
            y1 + (box.ymax - y1) * _SETTLING,
        )
        if timestamp - self._since < self.after:
            return False
        # It may have crept here from where it was first seen to stand: from now on this is its place.
        self.stationary, self.place = True, self._settled
        return True

    def _move(self, timestamp: float, box: BBox) -> None:
        self.place = self._settled = box
        self._since, self._elsewhere, self.motionless_count = timestamp, None, 0
