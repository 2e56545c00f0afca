"""Owns the street: house fronts, two pavements, a road between them, and the ways along it."""

import numpy as np

from edgecam.scenes.camera import Camera
from edgecam.scenes.canvas import WIDE
from edgecam.scenes.houses import row_of_houses
from edgecam.scenes.light import Light
from edgecam.scenes.painter import Painter
from edgecam.scenes.scenery import far_trees, hedge, lamp_post, litter_bin, planter, sky, tree
from edgecam.scenes.shapes import RGB, mix, shade
from edgecam.scenes.trips import Route

_NEAR_KERB = 0.815


def build_street(painter: Painter, light: Light) -> tuple[Camera, tuple[Route, ...]]:
    """Paint a street; returns its camera and the ways through it."""
    rng = painter.rng
    camera = Camera(float(rng.uniform(0.28, 0.34)), float(rng.uniform(2.4, 2.7)))
    wall = camera.horizon + 0.205
    far_kerb = wall + 0.085
    sky(painter, light, wall)
    far_trees(painter, light, wall, 0.2, 0.36)
    row_of_houses(painter, light, 0.0, WIDE, wall)
    paving: RGB = ((186, 178, 166), (172, 172, 172), (196, 182, 158))[int(rng.integers(3))]
    asphalt: RGB = ((104, 106, 112), (118, 114, 112), (92, 96, 104))[int(rng.integers(3))]
    _pavement(painter, camera, wall, far_kerb, paving)
    _road(painter, camera, far_kerb, _NEAR_KERB, asphalt)
    _pavement(painter, camera, _NEAR_KERB, 1.0, mix(paving, (255, 255, 255), 0.08))
    _kerb(painter, far_kerb, 0.008, paving)
    _kerb(painter, _NEAR_KERB, 0.014, paving)
    if light.name == "rain":
        _wet(painter, wall, far_kerb, 1.0)
    painter.soft_discs([(WIDE / 2, wall, 1.2, 0.012)], (40, 38, 44), 0.4, 0.012)
    _furniture(painter, light, far_kerb)
    return camera, _routes(wall)


def _pavement(painter: Painter, camera: Camera, y0: float, y1: float, colour: RGB) -> None:
    """Slabs between two rows, their joints running to the vanishing point."""
    painter.gradient(y0, y1, shade(colour, 0.92), shade(colour, 1.04))
    joint = shade(colour, 0.82)
    width = 0.0012 if y1 < 0.9 else 0.0025
    for metres in np.arange(-12.0, 12.0, 0.9):
        points = [(WIDE / 2 + metres * camera.scale(y), y) for y in (y0, y1)]
        painter.line(points, joint, width)
    nearest = 1.0 / (y1 - camera.horizon)
    farthest = 1.0 / (y0 - camera.horizon)
    for inverse in np.arange(nearest, farthest, 0.9 / camera.height):
        y = camera.horizon + 1.0 / float(inverse)
        painter.line([(0.0, y), (WIDE, y)], joint, width)
    painter.ground_texture("stone", camera, y0, y1, 0.35)


def _road(painter: Painter, camera: Camera, y0: float, y1: float, colour: RGB) -> None:
    """Asphalt with patches, a dashed centre line, edge lines and a drain."""
    rng = painter.rng
    painter.gradient(y0, y1, shade(colour, 1.06), shade(colour, 0.96))
    for _ in range(int(rng.integers(1, 4))):
        x, y = float(rng.uniform(0, WIDE)), float(rng.uniform(y0 + 0.03, y1 - 0.05))
        wide = float(rng.uniform(0.8, 2.2)) * camera.scale(y)
        painter.fill(
            [(x, y), (x + wide, y), (x + 1.05 * wide, y + 0.03), (x - 0.02, y + 0.03)],
            shade(colour, float(rng.uniform(0.86, 0.94))),
        )
    white: RGB = (226, 224, 214)
    middle = y0 + 0.46 * (y1 - y0)
    low, high = middle + 0.006, middle - 0.005
    for metres in np.arange(-14.0 + float(rng.uniform(0, 2)), 14.0, 2.6):
        xs = [
            (WIDE / 2 + (metres + along) * camera.scale(y), y)
            for along, y in ((0.0, high), (1.3, high), (1.3, low), (0.0, low))
        ]
        painter.fill(xs, white)
    if rng.random() < 0.5:
        yellow: RGB = (230, 190, 70) if rng.random() < 0.5 else white
        painter.rect(0.0, y0 + 0.012, WIDE, y0 + 0.016, yellow)
        painter.rect(0.0, y1 - 0.024, WIDE, y1 - 0.017, yellow)
    x = float(rng.uniform(0.2, WIDE - 0.2))
    painter.disc(x, y1 - 0.05, 0.03, 0.01, shade(colour, 0.72))
    painter.disc(x, y1 - 0.051, 0.024, 0.0075, shade(colour, 0.85))
    painter.ground_texture("asphalt", camera, y0, y1, 0.45)


def _kerb(painter: Painter, y: float, size: float, colour: RGB) -> None:
    """The kerb stone on row y: a light top and a shaded face with joints."""
    painter.rect(0.0, y - size * 0.5, WIDE, y + size * 0.25, shade(colour, 1.12))
    painter.rect(0.0, y + size * 0.25, WIDE, y + size, shade(colour, 0.66))
    for x in np.arange(0.0, WIDE, 14 * size):
        painter.line([(float(x), y - size * 0.5), (float(x), y + size)], shade(colour, 0.72), 0.0015)


def _wet(painter: Painter, wall: float, y0: float, y1: float) -> None:
    """Lay a wavering reflection of what is above row `wall` on the ground between two rows, and puddles."""
    rng = painter.rng
    height = painter.image.shape[0]
    first, last, edge = round(y0 * height), round(y1 * height), round(wall * height)
    rows = np.clip(edge - np.arange(last - first) * edge // (last - first + 1) - 1, 0, edge - 1)
    mirrored = painter.image[rows]
    window = painter.image[first:last]
    part = np.where(np.arange(last - first) < (_NEAR_KERB - y0) * height, 0.26, 0.1)[:, None, None]
    painter.image[first:last] = (window * (1 - part) + mirrored * part).astype(np.uint8)
    puddles = [
        (
            float(rng.uniform(0, WIDE)),
            float(rng.uniform(y0, y1)),
            float(rng.uniform(0.06, 0.16)),
            float(rng.uniform(0.006, 0.014)),
        )
        for _ in range(7)
    ]
    painter.soft_discs(puddles, (176, 188, 200), 0.5, 0.008)


def _furniture(painter: Painter, light: Light, far_kerb: float) -> None:
    """Trees, lamps, hedges, bins and planters along both pavements, kept apart from each other."""
    rng = painter.rng
    places = rng.permutation(np.linspace(0.08, WIDE - 0.08, 9)) + rng.uniform(-0.05, 0.05, 9)
    spots = [float(x) for x in places]
    for _ in range(int(rng.integers(1, 3))):
        tree(painter, spots.pop(), far_kerb - 0.012, float(rng.uniform(0.42, 0.58)))
    for _ in range(int(rng.integers(1, 3))):
        lamp_post(painter, light, spots.pop(), far_kerb - 0.008, float(rng.uniform(0.42, 0.5)))
    if rng.random() < 0.5:
        x = spots.pop()
        hedge(painter, x - 0.1, x + 0.14, far_kerb - 0.006, 0.055)
    if rng.random() < 0.5:
        litter_bin(painter, spots.pop(), far_kerb - 0.01, 0.075)
    draw = rng.random()
    if draw < 0.35:
        tree(painter, spots.pop(), _NEAR_KERB + 0.022, float(rng.uniform(0.9, 1.1)))
    elif draw < 0.65:
        lamp_post(painter, light, spots.pop(), _NEAR_KERB + 0.02, float(rng.uniform(0.72, 0.8)))
    if rng.random() < 0.45:
        planter(painter, spots.pop(), _NEAR_KERB + 0.025, float(rng.uniform(0.12, 0.16)))
    if rng.random() < 0.35:
        litter_bin(painter, spots.pop(), _NEAR_KERB + 0.03, 0.17)


def _routes(wall: float) -> tuple[Route, ...]:
    """The ways along a street whose house fronts stand at row `wall`; traffic keeps to its side."""
    return (
        Route("people", wall + 0.045, 0.012, 15.0, 0.7),
        Route("cars", wall + 0.17, 0.004, 7.0, 0.85, -1),
        Route("cars", wall + 0.255, 0.004, 7.5, 0.82, 1),
        Route("people", 0.885, 0.012, 13.0, 0.58, 0, 0.01),
        Route("people", 0.965, 0.015, 14.0, 0.42, 0, 0.01),
        Route("dogs", 0.93, 0.01, 13.0, 0.6),
        Route("birds", 0.955, 0.025, 17.0, 0.62),
        Route("flight", 0.90, 0.04, 11.0, 0.4),
    )
