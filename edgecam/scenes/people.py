"""Owns people: how they look, and how they are drawn at a moment of their walk."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from edgecam.scenes.shapes import RGB, Shape, disc, limb, mix, moved, poly, rounded, shade

_SKIN: tuple[RGB, ...] = (
    (246, 208, 177),
    (231, 184, 148),
    (208, 152, 112),
    (168, 112, 76),
    (122, 78, 52),
    (88, 56, 40),
)
_HAIR: tuple[RGB, ...] = ((44, 32, 28), (88, 56, 34), (138, 88, 44), (214, 172, 92), (170, 72, 36), (188, 188, 190))
_TOPS: tuple[RGB, ...] = (
    (226, 84, 72), (238, 176, 52), (38, 132, 134), (44, 70, 134), (240, 236, 226), (196, 42, 58), (76, 148, 84),
    (150, 110, 188), (240, 132, 60), (92, 168, 214), (64, 60, 72), (228, 140, 160), (118, 42, 66), (160, 176, 72),
    (250, 210, 120), (58, 96, 72),
)  # fmt: skip
_LEGS: tuple[RGB, ...] = (
    (58, 82, 128), (42, 46, 62), (190, 162, 122), (96, 98, 70), (36, 36, 40), (110, 48, 56), (130, 134, 142),
    (84, 60, 48), (92, 124, 170),
)  # fmt: skip
_SHOES: tuple[RGB, ...] = ((36, 32, 34), (230, 228, 222), (122, 76, 44), (196, 60, 52), (60, 78, 108))
_BAGS: tuple[RGB, ...] = ((150, 92, 50), (52, 56, 70), (200, 66, 60), (60, 130, 120), (222, 180, 70))


@dataclass(frozen=True)
class PersonLook:
    """One person's looks; lengths as fractions of the body height, `height` in metres."""

    height: float
    build: float
    skin: RGB
    hair: RGB
    top: RGB
    legs: RGB
    shoes: RGB
    bag: RGB
    hat: RGB
    garment: str
    hairdo: str
    headgear: str
    luggage: str
    short_sleeves: bool
    striped: bool


def person_look(rng: np.random.Generator, *, rainy: bool) -> PersonLook:
    """Looks drawn from `rng`; in rain people wear hoods and coats more often."""

    def pick(options: tuple[RGB, ...]) -> RGB:
        return options[int(rng.integers(len(options)))]

    top = pick(_TOPS)
    return PersonLook(
        height=float(rng.uniform(1.58, 1.86)),
        build=float(rng.uniform(0.88, 1.22)),
        skin=pick(_SKIN),
        hair=pick(_HAIR),
        top=top,
        legs=pick(_LEGS),
        shoes=pick(_SHOES),
        bag=pick(_BAGS),
        hat=pick(_TOPS),
        garment=str(
            rng.choice(
                ["trousers", "shorts", "skirt", "coat", "dress"],
                p=[0.46, 0.02 if rainy else 0.14, 0.1, 0.32 if rainy else 0.16, 0.1 if rainy else 0.14],
            )
        ),
        hairdo=str(rng.choice(["short", "long", "bun", "tail", "bald"], p=[0.4, 0.22, 0.14, 0.16, 0.08])),
        headgear="hood"
        if rainy and rng.random() < 0.5
        else str(rng.choice(["none", "cap", "beanie", "brim"], p=[0.6, 0.16, 0.12, 0.12])),
        luggage=str(rng.choice(["none", "backpack", "shoulder", "shopping"], p=[0.5, 0.2, 0.16, 0.14])),
        short_sleeves=bool(rng.random() < (0.1 if rainy else 0.45)),
        striped=bool(rng.random() < 0.18),
    )


def draw_person(look: PersonLook, phase: float, stride: float) -> list[Shape]:
    """The person facing +x, feet on y = 0, one unit tall.

    `phase` is the angle of the walking cycle in radians; `stride` runs from 0 (standing) to 1 (walking fast).
    """
    near, near_foot = _leg(look, phase, stride, 1.0)
    far, far_foot = _leg(look, phase + pi, stride, 0.78)
    near_arm = _arm(look, phase + pi, stride, 1.0)
    far_arm = _arm(look, phase, stride, 0.8)
    ground = min(near_foot, far_foot)
    shapes = [*far_arm, *far, *near]
    if look.luggage == "backpack":
        shapes.append(rounded([(-0.07, 0.82), (-0.17, 0.80), (-0.18, 0.60), (-0.08, 0.56)], look.bag))
    shapes += [*_torso(look, phase, stride), *_head(look), *near_arm]
    return moved(shapes, complex(0.0, -ground))


def _leg(look: PersonLook, phase: float, stride: float, light: float) -> tuple[list[Shape], float]:
    """One leg and the height of its sole; the knee bends while the leg swings forward."""
    thigh = 0.5 * stride * sin(phase) + 0.03 + 0.09 * (1.0 - stride) * (1.0 if light < 1.0 else -1.0)
    bend = 0.08 + stride * 0.85 * max(0.0, cos(phase + 0.35))
    hip = 0.505j
    knee = hip + 0.235 * complex(sin(thigh), -cos(thigh))
    ankle = knee + 0.225 * complex(sin(thigh - bend), -cos(thigh - bend))
    cloth, skin, shoes = shade(look.legs, light), shade(look.skin, light), shade(look.shoes, light)
    bare = look.garment in ("shorts", "skirt", "dress")
    width = 0.082 * look.build
    pitch = 0.35 * (thigh - bend) * stride
    turn = complex(cos(pitch), sin(pitch))
    foot = [
        ankle + turn * point
        for point in (-0.035 + 0.015j, 0.02 + 0.025j, 0.088 - 0.008j, 0.09 - 0.035j, -0.036 - 0.035j)
    ]
    shapes = [
        limb(knee, ankle, width * 0.78, width * 0.62, skin if bare else cloth),
        limb(hip, knee, width * 1.18, width * 0.86, skin if look.garment in ("skirt", "dress") else cloth),
        rounded([(point.real, point.imag) for point in foot], shoes),
    ]
    return shapes, min(point.imag for point in foot)


def _arm(look: PersonLook, phase: float, stride: float, light: float) -> list[Shape]:
    """One arm, swinging against its leg."""
    upper = 0.5 * stride * sin(phase) - 0.05
    lower = upper + 0.25 + 0.3 * stride
    shoulder = 0.79j
    elbow = shoulder + 0.155 * complex(sin(upper), -cos(upper))
    hand = elbow + 0.145 * complex(sin(lower), -cos(lower))
    sleeve, skin = shade(look.top, 0.88 * light), shade(look.skin, light)
    width = 0.058 * look.build
    shapes = [
        disc(hand, 0.026, 0.026, skin),
        limb(elbow, hand, width * 0.9, width * 0.72, skin if look.short_sleeves and look.garment != "coat" else sleeve),
        limb(shoulder, elbow, width * 1.15, width, sleeve),
    ]
    if look.luggage == "shopping" and light == 1.0:
        x, y = hand.real, hand.imag
        shapes.insert(
            0, rounded([(x - 0.06, y - 0.04), (x + 0.06, y - 0.04), (x + 0.05, y - 0.2), (x - 0.05, y - 0.2)], look.bag)
        )
        shapes.insert(0, limb(hand, hand - 0.06j, 0.05, 0.07, shade(look.bag, 0.7)))
    return shapes


def _torso(look: PersonLook, phase: float, stride: float) -> list[Shape]:
    """Trunk with what hangs from it, and its pattern, belt and shaded back."""
    w = 0.092 * look.build

    def across(*outline: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * w, y) for x, y in outline]

    under, over = _skirts(look, w, 0.05 * stride, 0.02 * stride * sin(2 * phase))
    trunk = across((-0.6, 0.845), (0.5, 0.845), (0.98, 0.78), (0.92, 0.64), (0.88, 0.49), (-0.86, 0.49), (-0.88, 0.64))
    shapes = [limb(0.005 + 0.8j, 0.01 + 0.87j, 0.052, 0.05, shade(look.skin, 0.85)), *under]
    shapes += [rounded([*trunk, (-1.0 * w, 0.78)], look.top), *over]
    if look.striped and look.garment != "coat":
        stripe = mix(look.top, (255, 255, 255), 0.55)
        for y in (0.56, 0.62, 0.68, 0.74):
            shapes.append(poly(across((-0.86, y), (0.9, y), (0.9, y + 0.022), (-0.86, y + 0.022)), stripe))
    if look.garment in ("trousers", "shorts"):
        belt = across((-0.86, 0.505), (0.88, 0.505), (0.88, 0.522), (-0.86, 0.522))
        shapes.append(poly(belt, shade(look.legs, 0.6)))
    back = across((-0.98, 0.8), (-0.45, 0.83), (-0.35, 0.5), (-0.85, 0.5))
    shapes.append(rounded(back, shade(look.top, 0.82), outlined=False))
    if look.luggage == "shoulder":
        shapes.append(limb(0.05 + 0.82j, -0.08 + 0.56j, 0.014, 0.014, shade(look.bag, 0.7), outlined=False))
        shapes.append(rounded([(-0.14, 0.58), (-0.02, 0.58), (-0.02, 0.45), (-0.14, 0.45)], look.bag))
    return shapes


def _skirts(look: PersonLook, w: float, hang: float, sway: float) -> tuple[list[Shape], list[Shape]]:
    """What hangs below the waist, under and over the trunk's shape; it flares by `hang` and sways."""

    def flared(top: tuple[float, float], hem: tuple[float, float]) -> list[tuple[float, float]]:
        (half, y), (wide, low) = top, hem
        return [(-half * w, y), (half * w, y), (wide * w + hang, low), (-wide * w - hang + sway, low)]

    if look.garment == "skirt":
        return [rounded(flared((0.8, 0.58), (1.15, 0.34)), look.legs)], []
    if look.garment == "dress":
        return [rounded(flared((0.8, 0.62), (1.25, 0.3)), look.top)], []
    if look.garment == "coat":
        seam = [(0.15 * w, 0.82), (0.3 * w, 0.82), (0.45 * w, 0.36), (0.3 * w, 0.36)]
        coat = rounded(flared((0.95, 0.7), (1.2, 0.33)), look.top, outlined=False)
        return [], [coat, poly(seam, shade(look.top, 0.72))]
    return [], []


def _head(look: PersonLook) -> list[Shape]:
    """Head, face, hair and whatever is worn on top."""
    hair, behind = look.hair, shade(look.hair, 0.85)
    shapes: list[Shape] = []
    if look.hairdo == "long":
        shapes.append(rounded([(-0.075, 0.95), (0.0, 0.97), (0.02, 0.85), (-0.045, 0.74), (-0.105, 0.77)], behind))
    if look.hairdo == "tail":
        shapes.append(rounded([(-0.05, 0.95), (-0.1, 0.93), (-0.125, 0.8), (-0.09, 0.8), (-0.05, 0.89)], behind))
    if look.hairdo == "bun":
        shapes.append(disc(-0.075 + 0.955j, 0.033, 0.033, hair))
    shapes.append(disc(0.012 + 0.915j, 0.062, 0.074, look.skin))
    shapes.append(disc(0.075 + 0.905j, 0.013, 0.012, look.skin, outlined=False))
    shapes.append(disc(0.05 + 0.925j, 0.008, 0.011, (40, 30, 34), outlined=False))
    shapes.append(limb(0.045 + 0.878j, 0.062 + 0.88j, 0.007, 0.007, shade(look.skin, 0.62), outlined=False))
    if look.hairdo != "bald":
        crown = [(0.07, 0.95), (0.045, 1.005), (-0.05, 1.005), (-0.085, 0.93), (-0.06, 0.855), (-0.025, 0.87)]
        shapes.append(rounded([*crown, (-0.01, 0.945)], hair))
    shapes.append(disc(-0.012 + 0.905j, 0.014, 0.019, shade(look.skin, 0.86), outlined=False))
    return shapes + _headgear(look)


def _headgear(look: PersonLook) -> list[Shape]:
    """Cap, beanie, brimmed hat or hood."""
    hat = look.hat
    if look.headgear == "cap":
        dome = [(0.075, 0.945), (0.05, 1.01), (-0.05, 1.01), (-0.075, 0.945)]
        return [rounded(dome, hat), limb(0.05 + 0.95j, 0.115 + 0.945j, 0.018, 0.014, shade(hat, 0.75))]
    if look.headgear == "beanie":
        dome = [(0.07, 0.945), (0.055, 1.02), (-0.05, 1.02), (-0.075, 0.945)]
        return [rounded(dome, hat), limb(-0.062 + 0.95j, 0.062 + 0.95j, 0.03, 0.03, shade(hat, 0.8))]
    if look.headgear == "brim":
        dome = [(0.055, 0.95), (0.045, 1.025), (-0.045, 1.025), (-0.055, 0.95)]
        return [rounded(dome, hat), limb(-0.1 + 0.955j, 0.11 + 0.955j, 0.02, 0.02, shade(hat, 0.78))]
    if look.headgear == "hood":
        hood = [(0.06, 0.98), (0.02, 1.015), (-0.07, 1.0), (-0.1, 0.9), (-0.07, 0.82), (0.03, 0.825), (-0.005, 0.93)]
        return [rounded(hood, shade(look.top, 0.92))]
    return []
