"""Owns cars: four body shapes, their colours, and how they are drawn side-on at a moment of their drive."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from edgecam.scenes.shapes import RGB, Shape, disc, limb, mix, poly, rounded, shade

_PAINT: tuple[RGB, ...] = (
    (206, 48, 48), (36, 92, 168), (240, 240, 236), (186, 190, 196), (58, 62, 70), (240, 176, 44), (38, 128, 104),
    (120, 174, 206), (140, 32, 58), (228, 116, 52), (96, 132, 78), (226, 214, 186), (84, 60, 132),
)  # fmt: skip

_Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class _Body:
    """One body shape: length and height in metres, outlines in fractions of those (x from -0.5 to 0.5)."""

    length: float
    height: float
    outline: _Outline
    windows: tuple[_Outline, ...]
    doors: tuple[float, ...]


_REAR, _NOSE = (-0.5, 0.2), ((0.485, 0.5), (0.5, 0.36), (0.49, 0.2))

_BODIES: dict[str, _Body] = {
    "saloon": _Body(
        4.4, 1.46,
        (_REAR, (-0.5, 0.46), (-0.485, 0.62), (-0.36, 0.67), (-0.2, 0.98), (0.09, 0.98),
         (0.235, 0.68), (0.42, 0.6), *_NOSE),
        (
            ((-0.305, 0.69), (-0.18, 0.92), (-0.05, 0.93), (-0.05, 0.69)),
            ((-0.03, 0.69), (-0.03, 0.93), (0.075, 0.92), (0.19, 0.69)),
        ),
        (-0.04, 0.17),
    ),
    "estate": _Body(
        4.5, 1.5,
        (_REAR, (-0.5, 0.5), (-0.48, 0.68), (-0.42, 0.97), (-0.3, 1.0), (0.08, 0.98),
         (0.22, 0.68), (0.42, 0.6), *_NOSE),
        (
            ((-0.43, 0.69), (-0.385, 0.92), (-0.24, 0.93), (-0.24, 0.69)),
            ((-0.22, 0.69), (-0.22, 0.93), (-0.06, 0.93), (-0.06, 0.69)),
            ((-0.04, 0.69), (-0.04, 0.93), (0.065, 0.92), (0.175, 0.69)),
        ),
        (-0.05, 0.16),
    ),
    "hatchback": _Body(
        3.8, 1.52,
        (_REAR, (-0.5, 0.48), (-0.47, 0.68), (-0.36, 0.96), (-0.2, 1.0), (0.1, 0.97), (0.27, 0.67), (0.44, 0.58),
         (0.49, 0.48), (0.5, 0.34), (0.49, 0.2)),
        (
            ((-0.4, 0.68), (-0.31, 0.91), (-0.07, 0.93), (-0.07, 0.68)),
            ((-0.04, 0.68), (-0.04, 0.93), (0.085, 0.91), (0.22, 0.68)),
        ),
        (-0.055, 0.19),
    ),
    "van": _Body(
        4.7, 1.92,
        ((-0.5, 0.17), (-0.5, 0.7), (-0.49, 0.97), (-0.4, 1.0), (0.2, 0.99), (0.29, 0.93), (0.4, 0.58), (0.48, 0.5),
         (0.5, 0.36), (0.495, 0.17)),
        (((0.08, 0.6), (0.08, 0.88), (0.25, 0.88), (0.35, 0.6)),),
        (-0.28, 0.06),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class CarLook:
    """One car's looks."""

    body: str
    paint: RGB
    second: RGB
    two_tone: bool
    spokes: int

    @property
    def length(self) -> float:
        """Length in metres."""
        return _BODIES[self.body].length


def car_look(rng: np.random.Generator) -> CarLook:
    """Looks drawn from `rng`."""
    paint = _PAINT[int(rng.integers(len(_PAINT)))]
    return CarLook(
        body=str(rng.choice(["saloon", "estate", "hatchback", "van"], p=[0.3, 0.24, 0.3, 0.16])),
        paint=paint,
        second=_PAINT[int(rng.integers(len(_PAINT)))],
        two_tone=bool(rng.random() < 0.2),
        spokes=int(rng.integers(4, 7)),
    )


def draw_car(look: CarLook, travelled: float, *, lights_on: bool) -> list[Shape]:
    """The car facing +x, tyres on y = 0, in metres; the wheels have turned by `travelled` metres."""
    body = _BODIES[look.body]
    long, high = body.length, body.height

    def scaled(outline: _Outline) -> list[tuple[float, float]]:
        return [(x * long, y * high) for x, y in outline]

    floor = scaled(((-0.44, 0.16), (0.44, 0.16), (0.42, 0.3), (-0.42, 0.3)))
    shapes = [poly(floor, (30, 30, 36), outlined=True), rounded(scaled(body.outline), look.paint)]
    shapes += _panels(look, body)
    for window in body.windows:
        shapes += _glass(scaled(window), high)
    shapes += _doors(look, body)
    shapes += _lamps(long, high, lights_on=lights_on)
    for x in (-0.31 * long, 0.31 * long):
        shapes += _wheel(x, travelled, look.spokes, look.paint)
    return shapes


def _doors(look: CarLook, body: _Body) -> list[Shape]:
    """The gaps behind the doors and their handles."""
    long, high = body.length, body.height
    gap, grip = shade(look.paint, 0.66), shade(look.paint, 0.55)
    shapes = [
        limb(complex(x * long, 0.27 * high), complex(x * long, 0.66 * high), 0.02, 0.02, gap, outlined=False)
        for x in body.doors
    ]
    for x in body.doors:
        start, end = complex((x - 0.1) * long, 0.6 * high), complex((x - 0.065) * long, 0.6 * high)
        shapes.append(limb(start, end, 0.035, 0.035, grip, outlined=False))
    return shapes


def _panels(look: CarLook, body: _Body) -> list[Shape]:
    """Light and dark bands that make the flank look curved."""
    long, high = body.length, body.height
    lower = look.second if look.two_tone else shade(look.paint, 0.74)
    return [
        rounded(
            [
                (-0.495 * long, 0.2 * high),
                (-0.495 * long, 0.4 * high),
                (0.495 * long, 0.4 * high),
                (0.488 * long, 0.2 * high),
            ],
            lower,
            outlined=False,
        ),
        poly(
            [
                (-0.49 * long, 0.2 * high),
                (-0.49 * long, 0.25 * high),
                (0.485 * long, 0.25 * high),
                (0.485 * long, 0.2 * high),
            ],
            (52, 52, 58),
        ),
        limb(
            complex(-0.46 * long, 0.6 * high),
            complex(0.4 * long, 0.56 * high),
            0.06,
            0.04,
            mix(look.paint, (255, 255, 255), 0.35),
            outlined=False,
        ),
        limb(
            complex(-0.17 * long, 0.955 * high),
            complex(0.06 * long, 0.955 * high),
            0.04,
            0.03,
            mix(look.paint, (255, 255, 255), 0.4),
            outlined=False,
        ),
    ]


def _glass(corners: list[tuple[float, float]], high: float) -> list[Shape]:
    """A window: dark glass, sky reflected in its upper part, one slanting glint."""
    xs = [x for x, _ in corners]
    ys = [y for _, y in corners]
    left, width, bottom, top = min(xs), max(xs) - min(xs), min(ys), max(ys)
    x = left + 0.45 * width
    step = 0.1 * width
    return [
        rounded(corners, (54, 74, 96), outlined=False),
        rounded(_upper(corners), (104, 140, 168), outlined=False),
        poly(
            [
                (x, bottom + 0.03 * high),
                (x + step, bottom + 0.03 * high),
                (x + 2.1 * step, top - 0.02 * high),
                (x + 1.1 * step, top - 0.02 * high),
            ],
            (160, 192, 212),
        ),
    ]


def _upper(corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The upper half of a four-cornered window given as bottom, top, top, bottom."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    return [((x0 + x1) / 2, (y0 + y1) / 2), (x1, y1), (x2, y2), ((x2 + x3) / 2, (y2 + y3) / 2)]


def _lamps(long: float, high: float, *, lights_on: bool) -> list[Shape]:
    """Head and tail lamps."""
    head: RGB = (255, 250, 214) if lights_on else (232, 236, 226)
    tail: RGB = (255, 62, 48) if lights_on else (182, 34, 38)
    front = [
        (0.42 * long, 0.55 * high),
        (0.485 * long, 0.48 * high),
        (0.495 * long, 0.4 * high),
        (0.43 * long, 0.43 * high),
    ]
    rear = [
        (-0.5 * long, 0.6 * high),
        (-0.455 * long, 0.6 * high),
        (-0.46 * long, 0.43 * high),
        (-0.5 * long, 0.42 * high),
    ]
    return [
        rounded(corners, colour, outlined=False)._replace(shining=lights_on)
        for corners, colour in ((front, head), (rear, tail))
    ]


def _wheel(x: float, travelled: float, spokes: int, paint: RGB) -> list[Shape]:
    """Arch, tyre, rim and turning spokes."""
    radius = 0.33
    centre = complex(x, radius)
    shapes = [
        disc(centre + 0.03j, radius * 1.17, radius * 1.17, shade(paint, 0.42), outlined=False),
        disc(centre, radius, radius, (34, 34, 38)),
        disc(centre, radius * 0.64, radius * 0.64, (196, 200, 206), outlined=False),
        disc(centre, radius * 0.52, radius * 0.52, (120, 124, 132), outlined=False),
    ]
    for spoke in range(spokes):
        angle = -travelled / radius + 2 * pi * spoke / spokes
        shapes.append(
            limb(
                centre,
                centre + 0.56 * radius * complex(cos(angle), sin(angle)),
                0.075,
                0.06,
                (214, 218, 222),
                outlined=False,
            )
        )
    shapes.append(disc(centre, radius * 0.16, radius * 0.16, (70, 74, 82), outlined=False))
    return shapes
