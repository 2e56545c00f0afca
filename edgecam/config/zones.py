"""What an operator marks in a camera's picture: zones, lines and masks. Points are [right, down], 0 to 1."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from edgecam.config.sections import Label, Name, Score, Section

Point = Annotated[tuple[Score, Score], Field(strict=False)]
_Points = tuple[tuple[float, float], ...]

#: Fractions of the frame; less is the width of a line, or a slip of the hand.
_LEAST_AREA = 1e-5
_LEAST_LENGTH = 0.01


def _is_polygon(points: _Points) -> _Points:
    if len(points) < 3:
        raise ValueError("allowed are at least 3 points, each [right, down] from 0 to 1")
    if _crosses_itself(points):
        raise ValueError("allowed is an outline that does not cross or touch itself: give its corners in order")
    if abs(_area(points)) < _LEAST_AREA:
        raise ValueError("allowed is a polygon with an area: these points lie on one line")
    return points


def _is_line(points: _Points) -> _Points:
    (x0, y0), (x1, y1) = points
    if abs(x1 - x0) + abs(y1 - y0) < _LEAST_LENGTH:
        raise ValueError(f"allowed are two points that are at least {_LEAST_LENGTH} apart")
    return points


def _area(points: _Points) -> float:
    """Gauss's area formula: above 0 where the points go clockwise in the picture."""
    return sum(_cross((0.0, 0.0), a, b) for a, b in zip(points, points[1:] + points[:1], strict=True)) / 2


def _cross(origin: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> float:
    return (a[0] - origin[0]) * (b[1] - origin[1]) - (a[1] - origin[1]) * (b[0] - origin[0])


def _crosses_itself(points: _Points) -> bool:
    """Whether two edges that are not neighbours have a point in common."""
    count = len(points)
    edges = [(points[n], points[(n + 1) % count]) for n in range(count)]
    far = [(n, m) for n, m in combinations(range(count), 2) if m - n not in (1, count - 1)]
    return any(_meet(*edges[n], *edges[m]) for n, m in far)


def _meet(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float], d: tuple[float, float]) -> bool:
    """Whether the straight lines from a to b and from c to d have a point in common (Cormen et al., 33.1)."""
    sides = _cross(c, d, a), _cross(c, d, b), _cross(a, b, c), _cross(a, b, d)
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    on = zip(sides, ((c, d, a), (c, d, b), (a, b, c), (a, b, d)), strict=True)
    return any(side == 0 and _between(*points) for side, points in on)


def _between(a: tuple[float, float], b: tuple[float, float], point: tuple[float, float]) -> bool:
    """Whether a point on the line through a and b is within their rectangle."""
    return all(min(low, high) <= value <= max(low, high) for low, high, value in zip(a, b, point, strict=True))


Polygon = Annotated[tuple[Point, ...], Field(strict=False), AfterValidator(_is_polygon)]
Ends = Annotated[tuple[Point, Point], Field(strict=False), AfterValidator(_is_line)]


def _differ(names: tuple[str, str]) -> tuple[str, str]:
    if names[0] == names[1]:
        raise ValueError("allowed are two different names")
    return names


class ZoneSection(Section):
    """A polygon with a name. An object is in it by the middle of its lower edge."""

    polygon: Polygon = Field(description="Its corners in order, each [right, down] from 0 to 1.")
    labels: tuple[Label, ...] = Field(default=(), strict=False, description="Labels that count; empty: all.")
    thresholds: dict[Label, Score] = Field(default={}, description="Least scores to enter, by label.")
    inertia: int = Field(default=3, ge=1, le=100, description="Looks in a row before an object is in, or out again.")
    loitering_time: float = Field(default=0.0, ge=0, le=86400, description="Seconds that an object must stay to count.")


class LineSection(Section):
    """A line from one point to another, and what going over it is called."""

    points: Ends = Field(description="From where to where, each [right, down] from 0 to 1.")
    labels: tuple[Label, ...] = Field(default=(), strict=False, description="Labels that count; empty: all.")
    directions: Annotated[tuple[Name, Name], Field(strict=False), AfterValidator(_differ)] = Field(
        default=("in", "out"), description="Names of going over it from left to right, seen along it, and back."
    )


class MarkedSection(Section):
    """The marks in a camera's picture."""

    privacy_masks: Annotated[tuple[Polygon, ...], Field(strict=False)] = Field(
        default=(), description="Polygons that are black in every picture, before anything looks at it or keeps it."
    )
    masks: Annotated[tuple[Polygon, ...], Field(strict=False)] = Field(
        default=(), description="Polygons; a detection that stands in one is ignored."
    )
    zones: dict[Name, ZoneSection] = Field(default={}, description="Zones, by name: [cameras.front.zones.drive].")
    lines: dict[Name, LineSection] = Field(default={}, description="Lines, by name: [cameras.front.lines.gate].")
    required_zones: Annotated[tuple[Name, ...], Field(strict=False)] = Field(
        default=(), description="An object becomes an event once it was in one of these zones; empty: anywhere."
    )

    @field_validator("required_zones")
    @classmethod
    def _exist(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = info.data.get("zones", names)
        for name in names:
            if name not in known:
                there = f"the zones of this camera are {', '.join(known)}" if known else "this camera has no zones"
                raise ValueError(f"{name}: {there}")
        return names

    def marks(self) -> dict[str, Any]:
        """The keywords for `edgecam.marks.named_marks`."""
        return {
            "zones": {name: zone.model_dump() for name, zone in self.zones.items()},
            "lines": {name: line.model_dump() for name, line in self.lines.items()},
            "masks": self.masks,
            "required_zones": self.required_zones,
        }
