"""Owns what is going to happen: the ways actors take, who goes together, when, how fast, and where they pause."""

from dataclasses import dataclass

import numpy as np

from edgecam.scenes.animals import BirdLook, DogLook, bird_look, dog_look
from edgecam.scenes.camera import Camera
from edgecam.scenes.canvas import WIDE
from edgecam.scenes.cars import CarLook, car_look
from edgecam.scenes.people import PersonLook, person_look

Look = PersonLook | CarLook | DogLook | BirdLook

_RAMP = 0.6


@dataclass(frozen=True)
class Route:
    """A way that actors take again and again.

    It runs along row `y`, give or take `spread`, and drifts by up to `slope` rows; a trip starts every `period` seconds
    with probability `chance`; `direction` is +1, -1 or 0 (either).
    """

    kind: str
    y: float
    spread: float
    period: float
    chance: float
    direction: int = 0
    slope: float = 0.0


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
    steps: tuple[float, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds from entering to having left."""
        return self.length / self.speed + self.pause + (_RAMP if self.pause else 0.0)


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


def plan_trip(
    rng: np.random.Generator, route: Route, begin: float, first_id: int, camera: Camera, *, rainy: bool
) -> Trip | None:
    """The trip along the route that starts soon after `begin`, or None where nobody comes."""
    if rng.random() > route.chance:
        return None
    direction = route.direction or int(rng.choice([-1, 1]))
    y0 = route.y + float(rng.uniform(-route.spread, route.spread))
    y1 = y0 + float(rng.uniform(-route.slope, route.slope))
    members, speed, leads = _company(rng, route.kind, rainy=rainy, near=camera.scale(y0) > 0.17)
    reach = max(abs(member.along) + _half_length(member) for member in members)
    length = WIDE / camera.scale(min(y0, y1)) + 2 * reach + 0.2
    pauses = route.kind in ("people", "dogs") and rng.random() < 0.3
    pause = float(rng.uniform(1.5, 4.0)) if pauses else 0.0
    start = begin + float(rng.uniform(0.0, 0.25 * route.period))
    steps = tuple(rng.uniform(-1, 1, 16).tolist()) if route.kind in ("birds", "flight") else ()
    return Trip(
        route.kind,
        first_id,
        start,
        speed,
        direction,
        y0,
        y1,
        length,
        length * float(rng.uniform(0.3, 0.6)),
        pause,
        members,
        leads,
        steps,
    )


def _half_length(member: Member) -> float:
    """Half of the space a member takes along its way, in metres, rounded up."""
    if isinstance(member.look, CarLook):
        return member.look.length / 2 + 0.2
    return 0.9


def _company(rng: np.random.Generator, kind: str, *, rainy: bool, near: bool) -> tuple[tuple[Member, ...], float, bool]:
    """Who goes together, how fast in metres per second, and whether on a lead (not far off: the dog would be tiny)."""
    if kind == "cars":
        return (Member("car", car_look(rng), 0.0, 0.0),), float(rng.uniform(3.1, 4.4)), False
    if kind == "dogs":
        return (Member("dog", dog_look(rng), 0.0, 0.0),), float(rng.uniform(1.4, 2.6)), False
    if kind in ("birds", "flight"):
        count = 1 if kind == "flight" else int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
        birds = tuple(
            Member("bird", bird_look(rng), 1.15 * (i - (count - 1) / 2), float(rng.uniform(-0.012, 0.012)))
            for i in range(count)
        )
        return birds, float(rng.uniform(2.4, 4.0)), False
    first = Member("person", person_look(rng, rainy=rainy), 0.0, 0.0)
    speed = float(rng.uniform(1.0, 1.7))
    draw = rng.random()
    if kind == "people" and draw < (0.4 if near else 0.0):
        return (first, Member("dog", dog_look(rng), float(rng.uniform(1.35, 1.6)), 0.006)), speed, True
    if draw < 0.58:
        return (
            (first, Member("person", person_look(rng, rainy=rainy), float(rng.uniform(0.85, 1.1)), 0.008)),
            speed,
            False,
        )
    return (first,), speed, False
