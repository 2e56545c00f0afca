"""What an operator has marked in a camera's picture: zones, lines and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgecam.lines import Line
from edgecam.types import BBox
from edgecam.zones import Polygon, Zone, contains, foot


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one camera. Where `required_zones` are named, an object must have entered one to become an event."""

    zones: tuple[Zone, ...] = ()
    lines: tuple[Line, ...] = ()
    masks: tuple[Polygon, ...] = ()
    required_zones: frozenset[str] = frozenset()

    def masked(self, box: BBox) -> bool:
        """Whether a mask hides what stands there."""
        if not self.masks:
            return False
        point = foot(box)
        return any(contains(mask, point) for mask in self.masks)


def named_marks(
    zones: Mapping[str, Mapping[str, Any]],
    lines: Mapping[str, Mapping[str, Any]],
    masks: Sequence[Polygon],
    required_zones: Sequence[str],
) -> Marks:
    """The marks as a camera's configuration has them: zones and lines by name, each with its own keywords."""
    return Marks(
        tuple(Zone(name, **keys) for name, keys in zones.items()),
        tuple(Line(name, **keys) for name, keys in lines.items()),
        tuple(masks),
        frozenset(required_zones),
    )
