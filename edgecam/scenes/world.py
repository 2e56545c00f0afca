"""Owns the camera and everything that happens over time: which actors exist at a moment, where they are and what they do."""

from dataclasses import dataclass, field
from math import ceil, floor, pi, sin

import numpy as np

from edgecam.scenes.animals import BirdLook, DogLook, bird_look, dog_look, draw_bird_flying, draw_bird_standing, draw_dog
from edgecam.scenes.canvas import WIDE, Placement
from edgecam.scenes.cars import CarLook, car_look, draw_car
from edgecam.scenes.people import PersonLook, draw_person, person_look
from edgecam.scenes.shapes import Shape

Look = PersonLook | CarLook | DogLook | BirdLook


@dataclass(frozen=True)
class Camera:
    """A level camera `height` metres above flat ground; `horizon` is the picture row of the horizon in picture heights."""

    horizon: float
    height: float

    def scale(self, y: float) -> float:
        """Picture heights per metre for things that stand at row `y`."""
        return (y - self.horizon) / self.height


@dataclass(frozen=True)
class Route:
    """A way that actors take again and again: `kind`, the row it runs along and its spread, seconds between trips, how often one happens."""

    kind: str
    y: float
    spread: float
    period: float
    chance: float
    direction: int = 0
    slope: float = 0.0


@dataclass(frozen=True)
class Actor:
    """One actor at one moment, ready to be painted. `ground` is the row below it that decides what it hides; None as label: not an object."""

    label: str | None
    object_id: int
    at: Placement
    ground: float
    shapes: list[Shape]


@dataclass(frozen=True)
class Member:
    """One of a trip's company: looks and place relative to the leader (metres along, picture heights deeper)."""

    label: str
    look: Look
    along: float
    deeper: float


@dataclass(frozen=True)
class Trip:
    """One company's passage: when, how fast, along which rows, and where it pauses."""

    kind: str
    first_id: int
    start: float
    speed: float
    direction: int
    y0: float
    y1: float
    length: float
    pause_after: float
    pause: float
    members: tuple[Member, ...]
    leads: bool = False
    steps: tuple[float, ...] = field(default=())

    @property
    def duration(self) -> float:
        """Seconds from entering to having left."""
        return self.length / self.speed + self.pause + (_RAMP if self.pause else 0.0)


_LONGEST = 32.0
_RAMP = 0.6
_FLIGHT = 1.7
_HOP = 1.3


def travelled(trip: Trip, elapsed: float) -> tuple[float, float]:
    """Metres covered `elapsed` seconds after the start, and the present speed as a part of the full speed.

    The company slows down over a moment, stands for the pause and speeds up again: the integral of a trapezium.
    """
    brake = trip.pause_after / trip.speed
    if not trip.pause or elapsed < brake:
        return trip.speed * elapsed, 1.0
    since = elapsed - brake
    if since < _RAMP:
        return trip.speed * (brake + since - since * since / (2 * _RAMP)), 1.0 - since / _RAMP
    since -= _RAMP + trip.pause
    if since < 0:
        return trip.speed * (brake + _RAMP / 2), 0.0
    if since < _RAMP:
        return trip.speed * (brake + _RAMP / 2 + since * since / (2 * _RAMP)), since / _RAMP
    return trip.speed * (brake + since), 1.0


def plan_trip(rng: np.random.Generator, route: Route, slot: int, first_id: int, camera: Camera, rainy: bool) -> Trip | None:
    """The trip that starts in this slot of the route, or None where nobody comes."""
    if rng.random() > route.chance:
        return None
    direction = route.direction or int(rng.choice([-1, 1]))
    y0 = route.y + float(rng.uniform(-route.spread, route.spread))
    y1 = y0 + float(rng.uniform(-route.slope, route.slope))
    members, speed, leads = _company(rng, route.kind, rainy, camera.scale(y0) > 0.17)
    reach = max(abs(member.along) + _half_length(member) for member in members)
    length = WIDE / camera.scale(min(y0, y1)) + 2 * reach + 0.2
    pauses = route.kind in ("people", "dogs") and rng.random() < 0.3
    pause = float(rng.uniform(1.5, 4.0)) if pauses else 0.0
    start = slot * route.period + float(rng.uniform(0.0, 0.25 * route.period))
    steps = tuple(rng.uniform(-1, 1, 16).tolist()) if route.kind in ("birds", "flight") else ()
    return Trip(
        route.kind, first_id, start, speed, direction, y0, y1, length, length * float(rng.uniform(0.3, 0.6)), pause, members, leads, steps
    )


def _half_length(member: Member) -> float:
    """Half of the space a member takes along its way, in metres, rounded up."""
    if isinstance(member.look, CarLook):
        return member.look.length / 2 + 0.2
    return 0.9


def _company(rng: np.random.Generator, kind: str, rainy: bool, near: bool) -> tuple[tuple[Member, ...], float, bool]:
    """Who goes together, how fast in metres per second, and whether a dog is on a lead (only near by: a dog far off would be tiny)."""
    if kind == "cars":
        return (Member("car", car_look(rng), 0.0, 0.0),), float(rng.uniform(2.6, 5.5)), False
    if kind == "dogs":
        return (Member("dog", dog_look(rng), 0.0, 0.0),), float(rng.uniform(1.4, 2.6)), False
    if kind in ("birds", "flight"):
        count = 1 if kind == "flight" else int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
        birds = tuple(Member("bird", bird_look(rng), 1.15 * (i - (count - 1) / 2), float(rng.uniform(-0.012, 0.012))) for i in range(count))
        return birds, float(rng.uniform(2.4, 4.0)), False
    first = Member("person", person_look(rng, rainy), 0.0, 0.0)
    speed = float(rng.uniform(1.0, 1.7))
    draw = rng.random()
    if kind == "people" and draw < (0.4 if near else 0.0):
        return (first, Member("dog", dog_look(rng), float(rng.uniform(1.35, 1.6)), 0.006)), speed, True
    if draw < 0.58:
        return (first, Member("person", person_look(rng, rainy), float(rng.uniform(0.85, 1.1)), 0.008)), speed, False
    return (first,), speed, False


def actors_of(trip: Trip, t: float, camera: Camera, lights_on: bool) -> list[Actor]:
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
        shapes, unit = _drawn(member.look, trip, distance, pace, t, lights_on)
        at = Placement(x, y - lift * scale, scale * unit, float(trip.direction))
        actors.append(Actor(member.label, trip.first_id + index, at, y, shapes))
    if trip.leads:
        actors.append(_lead(actors[0], actors[1]))
    return actors


def _drawn(look: Look, trip: Trip, distance: float, pace: float, t: float, lights_on: bool) -> tuple[list[Shape], float]:
    """An actor's drawing after `distance` metres and the metres per drawing unit."""
    if isinstance(look, PersonLook):
        stride = pace * min(1.0, 0.62 + 0.25 * trip.speed)
        return draw_person(look, 2 * pi * distance / (0.86 * look.height), stride), look.height
    if isinstance(look, CarLook):
        return draw_car(look, distance, lights_on), 1.0
    if isinstance(look, DogLook):
        return draw_dog(look, 2 * pi * distance / (1.75 * look.withers), pace * min(1.0, 0.5 + 0.3 * trip.speed), 9.0 * t), look.withers
    return draw_bird_flying(look, 2 * pi * 2.6 * t + trip.first_id), 1.25 * look.height


def _lead(person: Actor, dog: Actor) -> Actor:
    """The lead between a person's hand and a dog's collar."""
    hand = complex(person.at.x + person.at.facing * 0.1 * person.at.scale, person.at.y - 0.52 * person.at.scale)
    collar = complex(dog.at.x + dog.at.facing * 0.62 * dog.at.scale, dog.at.y - 1.05 * dog.at.scale)
    sag = 0.5 * (hand + collar) + 0.02j
    upper, lower = np.array([hand, sag, collar]), np.array([collar, sag + 0.004j, hand + 0.002j])
    return Actor(None, 0, Placement(0.0, 0.0, 1.0, 1.0), dog.ground, [Shape(np.concatenate([upper, lower]).conj(), (120, 60, 44), False)])


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
            actors.append(Actor("bird", trip.first_id + index, at, y, draw_bird_flying(look, 2 * pi * 3.4 * elapsed + index)))
            continue
        offset, facing, hop, peck = _hops(trip, index, now - _FLIGHT)
        at = Placement(home + offset * scale, y, scale * look.height, facing)
        actors.append(Actor("bird", trip.first_id + index, at, y, draw_bird_standing(look, peck, hop)))
    return actors


def _hops(trip: Trip, index: int, since: float) -> tuple[float, float, float, float]:
    """Where hopping took a bird: metres from its landing place, facing, lift and peck (0 to 1) after `since` seconds on the ground."""
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

    def __init__(self, seed: int, routes: tuple[Route, ...], camera: Camera, rainy: bool, lights_on: bool) -> None:
        """The routes are walked again and again from well before time 0."""
        self._seed, self._routes, self._camera, self._rainy, self._lights_on = seed, routes, camera, rainy, lights_on
        self._trips: dict[tuple[int, int], Trip | None] = {}

    def actors(self, t: float) -> list[Actor]:
        """Everybody at time `t` (in view or just outside), the farthest first."""
        actors: list[Actor] = []
        for index, route in enumerate(self._routes):
            latest = floor(t / route.period)
            for slot in range(latest - ceil(_LONGEST / route.period), latest + 1):
                trip = self._trip(index, slot)
                if trip is not None:
                    actors += actors_of(trip, t, self._camera, self._lights_on)
        return sorted(actors, key=lambda actor: actor.ground)

    def _trip(self, index: int, slot: int) -> Trip | None:
        """The trip of a route's slot, planned when first asked for."""
        key = (index, slot)
        if key not in self._trips:
            if len(self._trips) > 512:
                self._trips.clear()
            rng = np.random.Generator(np.random.PCG64([self._seed, 3, index, slot + 4096]))
            first_id = ((slot + 64) * len(self._routes) + index) * 4 + 1
            self._trips[key] = plan_trip(rng, self._routes[index], slot, first_id, self._camera, self._rainy)
        return self._trips[key]
