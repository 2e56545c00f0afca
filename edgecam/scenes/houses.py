"""Owns house fronts: walls, roofs, windows, doors and shop fronts."""

from dataclasses import dataclass

import numpy as np

from edgecam.scenes.light import Light
from edgecam.scenes.painter import Painter
from edgecam.scenes.shapes import RGB, mix, shade

_WALLS: tuple[RGB, ...] = (
    (222, 202, 170), (196, 122, 96), (168, 184, 186), (232, 222, 204), (214, 168, 128),
    (178, 138, 120), (188, 198, 172), (226, 188, 172), (158, 104, 84), (206, 206, 210),
)  # fmt: skip
_ROOFS: tuple[RGB, ...] = ((150, 84, 66), (96, 98, 110), (122, 92, 80), (76, 82, 94))
_DOORS: tuple[RGB, ...] = ((150, 52, 48), (42, 84, 110), (58, 96, 70), (96, 64, 44), (214, 170, 70), (70, 70, 78))
_LIT: tuple[RGB, ...] = ((255, 214, 132), (255, 198, 112), (250, 226, 170))


@dataclass(frozen=True)
class Front:
    """One house front in units: left, right and base edges, storey height."""

    x0: float
    x1: float
    base: float
    storey: float
    floors: int

    @property
    def top(self) -> float:
        """The row of the eaves."""
        return self.base - self.storey * self.floors - 0.015


def row_of_houses(painter: Painter, light: Light, x0: float, x1: float, base: float) -> None:
    """House fronts side by side from x0 to x1 on row `base`, here and there a gap."""
    rng = painter.rng
    x = x0 - float(rng.uniform(0.0, 0.3))
    storey = float(rng.uniform(0.15, 0.19))
    while x < x1:
        wide = float(rng.uniform(0.3, 0.62))
        floors = 1 if storey > 0.17 and rng.random() < 0.25 else 2
        house(
            painter,
            light,
            Front(
                x,
                x + wide,
                base,
                storey * float(rng.uniform(0.94, 1.06)),
                floors + int(storey < 0.16 and rng.random() < 0.4),
            ),
            shops=True,
        )
        x += wide + (float(rng.uniform(0.06, 0.22)) if rng.random() < 0.35 else 0.0)


def house(painter: Painter, light: Light, front: Front, *, shops: bool) -> None:
    """One house front with its roof; with `shops`, some have a shop on the ground floor."""
    rng = painter.rng
    wall = _WALLS[int(rng.integers(len(_WALLS)))]
    _roof(painter, front, _ROOFS[int(rng.integers(len(_ROOFS)))])
    painter.rect(front.x0, front.top, front.x1, front.base, wall)
    if rng.random() < 0.5:
        _bricks(painter, front, wall)
    painter.rect(front.x0, front.base - 0.028, front.x1, front.base, shade(wall, 0.72))
    painter.rect(front.x0, front.top, front.x1, front.top + 0.014, mix(wall, (255, 255, 255), 0.4))
    painter.rect(front.x0, front.top + 0.014, front.x1, front.top + 0.024, shade(wall, 0.78))
    painter.rect(front.x1 - 0.006, front.top, front.x1, front.base, shade(wall, 0.7))
    columns = max(2, round((front.x1 - front.x0) / 0.14))
    pitch = (front.x1 - front.x0) / columns
    door = int(rng.integers(columns))
    shop = shops and rng.random() < 0.3
    shutters = rng.random() < 0.4
    accent = _DOORS[int(rng.integers(len(_DOORS)))]
    for floor in range(front.floors):
        sill = front.base - front.storey * floor - 0.3 * front.storey
        for column in range(columns):
            centre = front.x0 + (column + 0.5) * pitch
            if floor == 0 and column == door:
                _door(painter, light, centre, front, accent)
            elif not (floor == 0 and shop):
                _window(
                    painter,
                    light,
                    centre,
                    sill,
                    0.36 * pitch,
                    0.5 * front.storey,
                    accent if shutters and floor else None,
                )
    if shop:
        _shop(painter, light, front, pitch, columns, door, accent)


def _roof(painter: Painter, front: Front, colour: RGB) -> None:
    """A pitched roof seen from the front, a gable, or a flat edge; with a chimney."""
    rng = painter.rng
    x0, x1, top = front.x0 - 0.012, front.x1 + 0.012, front.top
    kind = int(rng.integers(3))
    rise = float(rng.uniform(0.06, 0.12))
    if kind < 2:
        chimney = float(rng.uniform(x0 + 0.06, x1 - 0.06))
        painter.rect(
            chimney - 0.02, top - rise - 0.035, chimney + 0.02, top, shade((158, 104, 84), float(rng.uniform(0.8, 1.1)))
        )
        painter.rect(chimney - 0.025, top - rise - 0.045, chimney + 0.025, top - rise - 0.032, (110, 90, 84))
    if kind == 0:
        painter.fill([(x0, top + 0.004), (x0 + 0.05, top - rise), (x1 - 0.05, top - rise), (x1, top + 0.004)], colour)
        for part in (0.25, 0.5, 0.75):
            painter.line(
                [(x0 + 0.05 * part, top - rise * part), (x1 - 0.05 * part, top - rise * part)],
                shade(colour, 0.86),
                0.002,
            )
    elif kind == 1:
        middle = (x0 + x1) / 2
        painter.fill([(x0, top + 0.004), (middle, top - 1.3 * rise), (x1, top + 0.004)], colour)
        painter.fill(
            [(x0 + 0.04, top + 0.004), (middle, top - 1.3 * rise + 0.02), (x1 - 0.04, top + 0.004)], shade(colour, 1.18)
        )
        painter.disc(middle, top - 0.45 * rise, 0.02, 0.02, shade(colour, 0.6))
    else:
        painter.rect(x0, top - 0.016, x1, top + 0.006, shade(colour, 1.1))


def _bricks(painter: Painter, front: Front, wall: RGB) -> None:
    """Faint courses of bricks and a few darker and lighter ones."""
    rng = painter.rng
    for y in np.arange(front.top + 0.02, front.base, 0.0125):
        painter.line([(front.x0, float(y)), (front.x1, float(y))], shade(wall, 0.92), 0.0012)
    for _ in range(40):
        x = float(rng.uniform(front.x0, front.x1 - 0.026))
        y = front.top + 0.02 + 0.0125 * int(rng.integers(0, max(1, int((front.base - front.top - 0.03) / 0.0125))))
        painter.rect(x, y + 0.001, x + 0.022, y + 0.0115, shade(wall, float(rng.uniform(0.84, 1.1))))


def _window(
    painter: Painter, light: Light, x: float, sill: float, half: float, high: float, shutter: RGB | None
) -> None:
    """A window with frame, glazing bars, curtains and sill; some are lit when lamps are on."""
    rng = painter.rng
    half = min(half, 0.062)
    top = sill - high
    if shutter is not None:
        for side in (-1, 1):
            painter.rect(x + side * half * 1.04, top, x + side * half * 1.62, sill, shutter)
            for part in (0.25, 0.5, 0.75):
                y = top + part * high
                painter.line([(x + side * half * 1.08, y), (x + side * half * 1.58, y)], shade(shutter, 0.75), 0.002)
    painter.rect(x - half - 0.006, top - 0.006, x + half + 0.006, sill + 0.004, (244, 240, 230))
    painter.rect(x - half, top, x + half, sill, (96, 122, 140))
    painter.fill(
        [(x - half, top), (x + half, top), (x + half, top + 0.25 * high), (x - half, top + 0.6 * high)], (142, 172, 190)
    )
    if light.lamps_on and rng.random() < 0.5:
        glass = _LIT[int(rng.integers(3))]
        painter.shine([(x - half, top), (x + half, top), (x + half, sill), (x - half, sill)], glass)
        painter.shine(
            [(x - half, sill - 0.35 * high), (x + half, sill - 0.35 * high), (x + half, sill), (x - half, sill)],
            shade(glass, 0.86),
        )
    if rng.random() < 0.5:
        cloth = mix((236, 228, 214), _DOORS[int(rng.integers(5))], 0.3)
        painter.fill([(x - half, top), (x - 0.55 * half, top), (x - 0.75 * half, sill), (x - half, sill)], cloth)
        painter.fill([(x + half, top), (x + 0.55 * half, top), (x + 0.75 * half, sill), (x + half, sill)], cloth)
    painter.rect(x - 0.0025, top, x + 0.0025, sill, (238, 234, 224))
    painter.rect(x - half, top + 0.42 * high, x + half, top + 0.42 * high + 0.005, (238, 234, 224))
    painter.rect(x - half - 0.012, sill, x + half + 0.012, sill + 0.01, (214, 208, 196))
    painter.rect(x - half - 0.012, sill + 0.01, x + half + 0.012, sill + 0.014, (120, 112, 106))


def _door(painter: Painter, light: Light, x: float, front: Front, colour: RGB) -> None:
    """A house door with surround, panels, fanlight, knob and a step."""
    half, high = 0.036, 0.72 * front.storey
    top = front.base - high
    painter.rect(x - half - 0.01, top - 0.012, x + half + 0.01, front.base, (240, 234, 222))
    painter.rect(x - half, top + 0.02, x + half, front.base - 0.008, colour)
    painter.rect(x - half, top, x + half, top + 0.018, (120, 150, 168))
    if light.lamps_on:
        painter.shine([(x - half, top), (x + half, top), (x + half, top + 0.018), (x - half, top + 0.018)], _LIT[0])
    for y0, y1 in ((0.26, 0.52), (0.58, 0.88)):
        for side in (-1, 1):
            painter.rect(
                x + side * 0.012 - 0.009,
                top + y0 * high,
                x + side * 0.012 + 0.009,
                top + y1 * high,
                shade(colour, 0.82),
            )
    painter.disc(x + 0.7 * half, top + 0.58 * high, 0.004, 0.004, (230, 200, 110))
    painter.rect(x - half - 0.018, front.base - 0.01, x + half + 0.018, front.base + 0.003, (176, 170, 162))


def _shop(painter: Painter, light: Light, front: Front, pitch: float, columns: int, door: int, accent: RGB) -> None:
    """Shop windows on the ground floor with a striped awning above."""
    top = front.base - 0.78 * front.storey
    for column in range(columns):
        if column == door:
            continue
        x0, x1 = front.x0 + column * pitch + 0.015, front.x0 + (column + 1) * pitch - 0.015
        painter.rect(x0 - 0.005, top, x1 + 0.005, front.base - 0.03, shade(accent, 0.8))
        painter.rect(x0, top + 0.006, x1, front.base - 0.036, (104, 132, 148))
        painter.fill([(x0, top + 0.006), (x1, top + 0.006), (x1, top + 0.03), (x0, top + 0.07)], (150, 178, 192))
        if light.lamps_on:
            painter.shine(
                [(x0, top + 0.006), (x1, top + 0.006), (x1, front.base - 0.036), (x0, front.base - 0.036)],
                (246, 206, 138),
            )
        for part in (0.2, 0.5, 0.8):
            x = x0 + part * (x1 - x0)
            painter.rect(
                x - 0.012,
                front.base - 0.065,
                x + 0.012,
                front.base - 0.036,
                _WALLS[int(painter.rng.integers(len(_WALLS)))],
            )
    x, step = front.x0 + 0.008, (front.x1 - front.x0 - 0.016) / 12
    for stripe in range(12):
        colour = accent if stripe % 2 else (244, 238, 226)
        painter.fill(
            [
                (x + stripe * step, top - 0.02),
                (x + (stripe + 1) * step, top - 0.02),
                (x + (stripe + 1) * step, top + 0.022),
                (x + stripe * step, top + 0.022),
            ],
            colour,
        )
    painter.rect(front.x0 + 0.008, top + 0.022, front.x1 - 0.008, top + 0.03, shade(accent, 0.6))
