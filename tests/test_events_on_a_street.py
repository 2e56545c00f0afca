"""The whole way from detections to events on a rendered street, beside what the renderer knows to be true."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from random import Random

import cv2
import numpy as np
import pytest

from edgecam.events import EventRules
from edgecam.lines import Line
from edgecam.marks import Marks
from edgecam.scenes import Scene, SceneObject
from edgecam.testing import ManualClock
from edgecam.tracker import Tracker
from edgecam.types import BBox, Detection, Event, EventType
from edgecam.zones import Zone

pytestmark = pytest.mark.any_runtime

SEED, RATE, DURATION = 5, 10, 60
SIZE = (320, 180)
#: The near pavement, and a line across the road and that pavement; "in" is to the right.
PAVEMENT = Zone("pavement", ((0.2, 0.84), (0.8, 0.84), (0.8, 1.0), (0.2, 1.0)), labels=("person", "dog"))
ACROSS = Line("across", ((0.5, 1.0), (0.5, 0.6)), labels=("car", "dog", "person"))


@cache
def street() -> list[tuple[SceneObject, ...]]:
    """A minute of a street, ten pictures a second: what is really there."""
    scene = Scene(SEED, width=SIZE[0], height=SIZE[1], place="street", light="day")
    return [scene.render(number / RATE).objects for number in range(RATE * DURATION)]


@dataclass(frozen=True)
class Passage:
    """The way of one object, as the renderer has it: label, and where it stood in each picture it was in."""

    label: str
    places: list[tuple[float, float]]

    @property
    def on_the_pavement(self) -> bool:
        """For half a second on end, by OpenCV."""
        outline = np.array(PAVEMENT.polygon, np.float32)
        inside = "".join(str(int(cv2.pointPolygonTest(outline, place, False) >= 0)) for place in self.places)
        return self.label in PAVEMENT.labels and "11111" in inside

    @property
    def direction(self) -> str:
        """Over the line as a whole, "" where it began and ended on the same side, or went above its end."""
        (x0, _), (x1, _) = self.places[0], self.places[-1]
        nearest = min(self.places, key=lambda place: abs(place[0] - 0.5))
        if self.label not in ACROSS.labels or (x0 < 0.5) == (x1 < 0.5) or nearest[1] < 0.6:
            return ""
        return "in" if x1 > 0.5 else "out"


def passages() -> list[Passage]:
    ways: dict[int, Passage] = {}
    for seen in street():
        for each in seen:
            x, y = each.bbox.center[0], each.bbox.ymax
            if not each.difficult:
                ways.setdefault(each.object_id, Passage(each.label, [])).places.append((x, y))
    return list(ways.values())


def detected(seen: tuple[SceneObject, ...], shaky: Random) -> list[Detection]:
    """What a good detector makes of it: boxes off by 2 % of their size, now and then nothing."""
    return [
        Detection(each.label, shaky.uniform(0.6, 0.95), shaken(each.bbox, shaky))
        for each in seen
        if not each.difficult and shaky.random() > 0.03
    ]


def shaken(box: BBox, shaky: Random) -> BBox:
    x, y = 0.02 * box.width, 0.02 * box.height
    return BBox(*(edge + shaky.gauss(0, by) for edge, by in zip(box, (x, y, x, y), strict=True)))


def ends(every: int) -> list[Event]:
    """The last messages of all events, at a rate that is so many times lower."""
    tracker, shaky = Tracker(), Random(7)
    rules = EventRules(
        "street",
        marks=Marks((PAVEMENT,), (ACROSS,)),
        clock=ManualClock(),
        new_id=lambda started: f"{started}-{shaky.random()}",
    )
    events: list[Event] = []
    for number in range(0, RATE * DURATION, every):
        tracks = tracker.update(number / RATE, rules.accept(detected(street()[number], shaky)))
        events += rules.update(number, number / RATE, tracks, SIZE)
    events += rules.finish(DURATION)
    return [event for event in events if event.type is EventType.END]


@pytest.mark.parametrize("every", [1, 2, 3])
def test_zones_and_crossings_are_those_of_the_renderer(every: int) -> None:
    last = ends(every)
    entered = Counter(event.label for event in last if event.entered_zones)
    assert entered == Counter(way.label for way in passages() if way.on_the_pavement)
    assert sum(entered.values()) >= 5
    crossed = Counter((event.label, crossing.direction) for event in last for crossing in event.crossings)
    assert crossed == Counter((way.label, way.direction) for way in passages() if way.direction)
    assert sum(crossed.values()) >= 15
