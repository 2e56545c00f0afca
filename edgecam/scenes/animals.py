"""Owns dogs and birds: how they look, and how they are drawn at a moment of their trot, hop or flight."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from edgecam.scenes.shapes import RGB, Shape, disc, limb, mix, moved, poly, rounded, shade

# name: withers height in metres, body length, leg length, snout length, upright ears, bushy tail, coat colours
_BREEDS: dict[str, tuple[float, float, float, float, bool, bool, tuple[RGB, ...]]] = {
    "labrador": (0.56, 1.12, 0.5, 0.30, False, False, ((226, 188, 124), (120, 72, 42), (56, 50, 52))),
    "shepherd": (0.60, 1.16, 0.5, 0.34, True, True, ((176, 122, 66), (150, 104, 62))),
    "husky": (0.56, 1.1, 0.5, 0.28, True, True, ((118, 124, 136), (82, 86, 98))),
    "terrier": (0.46, 1.0, 0.46, 0.26, False, False, ((236, 230, 216), (206, 160, 104))),
    "dachshund": (0.40, 1.55, 0.36, 0.36, False, False, ((140, 76, 38), (96, 52, 34))),
    "dalmatian": (0.58, 1.12, 0.54, 0.30, False, False, ((240, 238, 232),)),
}


@dataclass(frozen=True)
class DogLook:
    """One dog's looks; lengths in withers heights, `withers` in metres."""

    breed: str
    withers: float
    length: float
    leg: float
    snout: float
    upright_ears: bool
    bushy: bool
    coat: RGB
    collar: RGB


def dog_look(rng: np.random.Generator) -> DogLook:
    """Looks drawn from `rng`."""
    breed = str(rng.choice(list(_BREEDS)))
    withers, length, leg, snout, upright, bushy, coats = _BREEDS[breed]
    collars: tuple[RGB, ...] = ((206, 52, 48), (44, 108, 188), (238, 184, 52), (66, 152, 88))
    return DogLook(
        breed, withers * float(rng.uniform(0.95, 1.12)), length, leg, snout, upright, bushy,
        coats[int(rng.integers(len(coats)))], collars[int(rng.integers(len(collars)))],
    )  # fmt: skip


def draw_dog(look: DogLook, phase: float, stride: float, wag: float) -> list[Shape]:
    """The dog facing +x, paws on y = 0, withers one unit high; diagonal legs move together (a trot)."""
    half, belly = 0.5 * look.length, look.leg
    pale = mix(look.coat, (255, 246, 230), 0.55)
    dark = shade(look.coat, 0.72)
    shapes: list[Shape] = []
    shapes += _dog_leg(half * 0.74, belly, phase + pi, stride, dark, front=True)
    shapes += _dog_leg(-half * 0.72, belly, phase, stride, dark, front=False)
    shapes += _dog_tail(look, half, wag)
    back = [(-half, 0.9), (-half * 0.6, 1.0), (half * 0.5, 1.0), (half, 0.98), (half * 1.06, 0.72)]
    underside = [(0.86, 0.92), (0.2, 1.02), (-0.5, 1.2), (-1.02, 1.15)]
    back += [(half * x, belly * y) for x, y in underside] + [(-half * 1.08, 0.74)]
    shapes.append(rounded(back, look.coat))
    shapes.append(
        rounded(
            [
                (half * 0.88, belly * 0.98),
                (half * 0.2, belly * 1.04),
                (-half * 0.55, belly * 1.2),
                (-half * 0.4, belly * 1.27),
                (half * 0.6, belly * 1.2),
            ],
            pale,
            outlined=False,
        )
    )
    if look.breed == "shepherd":
        shapes.append(
            rounded(
                [(-half * 0.9, 0.98), (half * 0.6, 1.0), (half * 0.5, 0.8), (-half * 0.7, 0.78)],
                (58, 48, 46),
                outlined=False,
            )
        )
    if look.breed == "dalmatian":
        spots = ((-0.7, 0.86), (-0.35, 0.74), (-0.1, 0.92), (0.2, 0.78), (0.5, 0.9), (0.72, 0.74), (-0.6, 0.68))
        shapes += [disc(complex(half * x, y), 0.055, 0.045, (48, 44, 48), outlined=False) for x, y in spots]
    shapes += _dog_leg(half * 0.8, belly, phase, stride, look.coat, front=True)
    shapes += _dog_leg(-half * 0.78, belly, phase + pi, stride, look.coat, front=False)
    nod = 0.03 * stride * sin(2 * phase)
    return shapes + _dog_head(look, complex(half * 0.92, 0.9 + nod), pale, dark)


def _dog_leg(x: float, length: float, phase: float, stride: float, colour: RGB, *, front: bool) -> list[Shape]:
    """One leg in two parts and its paw; lifted while it swings forward."""
    swing = 0.55 * stride * sin(phase)
    lift = 0.16 * stride * max(0.0, cos(phase))
    hip = complex(x, length * 1.25)
    paw = complex(x + swing * length * 0.9, 0.045 + lift * length)
    bend = 0.07 if front else -0.1
    knee = 0.5 * (hip + paw) + complex(-bend + 0.25 * lift, 0.0)
    return [
        disc(paw + 0.03, 0.075, 0.045, colour),
        limb(knee, paw, 0.11, 0.09, colour),
        limb(hip, knee, 0.19 if front else 0.24, 0.12, colour),
    ]


def _dog_tail(look: DogLook, half: float, wag: float) -> list[Shape]:
    """A tail carried high, wagging."""
    root = complex(-half * 0.98, 0.9)
    middle = root + complex(-0.17, 0.12 + 0.05 * sin(wag))
    tip = middle + complex(-0.08 + 0.1 * sin(wag), 0.2)
    width = 0.17 if look.bushy else 0.085
    colour = shade(look.coat, 0.86)
    return [limb(root, middle, width * 0.9, width, colour), limb(middle, tip, width, width * 0.6, colour)]


def _dog_head(look: DogLook, neck: complex, pale: RGB, dark: RGB) -> list[Shape]:
    """Neck with collar, head, snout, ear and eye."""
    head = neck + complex(0.2, 0.3)
    snout = head + complex(look.snout, -0.07)
    shapes = [limb(neck - 0.08j, head, 0.36, 0.26, look.coat)]
    shapes.append(limb(neck + complex(-0.02, 0.16), neck + complex(0.2, 0.05), 0.06, 0.06, look.collar, outlined=False))
    if look.upright_ears:
        x, y = head.real, head.imag
        shapes.append(poly([(x - 0.13, y + 0.06), (x - 0.07, y + 0.33), (x + 0.05, y + 0.1)], dark, outlined=True))
    shapes += [
        limb(head + 0.06, snout, 0.2, 0.13, pale if look.bushy or look.breed == "dalmatian" else look.coat),
        disc(head, 0.175, 0.16, look.coat),
        disc(snout + complex(0.05, 0.03), 0.042, 0.038, (30, 26, 28), outlined=False),
        disc(head + complex(0.09, 0.045), 0.026, 0.03, (28, 22, 24), outlined=False),
    ]
    if not look.upright_ears:
        shapes.append(
            disc(head + complex(-0.08, -0.04), 0.07, 0.15, dark if look.breed != "dalmatian" else (54, 48, 52), 0.15)
        )
    return shapes


@dataclass(frozen=True)
class BirdLook:
    """One bird's looks; `height` in metres when standing."""

    species: str
    height: float
    body: RGB
    wing: RGB
    head: RGB
    beak: RGB
    legs: RGB
    breast: RGB


_SPECIES: dict[str, tuple[float, RGB, RGB, RGB, RGB, RGB, RGB]] = {
    # height in metres, body, wing, head, beak, legs, breast
    "pigeon": (0.46, (132, 142, 162), (164, 172, 188), (70, 92, 116), (64, 60, 64), (214, 90, 84), (104, 122, 128)),
    "brown pigeon": (
        0.46,
        (170, 128, 104),
        (196, 158, 132),
        (126, 84, 74),
        (70, 60, 58),
        (214, 90, 84),
        (150, 112, 104),
    ),
    "crow": (0.52, (46, 48, 64), (66, 70, 94), (40, 42, 56), (34, 34, 40), (40, 38, 42), (60, 62, 80)),
    "gull": (0.54, (246, 246, 244), (170, 180, 194), (250, 250, 248), (242, 178, 48), (240, 150, 70), (250, 250, 250)),
    "magpie": (0.50, (38, 42, 56), (40, 82, 138), (36, 36, 46), (30, 30, 36), (38, 36, 42), (244, 244, 244)),
    "blackbird": (0.42, (58, 46, 42), (82, 66, 58), (50, 40, 38), (246, 168, 40), (120, 84, 60), (96, 74, 60)),
}


def bird_look(rng: np.random.Generator) -> BirdLook:
    """Looks drawn from `rng`."""
    species = str(rng.choice(list(_SPECIES), p=[0.28, 0.12, 0.22, 0.16, 0.14, 0.08]))
    height, body, wing, head, beak, legs, breast = _SPECIES[species]
    return BirdLook(species, height * float(rng.uniform(0.94, 1.1)), body, wing, head, beak, legs, breast)


def draw_bird_standing(look: BirdLook, peck: float, hop: float) -> list[Shape]:
    """The bird facing +x, feet on y = 0, one unit tall.

    `peck` runs from 0 (head up) to 1 (beak on the ground); `hop` is its lift in units.
    """
    tilt = -0.35 * peck
    turn = complex(cos(tilt), sin(tilt))
    pivot = 0.38j
    knees = [(-0.02 + 0.34j, -0.05 + 0.02j), (0.1 + 0.34j, 0.1 + 0.02j)]
    shapes: list[Shape] = []
    for hip, foot in knees:
        shapes += [limb(hip, foot, 0.05, 0.04, look.legs), limb(foot, foot + 0.1, 0.045, 0.03, look.legs)]
    trunk: list[Shape] = [
        rounded([(-0.35, 0.5), (-0.85, 0.34), (-0.82, 0.24), (-0.3, 0.36)], shade(look.wing, 0.7)),
        rounded(
            [
                (0.36, 0.78),
                (0.46, 0.56),
                (0.3, 0.32),
                (-0.02, 0.24),
                (-0.4, 0.34),
                (-0.56, 0.44),
                (-0.3, 0.62),
                (0.1, 0.76),
            ],
            look.body,
        ),
        rounded([(0.4, 0.64), (0.42, 0.5), (0.26, 0.34), (0.02, 0.27), (0.16, 0.46)], look.breast, outlined=False),
        rounded(
            [(0.2, 0.64), (0.16, 0.44), (-0.2, 0.36), (-0.66, 0.38), (-0.3, 0.58), (0.0, 0.68)],
            look.wing,
            outlined=False,
        ),
        rounded([(-0.02, 0.46), (-0.26, 0.4), (-0.64, 0.38), (-0.3, 0.5)], shade(look.wing, 0.62), outlined=False),
    ]
    head = complex(0.34 + 0.16 * peck, 0.84 - 0.56 * peck)
    shapes += [Shape(pivot + (part.points - pivot) * turn, part.colour, part.outlined) for part in trunk]
    shapes += [
        limb(complex(0.27, 0.64 - 0.16 * peck), head, 0.27, 0.21, look.head),
        *_bird_head(look, head, -0.9 * peck),
    ]
    return moved(shapes, complex(0.0, hop))


def _bird_head(look: BirdLook, head: complex, tilt: float) -> list[Shape]:
    """Head, beak and eye, the beak turned by `tilt` radians."""
    turn = complex(cos(tilt), sin(tilt))
    beak = [head + turn * point for point in (0.1 + 0.05j, 0.29 - 0.01j, 0.1 - 0.06j)]
    return [
        poly([(point.real, point.imag) for point in beak], look.beak, outlined=True),
        disc(head, 0.145, 0.135, look.head),
        disc(head + turn * (0.05 + 0.035j), 0.034, 0.034, (250, 190, 80), outlined=False),
        disc(head + turn * (0.052 + 0.035j), 0.02, 0.02, (16, 14, 18), outlined=False),
    ]


def draw_bird_flying(look: BirdLook, phase: float) -> list[Shape]:
    """The bird in flight facing +x, its body's centre at y = 0; `phase` is the wing beat's angle in radians."""
    beat = sin(phase)
    near_tip = complex(-0.28 - 0.1 * beat, 0.1 + 0.85 * beat)
    far_tip = complex(-0.02 - 0.06 * beat, 0.5 + 0.42 * beat)

    def wing(root: float, tip: complex, colour: RGB) -> list[Shape]:
        middle = 0.5 * (complex(root, 0.08) + tip) + complex(0.12, 0.1)
        lead = [(root + 0.2, 0.08), (middle.real + 0.14, middle.imag), (tip.real, tip.imag)]
        trail = [(tip.real - 0.16, tip.imag - 0.05), (middle.real - 0.3, middle.imag - 0.12), (root - 0.3, 0.02)]
        inner = [
            (root + 0.1, 0.06),
            (middle.real, middle.imag - 0.02),
            (middle.real - 0.22, middle.imag - 0.1),
            (root - 0.22, 0.02),
        ]
        return [rounded(lead + trail, colour), rounded(inner, mix(colour, look.body, 0.55), outlined=False)]

    return [
        *wing(0.12, far_tip, shade(look.wing, 0.72)),
        rounded([(-0.4, 0.06), (-0.86, 0.12), (-0.9, -0.06), (-0.4, -0.06)], shade(look.wing, 0.7)),
        rounded(
            [(0.5, 0.08), (0.5, -0.08), (0.2, -0.2), (-0.2, -0.18), (-0.55, -0.04), (-0.5, 0.06), (0.0, 0.16)],
            look.body,
        ),
        rounded([(0.44, -0.02), (0.2, -0.17), (-0.2, -0.15), (0.1, -0.05)], look.breast, outlined=False),
        *_bird_head(look, complex(0.52, 0.08), -0.1),
        *wing(0.0, near_tip, look.wing),
    ]
