"""Owns what stands about in any place: sky and clouds, trees, hedges, lamp posts, bins, fences, flowers."""

from contextlib import nullcontext

import numpy as np

from edgecam.scenes.canvas import WIDE
from edgecam.scenes.light import Light
from edgecam.scenes.painter import Painter
from edgecam.scenes.shapes import RGB, mix, shade

LEAVES: tuple[RGB, ...] = (
    (84, 138, 62),
    (62, 120, 70),
    (112, 152, 58),
    (70, 128, 88),
    (146, 150, 56),
    (188, 128, 52),
    (92, 146, 96),
)
FLOWERS: tuple[RGB, ...] = (
    (232, 76, 96),
    (246, 200, 66),
    (238, 238, 244),
    (168, 110, 208),
    (244, 140, 70),
    (236, 130, 180),
)


def sky(painter: Painter, light: Light, bottom: float) -> None:
    """The sky down to row `bottom`, with clouds and, by day, sometimes the sun's haze."""
    rng = painter.rng
    painter.gradient(0.0, bottom, *light.sky)
    white = mix(light.sky[1], (255, 255, 255), 0.6 if light.name == "day" else 0.15)
    for layer in range(2):
        discs = []
        for _ in range(int(rng.integers(2, 6))):
            x, y, size = rng.uniform(0, WIDE), rng.uniform(0.02, 0.75 * bottom), rng.uniform(0.04, 0.1)
            discs += [
                (
                    x + (part - 2) * size * 0.7,
                    y + float(rng.uniform(-0.25, 0.25)) * size,
                    size * float(rng.uniform(0.5, 1.0)),
                    size * 0.36,
                )
                for part in range(5)
            ]
        colour = white if layer else mix(light.sky[0], white, 0.55)
        painter.soft_discs(discs, colour, 0.5 + 0.25 * layer, 0.03 - 0.012 * layer)


def far_trees(painter: Painter, light: Light, bottom: float, low: float, high: float) -> None:
    """A hazy row of tree tops on the skyline."""
    rng = painter.rng
    for haze, tall in ((0.62, 1.1), (0.4, 0.95)):
        x = -0.05
        while x < WIDE + 0.1:
            size = float(rng.uniform(low, high))
            colour = mix(shade(LEAVES[int(rng.integers(4))], tall), light.sky[1], haze)
            painter.disc(x, bottom - 0.55 * size * tall, 0.6 * size, 0.7 * size, colour)
            x += size * float(rng.uniform(0.4, 0.8))


def tree(painter: Painter, x: float, ground: float, size: float, *, cutout: bool = True) -> None:
    """A tree of `size` units with its trunk's foot at (x, ground)."""
    rng = painter.rng
    colour = LEAVES[int(rng.integers(len(LEAVES)))]
    bark: RGB = ((112, 84, 62), (96, 80, 70), (134, 110, 86))[int(rng.integers(3))]
    crown = ground - 0.72 * size
    painter.soft_discs([(x, ground, 0.16 * size, 0.018 * size)], (30, 36, 30), 0.4, 0.012)
    with painter.standing(ground) if cutout else nullcontext():
        _trunk(painter, x, ground, size, bark)
        painter.cluster(x, crown, 0.3 * size, 0.3 * size, colour, 13)


def _trunk(painter: Painter, x: float, ground: float, size: float, bark: RGB) -> None:
    """A trunk that widens at the foot, shaded on its right, with one branch."""
    half, flare, crown = 0.034 * size, ground - 0.1 * size, ground - 0.72 * size
    outline = [(-1.5, ground), (-0.8, flare), (-0.6, crown), (0.6, crown), (0.8, flare), (1.5, ground)]
    shadow = [(0.1, ground), (0.1, crown), (0.6, crown), (0.8, flare), (1.4, ground)]
    painter.fill([(x + half * across, y) for across, y in outline], bark)
    painter.fill([(x + half * across, y) for across, y in shadow], shade(bark, 0.78))
    fork, tip = (x - half * 0.3, crown + 0.2 * size), (x - 0.12 * size, crown - 0.02 * size)
    painter.fill([fork, tip, (x - 0.1 * size, crown - 0.03 * size), (x + half * 0.3, crown + 0.14 * size)], bark)


def hedge(painter: Painter, x0: float, x1: float, ground: float, height: float) -> None:
    """A clipped hedge between x0 and x1 that hides what passes behind it."""
    rng = painter.rng
    colour = LEAVES[int(rng.integers(4))]
    painter.soft_discs([((x0 + x1) / 2, ground, 0.52 * (x1 - x0), 0.015)], (30, 36, 30), 0.4, 0.015)
    with painter.standing(ground):
        painter.rect(x0, ground - height, x1, ground, shade(colour, 0.72))
        step = 0.35 * height
        for layer, light in enumerate((0.8, 0.95, 1.1)):
            for x in np.arange(x0 + 0.2 * step, x1, 0.55 * step):
                y = ground - height * (0.3 + 0.32 * layer) + float(rng.uniform(-0.08, 0.08)) * height
                painter.disc(
                    float(x),
                    y,
                    step * float(rng.uniform(0.4, 0.6)),
                    step * float(rng.uniform(0.35, 0.5)),
                    shade(colour, light * float(rng.uniform(0.94, 1.06))),
                )


def lamp_post(painter: Painter, light: Light, x: float, ground: float, height: float) -> None:
    """A street lamp; it shines where lamps are on."""
    rng = painter.rng
    colour: RGB = ((58, 64, 70), (44, 66, 62), (92, 96, 102))[int(rng.integers(3))]
    wide = 0.012 * height
    side = float(rng.choice([-1, 1]))
    top = ground - height
    painter.soft_discs([(x, ground, 0.035 * height, 0.008 * height)], (30, 30, 34), 0.4, 0.008)
    with painter.standing(ground):
        painter.rect(x - 1.9 * wide, ground - 0.1 * height, x + 1.9 * wide, ground, shade(colour, 0.85))
        painter.rect(x - wide, top + 0.02, x + wide, ground, colour)
        painter.rect(x - wide, top + 0.02, x - 0.35 * wide, ground, mix(colour, (255, 255, 255), 0.3))
        painter.line(
            [(x, top + 0.03), (x + side * 0.03, top), (x + side * 0.09 * height, top - 0.006)], colour, 1.6 * wide
        )
        lamp = x + side * 0.11 * height
        painter.fill(
            [
                (lamp - 0.05 * height, top + 0.01),
                (lamp - 0.035 * height, top - 0.014),
                (lamp + 0.035 * height, top - 0.014),
                (lamp + 0.05 * height, top + 0.01),
            ],
            shade(colour, 0.8),
        )
        bulb = [
            (lamp - 0.042 * height, top + 0.01),
            (lamp + 0.042 * height, top + 0.01),
            (lamp + 0.025 * height, top + 0.024),
            (lamp - 0.025 * height, top + 0.024),
        ]
        painter.fill(bulb, (250, 240, 210))
    if light.lamps_on:
        painter.shine(bulb, (255, 226, 160))


def litter_bin(painter: Painter, x: float, ground: float, height: float) -> None:
    """A round litter bin."""
    colour: RGB = ((48, 96, 78), (70, 76, 84), (168, 62, 52))[int(painter.rng.integers(3))]
    half = 0.3 * height
    painter.soft_discs([(x, ground, 1.4 * half, 0.3 * half)], (30, 30, 34), 0.45, 0.01)
    with painter.standing(ground):
        painter.fill(
            [
                (x - half, ground - 0.9 * height),
                (x + half, ground - 0.9 * height),
                (x + 0.85 * half, ground),
                (x - 0.85 * half, ground),
            ],
            colour,
        )
        painter.fill(
            [
                (x + 0.2 * half, ground - 0.9 * height),
                (x + half, ground - 0.9 * height),
                (x + 0.85 * half, ground),
                (x + 0.2 * half, ground),
            ],
            shade(colour, 0.78),
        )
        painter.rect(x - 1.12 * half, ground - height, x + 1.12 * half, ground - 0.86 * height, shade(colour, 1.25))
        painter.rect(
            x - 0.7 * half,
            ground - 0.62 * height,
            x - 0.5 * half,
            ground - 0.15 * height,
            mix(colour, (255, 255, 255), 0.25),
        )


def planter(painter: Painter, x: float, ground: float, size: float) -> None:
    """A stone tub with a flowering shrub."""
    rng = painter.rng
    stone: RGB = ((186, 178, 164), (158, 112, 84), (120, 122, 128))[int(rng.integers(3))]
    painter.soft_discs([(x, ground, 0.5 * size, 0.07 * size)], (30, 30, 34), 0.45, 0.01)
    with painter.standing(ground):
        painter.cluster(x, ground - 0.62 * size, 0.42 * size, 0.36 * size, LEAVES[int(rng.integers(4))], 7)
        flower = FLOWERS[int(rng.integers(len(FLOWERS)))]
        for _ in range(12):
            painter.disc(
                x + float(rng.uniform(-0.34, 0.34)) * size,
                ground - float(rng.uniform(0.5, 0.92)) * size,
                0.035 * size,
                0.035 * size,
                flower,
            )
        painter.fill(
            [
                (x - 0.36 * size, ground - 0.42 * size),
                (x + 0.36 * size, ground - 0.42 * size),
                (x + 0.28 * size, ground),
                (x - 0.28 * size, ground),
            ],
            stone,
        )
        painter.fill(
            [
                (x + 0.1 * size, ground - 0.42 * size),
                (x + 0.36 * size, ground - 0.42 * size),
                (x + 0.28 * size, ground),
                (x + 0.1 * size, ground),
            ],
            shade(stone, 0.85),
        )
        painter.rect(x - 0.39 * size, ground - 0.47 * size, x + 0.39 * size, ground - 0.39 * size, shade(stone, 1.1))


def flower_bed(painter: Painter, x0: float, x1: float, y: float, depth: float) -> None:
    """A bed of earth with clumps of flowers, flat enough to hide nothing."""
    rng = painter.rng
    painter.soft_discs([((x0 + x1) / 2, y, 0.54 * (x1 - x0), 0.75 * depth)], (92, 66, 48), 0.95, 0.008)
    colours = rng.choice(len(FLOWERS), 3, replace=False)
    for _ in range(int(34 * (x1 - x0)) + 8):
        x, low = float(rng.uniform(x0, x1)), y + float(rng.uniform(-0.4, 0.5)) * depth
        size = float(rng.uniform(0.008, 0.014))
        painter.disc(x, low, 1.5 * size, size, shade(LEAVES[int(rng.integers(4))], float(rng.uniform(0.8, 1.0))))
        painter.disc(x, low - size, 0.75 * size, 0.65 * size, FLOWERS[int(colours[int(rng.integers(3))])])
