"""Zones: polygons in a camera's picture, and which of them an object is in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgecam.types import BBox

Point = tuple[float, float]
"""Right and down, in fractions of the frame."""
Polygon = tuple[Point, ...]


def foot(box: BBox) -> Point:
    """The middle of a box's lower edge: where an upright object touches the ground."""
    return (box.xmin + box.xmax) / 2, box.ymax


def contains(polygon: Polygon, point: Point) -> bool:
    """Whether the point is inside the polygon or on its edge: an object cut off by the frame stands on that.

    The even-odd rule, as in W. R. Franklin's PNPOLY.
    """
    x, y = point
    inside = False
    x0, y0 = polygon[-1]
    for x1, y1 in polygon:
        side = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
        if (y0 > y) != (y1 > y):
            if side == 0:
                return True
            inside ^= (side > 0) == (y1 > y0)
        elif side == 0 and (x0 <= x <= x1 or x1 <= x <= x0) and (y0 <= y <= y1 or y1 <= y <= y0):
            return True
        x0, y0 = x1, y1
    return inside


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon with a name.

    An object is in it by the middle of its lower edge, once `inertia` looks in a row have said so and `loitering_time`
    seconds have passed since the first of them; it is out again after as many looks in a row outside. `labels` are
    those that count, empty: all; to enter, an object needs the score that `thresholds` has for its label.
    """

    name: str
    polygon: Polygon
    labels: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    inertia: int = 3
    loitering_time: float = 0.0

    def admits(self, label: str, score: float) -> bool:
        """Whether such an object can enter."""
        return (not self.labels or label in self.labels) and score >= self.thresholds.get(label, 0.0)


@dataclass(slots=True)
class _Stay:
    """One object and one zone: whether it is there, how many looks in a row deny that, the time of the first look
    of its being there, and whether it has loitered long enough."""

    zone: Zone
    inside: bool = False
    denied: int = 0
    since: float = 0.0
    counts: bool = False


class Presence:
    """The zones of one object: `current` that it is in, `entered` all that it has been in, in that order."""

    __slots__ = ("_stays", "current", "entered")

    def __init__(self, zones: Sequence[Zone]) -> None:
        self.current: tuple[str, ...] = ()
        self.entered: tuple[str, ...] = ()
        self._stays = [_Stay(zone) for zone in zones]

    def adopt(self, zones: Sequence[Zone]) -> None:
        """Go by other zones from now on; where the object is in those that keep their name stays known."""
        known = {stay.zone.name: stay for stay in self._stays}
        self._stays = [replace(known[zone.name], zone=zone) if zone.name in known else _Stay(zone) for zone in zones]
        self.current = tuple([stay.zone.name for stay in self._stays if stay.counts])

    def look(self, timestamp: float, point: Point, label: str, score: float) -> bool:
        """Take one look at the object; True where it has entered or left a zone."""
        changed = False
        for stay in self._stays:
            self._settle(stay, timestamp, point, label, score)
            counts = stay.inside and timestamp - stay.since >= stay.zone.loitering_time
            if counts != stay.counts:
                stay.counts, changed = counts, True
        if changed:
            self.current = tuple([stay.zone.name for stay in self._stays if stay.counts])
            self.entered += tuple([name for name in self.current if name not in self.entered])
        return changed

    @staticmethod
    def _settle(stay: _Stay, timestamp: float, point: Point, label: str, score: float) -> None:
        zone = stay.zone
        here = contains(zone.polygon, point) and (stay.inside or zone.admits(label, score))
        if here == stay.inside:
            stay.denied = 0
            return
        if not stay.denied and here:
            stay.since = timestamp
        stay.denied += 1
        if stay.denied >= zone.inertia:
            stay.inside, stay.denied = here, 0
