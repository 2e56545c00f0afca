"""Owns the garden: lawn, path, beds, fence, house or shed, and the ways through it."""

import numpy as np

from edgecam.scenes.camera import Camera
from edgecam.scenes.canvas import WIDE
from edgecam.scenes.houses import Front, house
from edgecam.scenes.light import Light
from edgecam.scenes.painter import Painter
from edgecam.scenes.scenery import far_trees, flower_bed, hedge, planter, sky, tree
from edgecam.scenes.shapes import RGB, mix, shade
from edgecam.scenes.trips import Route

_GRASS: tuple[RGB, ...] = ((122, 168, 78), (106, 156, 82), (140, 172, 86), (118, 160, 96))
_WOOD: tuple[RGB, ...] = ((172, 128, 88), (150, 138, 124), (196, 164, 122), (122, 92, 70), (228, 224, 214))


def build_garden(painter: Painter, light: Light) -> tuple[Camera, tuple[Route, ...]]:
    """Paint a garden; returns its camera and the ways through it."""
    rng = painter.rng
    camera = Camera(float(rng.uniform(0.28, 0.34)), float(rng.uniform(2.3, 2.6)))
    edge = camera.horizon + 0.185
    sky(painter, light, edge)
    far_trees(painter, light, edge - 0.08, 0.12, 0.24)
    for _ in range(int(rng.integers(1, 4))):
        tree(painter, float(rng.uniform(0.05, WIDE - 0.05)), edge - 0.002, float(rng.uniform(0.45, 0.62)), cutout=False)
    _boundary(painter, edge)
    _lawn(painter, camera, edge)
    side = float(rng.choice([-1, 1]))
    _house_and_shed(painter, light, edge, side)
    _path(painter, camera, edge, side)
    flower_bed(painter, 0.0, WIDE, edge + 0.012, 0.016)
    if light.name == "rain":
        painter.soft_discs(
            [(float(rng.uniform(0, WIDE)), float(rng.uniform(edge + 0.1, 1.0)), 0.1, 0.01) for _ in range(5)],
            (170, 184, 190),
            0.5,
            0.008,
        )
    _plants(painter, edge)
    return camera, _routes(edge)


def _boundary(painter: Painter, edge: float) -> None:
    """What closes the garden off at the back: a board fence, pickets or a hedge."""
    rng = painter.rng
    wood = _WOOD[int(rng.integers(len(_WOOD)))]
    kind = int(rng.integers(3))
    if kind == 2:
        hedge(painter, -0.05, WIDE + 0.05, edge + 0.002, 0.15)
        return
    top = edge - (0.16 if kind == 0 else 0.1)
    step = 0.034 if kind == 0 else 0.03
    if kind == 1:
        painter.rect(0.0, top - 0.01, WIDE, edge, (96, 132, 74))
        for x in np.arange(0.0, WIDE, 0.05):
            painter.disc(
                float(x),
                top + float(rng.uniform(-0.03, 0.01)),
                0.05,
                0.035,
                shade((96, 136, 74), float(rng.uniform(0.85, 1.1))),
            )
    for y in (top + 0.02, edge - 0.03):
        painter.rect(0.0, y, WIDE, y + 0.012, shade(wood, 0.8))
    for x in np.arange(0.0, WIDE, step):
        board = shade(wood, float(rng.uniform(0.9, 1.06)))
        wide = step * (0.94 if kind == 0 else 0.55)
        left = float(x)
        painter.fill(
            [
                (left, top + 0.008),
                (left + wide / 2, top - (0.0 if kind == 0 else 0.008)),
                (left + wide, top + 0.008),
                (left + wide, edge),
                (left, edge),
            ],
            board,
        )
        painter.rect(left + wide - 0.003, top + 0.01, left + wide, edge, shade(board, 0.82))


def _lawn(painter: Painter, camera: Camera, edge: float) -> None:
    """Grass in mown stripes, textured, with daisies."""
    rng = painter.rng
    grass = _GRASS[int(rng.integers(len(_GRASS)))]
    painter.gradient(edge, 1.0, mix(grass, (210, 220, 160), 0.12), shade(grass, 0.96))
    skew = float(rng.uniform(-2.5, 2.5))
    for metres in np.arange(-16.0, 16.0, 1.5):
        corners = [(metres + skew, edge), (metres + 0.75 + skew, edge), (metres + 0.75, 1.0), (metres, 1.0)]
        painter.fill([(WIDE / 2 + along * camera.scale(y), y) for along, y in corners], shade(grass, 1.045))
    painter.ground_texture("grass", camera, edge, 1.0, 0.55)
    for _ in range(int(rng.integers(20, 90))):
        y = edge + 0.04 + (0.95 - edge) * float(rng.uniform(0, 1)) ** 0.7
        size = 0.018 * camera.scale(y)
        painter.disc(
            float(rng.uniform(0, WIDE)), y, size, 0.7 * size, (246, 244, 226) if rng.random() < 0.7 else (246, 214, 80)
        )


def _house_and_shed(painter: Painter, light: Light, edge: float, side: float) -> None:
    """The house's end on one side, a shed or summer house on the other."""
    rng = painter.rng
    wide = float(rng.uniform(0.42, 0.62))
    x0 = 0.0 if side < 0 else WIDE - wide
    painter.soft_discs([(x0 + wide / 2, edge + 0.035, 0.56 * wide, 0.025)], (30, 36, 30), 0.4, 0.015)
    house(
        painter,
        light,
        Front(
            x0 - (0.05 if side < 0 else 0.0),
            x0 + wide + (0.05 if side > 0 else 0.0),
            edge + 0.035,
            float(rng.uniform(0.19, 0.23)),
            2,
        ),
        shops=False,
    )
    if rng.random() < 0.65:
        _shed(painter, light, WIDE - 0.3 if side < 0 else 0.08, edge + 0.03)


def _shed(painter: Painter, light: Light, x: float, base: float) -> None:
    """A boarded shed with a felt roof, a door and a small window."""
    rng = painter.rng
    wood = _WOOD[int(rng.integers(len(_WOOD)))]
    wide, high = 0.22, 0.19
    painter.soft_discs([(x + wide / 2, base, 0.6 * wide, 0.018)], (30, 36, 30), 0.45, 0.012)
    painter.rect(x, base - high, x + wide, base, wood)
    for part in np.arange(0.0, 1.0, 0.09):
        painter.line([(x, base - high * float(part)), (x + wide, base - high * float(part))], shade(wood, 0.82), 0.002)
    painter.fill(
        [(x - 0.02, base - high), (x + wide / 2, base - high - 0.075), (x + wide + 0.02, base - high)], (92, 88, 92)
    )
    painter.fill(
        [(x + 0.004, base - high), (x + wide / 2, base - high - 0.055), (x + wide - 0.004, base - high)],
        shade(wood, 1.08),
    )
    painter.rect(x + 0.025, base - 0.15, x + 0.09, base, shade(wood, 0.74))
    painter.disc(x + 0.08, base - 0.075, 0.004, 0.004, (60, 56, 56))
    painter.rect(x + 0.125, base - 0.145, x + 0.19, base - 0.085, (240, 236, 226))
    painter.rect(x + 0.13, base - 0.14, x + 0.185, base - 0.09, (126, 156, 170))
    if light.lamps_on:
        painter.shine(
            [(x + 0.13, base - 0.14), (x + 0.185, base - 0.14), (x + 0.185, base - 0.09), (x + 0.13, base - 0.09)],
            (255, 206, 128),
        )
    painter.rect(x + 0.156, base - 0.14, x + 0.159, base - 0.09, (240, 236, 226))


def _path(painter: Painter, camera: Camera, edge: float, side: float) -> None:
    """A path of gravel or slabs winding from the house to the front."""
    rng = painter.rng
    colour: RGB = ((206, 192, 164), (188, 184, 178), (196, 160, 128))[int(rng.integers(3))]
    bend, start, end = float(rng.uniform(-1.5, 1.5)), side * float(rng.uniform(3.0, 4.5)), float(rng.uniform(-2.0, 2.0))
    left, right = [], []
    for part in np.linspace(0.0, 1.0, 24):
        y = edge + 0.035 + (1.02 - edge - 0.035) * float(part)
        along = start + (end - start) * float(part) ** 0.6 + bend * float(np.sin(np.pi * part))
        left.append((WIDE / 2 + (along - 0.55) * camera.scale(y), y))
        right.append((WIDE / 2 + (along + 0.55) * camera.scale(y), y))
    outline = left + right[::-1]
    painter.fill(
        [(x + (0.008 if index >= len(left) else -0.008), y) for index, (x, y) in enumerate(outline)],
        shade(colour, 0.78),
    )
    painter.fill(outline, colour)
    for index in range(1, 24, 2):
        painter.line([left[index], right[index]], shade(colour, 0.86), 0.0022)


def _plants(painter: Painter, edge: float) -> None:
    """Trees, shrubs, tubs and beds about the lawn, kept apart."""
    rng = painter.rng
    spots = [float(x) for x in rng.permutation(np.linspace(0.1, WIDE - 0.1, 7)) + rng.uniform(-0.06, 0.06, 7)]
    if rng.random() < 0.6:
        x = spots.pop()
        flower_bed(painter, x - 0.16, x + 0.16, edge + 0.16, 0.02)
    if rng.random() < 0.6:
        tree(painter, spots.pop(), edge + float(rng.uniform(0.12, 0.2)), float(rng.uniform(0.62, 0.8)))
    if rng.random() < 0.5:
        x = spots.pop()
        hedge(painter, x - 0.12, x + 0.12, edge + float(rng.uniform(0.14, 0.2)), 0.09)
    if rng.random() < 0.5:
        planter(painter, spots.pop(), float(rng.uniform(0.72, 0.84)), float(rng.uniform(0.12, 0.17)))
    if rng.random() < 0.3:
        tree(painter, spots.pop(), float(rng.uniform(0.83, 0.9)), float(rng.uniform(1.05, 1.2)))


def _routes(edge: float) -> tuple[Route, ...]:
    """The ways through the garden."""
    return (
        Route("people", edge + 0.12, 0.02, 15.0, 0.7, 0, 0.02),
        Route("people", 0.87, 0.03, 13.5, 0.62, 0, 0.03),
        Route("dogs", 0.80, 0.03, 12.0, 0.68, 0, 0.03),
        Route("dogs", 0.95, 0.02, 14.0, 0.52, 0, 0.02),
        Route("birds", 0.90, 0.03, 16.0, 0.72),
        Route("birds", 0.975, 0.015, 19.0, 0.42),
        Route("flight", 0.88, 0.05, 11.0, 0.4),
    )
