"""Lines in a camera's picture, and which of them an object has gone over, which way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecam.types import BBox, Crossing
from edgecam.zones import Point, foot

#: An object is on a line, and on neither side, within this part of its own extent across the line: a detector's boxes
#: shake in proportion to their size.
_BAND = 0.1


@dataclass(frozen=True, slots=True)
class Line:
    """A directed line between two points, with a name.

    Seen along it, from the first point to the second, who goes over it from left to right goes `directions[0]`, who
    comes back `directions[1]`. `labels` are those that count, empty: all.
    """

    name: str
    points: tuple[Point, Point]
    labels: tuple[str, ...] = ()
    directions: tuple[str, str] = ("in", "out")

    def side(self, point: Point) -> float:
        """Above 0 on the right, below on the left; the distance from the line times the line's length."""
        (x0, y0), (x1, y1) = self.points
        return (x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0)

    def extent(self, box: BBox) -> float:
        """How far a box reaches across the line, in the same measure."""
        (x0, y0), (x1, y1) = self.points
        return abs(x1 - x0) * (box.ymax - box.ymin) + abs(y1 - y0) * (box.xmax - box.xmin)

    def passed(self, start: Point, end: Point) -> bool:
        """Whether the straight way between two points on different sides leads between the line's ends."""
        (ax, ay), (bx, by) = self.points
        dx, dy = end[0] - start[0], end[1] - start[1]
        from_first = dx * (ay - start[1]) - dy * (ax - start[0])
        from_second = dx * (by - start[1]) - dy * (bx - start[0])
        return (from_first <= 0) != (from_second <= 0) or from_first == 0 or from_second == 0


@dataclass(slots=True)
class _Way:
    """One object and one line: the side it was last seen clearly on (0: none yet), the side of its last look, whether
    it last changed that between the line's ends, and the direction counted last."""

    line: Line
    clear: int = 0
    right: bool = False
    through: bool = False
    counted: str = ""


class Path:
    """The lines that one object goes over, in `crossings`.

    A crossing counts when the object stands clearly on the other side, a tenth of its own size beyond the line, having
    passed between the ends; standing on the line, or shaking there, counts nothing. In and out alternate: who comes
    back round the end of the line is not counted the same way again.
    """

    __slots__ = ("_last", "_ways", "crossings")

    def __init__(self, lines: Sequence[Line]) -> None:
        self.crossings: tuple[Crossing, ...] = ()
        self._ways = [_Way(line) for line in lines]
        self._last: Point | None = None

    def adopt(self, lines: Sequence[Line]) -> None:
        """Go by other lines from now on; on which side of an unchanged one the object stands stays known."""
        known = {way.line.name: way for way in self._ways if way.line in lines}
        self._ways = [known.get(line.name) or _Way(line) for line in lines]

    def look(self, timestamp: float, box: BBox, label: str) -> bool:
        """Take one look at the object; True where it has gone over a line."""
        if not self._ways:
            return False
        point, before = foot(box), len(self.crossings)
        for way in self._ways:
            self._follow(way, point, box, timestamp, label)
        self._last = point
        return len(self.crossings) > before

    def _follow(self, way: _Way, point: Point, box: BBox, timestamp: float, label: str) -> None:
        line = way.line
        side = line.side(point)
        right = side > 0
        if right != way.right and self._last is not None:
            way.through = line.passed(self._last, point)
        way.right = right
        if abs(side) <= _BAND * line.extent(box):
            return
        clear, was = (1 if right else -1), way.clear
        way.clear = clear
        if clear == -was and way.through and (not line.labels or label in line.labels):
            direction = line.directions[0 if right else 1]
            if direction != way.counted:
                way.counted = direction
                self.crossings += (Crossing(line.name, direction, timestamp),)
