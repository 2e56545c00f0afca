"""Owns what happens at a moment: which actors exist, where they are and what they do."""

from dataclasses import dataclass
from math import ceil, floor, pi, sin

import numpy as np

from edgecam.scenes.animals import BirdLook, DogLook, draw_bird_flying, draw_bird_standing, draw_dog
from edgecam.scenes.camera import Camera
from edgecam.scenes.canvas import WIDE, Placement
from edgecam.scenes.cars import CarLook, draw_car
from edgecam.scenes.people import PersonLook, draw_person
from edgecam.scenes.shapes import Shape
from edgecam.scenes.trips import Look, Route, Trip, plan_trip, travelled

_LONGEST = 32.0
_FLIGHT = 1.7
_HOP = 1.3


@dataclass(frozen=True)
class Actor:
    """One actor at one moment, ready to be painted.

    `ground` is the row below it, which decides what it hides; without a label it is no object (a lead).
    """

    label: str | None
    object_id: int
    at: Placement
    ground: float
    shapes: list[Shape]


def actors_of(trip: Trip, t: float, camera: Camera, *, lights_on: bool) -> list[Actor]:
    """The trip's actors at time `t`; none before it starts or after it ends."""
    if trip.kind == "birds":
        return _visiting_birds(trip, t - trip.start, camera)
    elapsed = t - trip.start
    if elapsed < 0 or elapsed > trip.duration:
        return []
    distance, pace = travelled(trip, elapsed)
    actors = []
    for index, member in enumerate(trip.members):
        y = trip.y0 + (trip.y1 - trip.y0) * distance / trip.length + member.deeper
        scale = camera.scale(y)
        x = WIDE / 2 + trip.direction * (distance - trip.length / 2 + member.along) * scale
        lift = 0.0
        if trip.kind == "flight":
            lift = 0.55 + 0.9 * abs(trip.steps[0]) + 0.12 * sin(2.1 * elapsed + trip.steps[1])
        shapes, unit = _drawn(member.look, trip, distance, pace, t, lights_on=lights_on)
        at = Placement(x, y - lift * scale, scale * unit, float(trip.direction))
        actors.append(Actor(member.label, trip.first_id + index, at, y, shapes))
    if trip.leads:
        actors.append(_lead(actors[0], actors[1]))
    return actors


def _drawn(
    look: Look, trip: Trip, distance: float, pace: float, t: float, *, lights_on: bool
) -> tuple[list[Shape], float]:
    """An actor's drawing after `distance` metres and the metres per drawing unit."""
    if isinstance(look, PersonLook):
        stride = pace * min(1.0, 0.62 + 0.25 * trip.speed)
        return draw_person(look, 2 * pi * distance / (0.86 * look.height), stride), look.height
    if isinstance(look, CarLook):
        return draw_car(look, distance, lights_on=lights_on), 1.0
    if isinstance(look, DogLook):
        return draw_dog(
            look, 2 * pi * distance / (1.75 * look.withers), pace * min(1.0, 0.5 + 0.3 * trip.speed), 9.0 * t
        ), look.withers
    return draw_bird_flying(look, 2 * pi * 2.6 * t + trip.first_id), 1.25 * look.height


def _lead(person: Actor, dog: Actor) -> Actor:
    """The lead between a person's hand and a dog's collar."""
    hand = complex(person.at.x + person.at.facing * 0.1 * person.at.scale, person.at.y - 0.52 * person.at.scale)
    collar = complex(dog.at.x + dog.at.facing * 0.62 * dog.at.scale, dog.at.y - 1.05 * dog.at.scale)
    sag = 0.5 * (hand + collar) + 0.02j
    upper, lower = np.array([hand, sag, collar]), np.array([collar, sag + 0.004j, hand + 0.002j])
    return Actor(
        None,
        0,
        Placement(0.0, 0.0, 1.0, 1.0),
        dog.ground,
        [Shape(np.concatenate([upper, lower]).conj(), (120, 60, 44), False)],
    )


def _visiting_birds(trip: Trip, elapsed: float, camera: Camera) -> list[Actor]:
    """Birds that fly in, hop and peck for a while, and fly off."""
    actors = []
    for index, member in enumerate(trip.members):
        look = member.look
        assert isinstance(look, BirdLook)
        stay = 8.0 + 4.0 * trip.steps[15] + 0.7 * index
        now = elapsed - 0.35 * index
        if now < 0 or now > stay + 2 * _FLIGHT:
            continue
        y = trip.y0 + member.deeper
        scale = camera.scale(y)
        home = WIDE / 2 + 0.62 * trip.steps[14] + member.along * scale
        if now < _FLIGHT or now > _FLIGHT + stay:
            leaving = now > _FLIGHT
            part = (now - _FLIGHT - stay) / _FLIGHT if leaving else 1.0 - now / _FLIGHT
            way = -trip.direction if leaving != (trip.steps[13] > 0) else trip.direction
            facing = float(way if leaving else -way)
            home += _hops(trip, index, stay if leaving else 0.0)[0] * scale
            edge = WIDE / 2 + way * (WIDE / 2 + 1.2 * scale)
            x = home + (edge - home) * part**1.4
            at = Placement(x, y - scale * (0.2 + 2.2 * part**1.3), scale * 1.25 * look.height, facing)
            actors.append(
                Actor("bird", trip.first_id + index, at, y, draw_bird_flying(look, 2 * pi * 3.4 * elapsed + index))
            )
            continue
        offset, facing, hop, peck = _hops(trip, index, now - _FLIGHT)
        at = Placement(home + offset * scale, y, scale * look.height, facing)
        actors.append(Actor("bird", trip.first_id + index, at, y, draw_bird_standing(look, peck, hop)))
    return actors


def _hops(trip: Trip, index: int, since: float) -> tuple[float, float, float, float]:
    """Where hopping took a bird in `since` seconds: metres from its landing place, facing, lift and peck (0 to 1)."""
    turn = floor(since / _HOP)
    part = since / _HOP - turn
    step = [0.32 * trip.steps[(i + 5 * index) % 13] for i in range(turn + 1)]
    way = 1.0 if step[-1] >= 0 else -1.0
    if part < 0.3:
        return sum(step[:-1]) + step[-1] * part / 0.3, way, 0.16 * sin(pi * part / 0.3), 0.0
    pecking = abs(trip.steps[(turn + 3 + index) % 13]) > 0.35
    return sum(step), way, 0.0, sin(pi * (part - 0.3) / 0.7) ** 2 if pecking else 0.0


class Traffic:
    """All trips of one scene: any moment can be asked for, in any order, and the world goes on for ever."""

    def __init__(self, seed: int, routes: tuple[Route, ...], camera: Camera, *, rainy: bool, lights_on: bool) -> None:
        """The routes are walked again and again from well before time 0."""
        self._seed, self._routes, self._camera, self._rainy, self._lights_on = seed, routes, camera, rainy, lights_on
        rng = np.random.Generator(np.random.PCG64([seed, 4]))
        self._phases = [route.period * float(rng.random()) for route in routes]
        self._trips: dict[tuple[int, int], Trip | None] = {}

    def actors(self, t: float) -> list[Actor]:
        """Everybody at time `t` (in view or just outside), the farthest first."""
        actors: list[Actor] = []
        for index, route in enumerate(self._routes):
            latest = floor((t - self._phases[index]) / route.period)
            for slot in range(latest - ceil(_LONGEST / route.period), latest + 1):
                trip = self._trip(index, slot)
                if trip is not None:
                    actors += actors_of(trip, t, self._camera, lights_on=self._lights_on)
        return sorted(actors, key=lambda actor: actor.ground)

    def _trip(self, index: int, slot: int) -> Trip | None:
        """The trip of a route's slot, planned when first asked for."""
        key = (index, slot)
        if key not in self._trips:
            if len(self._trips) > 512:
                self._trips.clear()
            rng = np.random.Generator(np.random.PCG64([self._seed, 3, index, slot + 4096]))
            route, first_id = self._routes[index], ((slot + 64) * len(self._routes) + index) * 4 + 1
            begin = slot * route.period + self._phases[index]
            self._trips[key] = plan_trip(rng, route, begin, first_id, self._camera, rainy=self._rainy)
        return self._trips[key]
