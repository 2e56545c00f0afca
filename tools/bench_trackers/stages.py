"""Where things pass by and who is who is known: the project's rendered scenes, and a square full of people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, product
from math import pi, sin
from random import Random

import numpy as np
from numpy.typing import NDArray

from edgecam.scenes import Scene
from edgecam.types import BBox

RATE = 30
"""Truth is kept so many times a second; slower analyses see every third or sixth moment."""
SIZE = (640, 360)
"""Width and height in pixels in which scenes are rendered."""
_BEGIN = 4.0


@dataclass(frozen=True, slots=True)
class Sight:
    """One object in one picture. `visible` is the part of it that is neither hidden nor outside."""

    object_id: int
    label: str
    bbox: BBox
    visible: float

    @property
    def difficult(self) -> bool:
        """As for `edgecam.scenes.SceneObject`: a tracker is neither blamed nor praised for it."""
        return self.visible < 0.5 or self.bbox.width < 0.02 or self.bbox.height < 0.05


Moments = list[tuple[Sight, ...]]


@dataclass(frozen=True)
class Stage:
    """A place and its truth. `scene` paints it; None for the square, which has no picture."""

    name: str
    seed: int
    moments: Moments
    scene: Scene | None

    def pictures(self, rate: int) -> Iterator[NDArray[np.uint8]]:
        """Its pictures at `rate` a second, RGB [height, width, 3]; none for the square."""
        if self.scene is not None:
            for number in range(0, len(self.moments), RATE // rate):
                yield self.scene.render(_BEGIN + number / RATE).image

    def at(self, rate: int) -> Moments:
        """What is there at `rate` moments a second."""
        return self.moments[:: RATE // rate]


def stages(first_seed: int, rounds: int, seconds: float, tick: Callable[[], None] = lambda: None) -> Iterator[Stage]:
    """Streets and gardens by day, at dusk and in rain, and a square, so many times; no two have the same traffic."""
    seed = count(first_seed)
    for _ in range(rounds):
        for place, light in product(("street", "garden"), ("day", "dusk", "rain")):
            yield rendered(next(seed), place, light, seconds)
            tick()
        yield squared(next(seed), seconds)
        tick()


def squared(seed: int, seconds: float) -> Stage:
    """A square with its truth; nothing is painted."""
    return Stage(f"square {seed}", seed, square(seed, seconds), None)


def rendered(seed: int, place: str, light: str, seconds: float) -> Stage:
    """A rendered scene with its truth."""
    scene = Scene(seed, width=SIZE[0], height=SIZE[1], place=place, light=light)
    moments = []
    for number in range(round(seconds * RATE)):
        objects = scene.render(_BEGIN + number / RATE).objects
        moments.append(tuple(Sight(one.object_id, one.label, one.bbox, one.visible) for one in objects))
    return Stage(f"{place} {light} {seed}", seed, moments, scene)


@dataclass(frozen=True, slots=True)
class _Walker:
    """Someone who walks to and fro across the square with a swinging gait, never twice alike."""

    height: float
    foot: float
    speed: float
    phase: float

    def box(self, t: float) -> BBox:
        x = self.phase + self.speed * (t + 0.3 * sin(0.9 * t + 9 * self.phase))
        x = 1.15 - abs(x % 2.6 - 1.3)  # between -0.15 and 1.15, and back
        half = 0.17 * self.height * (1 + 0.2 * sin(2 * pi * 1.1 * t + 7 * self.phase))
        foot = self.foot + 0.012 * sin(0.5 * t + 5 * self.phase)
        return BBox(x - half, foot - self.height, x + half, foot)


def square(seed: int, seconds: float, people: int = 8) -> Moments:
    """People who cross in front of each other and behind two pillars that hide them for a second or so."""
    random = Random(seed)
    walkers = []
    for _ in range(people):
        depth = random.random()
        height = 0.2 + 0.3 * depth
        speed = random.choice([-1, 1]) * height * random.uniform(0.25, 0.5)
        walkers.append(_Walker(height, 0.5 + 0.45 * depth, speed, random.uniform(0, 2.6)))
    pillars = [BBox(x, 0.0, x + 0.06, 0.78) for x in (random.uniform(0.2, 0.4), random.uniform(0.6, 0.8))]
    return [_seen_in_square(walkers, pillars, number / RATE) for number in range(round(seconds * RATE))]


def _seen_in_square(walkers: list[_Walker], pillars: list[BBox], t: float) -> tuple[Sight, ...]:
    """The boxes of what shows of each, the nearest (lowest foot) hiding the others; on a grid of 160 by 90."""
    owner = np.zeros((90, 160), np.int16)
    things = [(walker.box(t), n) for n, walker in enumerate(walkers, start=1)] + [(pillar, -1) for pillar in pillars]
    sizes = {}
    for box, number in sorted(things, key=lambda thing: thing[0].ymax):
        rows, columns = slice(*_cells(box.ymin, box.ymax, 90)), slice(*_cells(box.xmin, box.xmax, 160))
        owner[rows, columns] = number
        sizes[number] = box.area * owner.size
    sights = []
    for number in range(1, len(walkers) + 1):
        rows, columns = (owner == number).nonzero()
        if len(rows):
            edges = columns.min() / 160, rows.min() / 90, (columns.max() + 1) / 160, (rows.max() + 1) / 90
            whole = walkers[number - 1].box(t).clipped()
            shown = BBox(*(float(edge) for edge in edges))
            # Exact where nothing hides it: cells are coarse.
            near = BBox(*(a if abs(a - b) < 0.012 else b for a, b in zip(whole, shown, strict=True)))
            sights.append(Sight(number, "person", near, min(1.0, len(rows) / sizes[number])))
    return tuple(sights)


def _cells(low: float, high: float, cells: int) -> tuple[int, int]:
    return max(0, round(low * cells)), max(0, round(high * cells))
