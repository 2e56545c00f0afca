"""Owns the light: day, dusk and rain; how each colours things, and the noise and rain over the finished picture."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.scenes.canvas import Image
from edgecam.scenes.shapes import RGB

LIGHTS = ("day", "dusk", "rain")


@dataclass(frozen=True)
class Light:
    """One scene's light.

    `matrix` grades colours (3x4, on 0 to 255); the sun throws shadows `lean` metres aside and `fall` metres towards the
    camera per metre of height; `noise` is a deviation in grey levels.
    """

    name: str
    matrix: NDArray[np.float64]
    sky: tuple[RGB, RGB]
    lean: float
    fall: float
    shadow: float
    noise: float
    contour: RGB
    lamps_on: bool


_DAY_SKIES: tuple[tuple[RGB, RGB], ...] = (
    ((92, 160, 224), (206, 230, 244)),
    ((110, 176, 220), (236, 238, 224)),
    ((142, 180, 214), (226, 232, 236)),
)
_DUSK_SKIES: tuple[tuple[RGB, RGB], ...] = (
    ((46, 50, 104), (244, 150, 96)),
    ((40, 56, 110), (206, 130, 150)),
    ((60, 58, 120), (250, 178, 110)),
)
_RAIN_SKY: tuple[RGB, RGB] = ((138, 150, 164), (196, 204, 208))


def make_light(name: str, rng: np.random.Generator) -> Light:
    """The light called `name`, varied by `rng`: time of day, sun, strength."""
    strength = float(rng.uniform(0.92, 1.06))
    lean = float(rng.choice([-1, 1]) * rng.uniform(0.35, 0.8))
    warm = float(rng.uniform(-0.03, 0.04))
    if name == "day":
        matrix = _grade(strength * np.array([1.0 + warm, 1.0, 1.0 - warm]), 1.0, (0, 0, 0))
        sky, fall = _DAY_SKIES[int(rng.integers(3))], float(rng.uniform(0.1, 0.2))
        return Light(name, matrix, sky, lean, fall, 0.34, float(rng.uniform(1.5, 4.0)), (44, 38, 50), lamps_on=False)
    if name == "dusk":
        matrix = _grade(strength * np.array([0.74, 0.66, 0.76]), 0.92, (10, 8, 20))
        sky, noise = _DUSK_SKIES[int(rng.integers(3))], float(rng.uniform(4.0, 7.5))
        return Light(name, matrix, sky, 0.15 * lean, 0.07, 0.3, noise, (24, 18, 34), lamps_on=True)
    matrix = _grade(strength * np.array([0.78, 0.82, 0.86]), 0.72, (14, 16, 18))
    noise, lamps_on = float(rng.uniform(2.5, 5.5)), bool(rng.random() < 0.5)
    return Light(name, matrix, _RAIN_SKY, 0.1 * lean, 0.07, 0.2, noise, (38, 38, 48), lamps_on=lamps_on)


def _grade(gain: NDArray[np.float64], saturation: float, lift: RGB) -> NDArray[np.float64]:
    """A 3x4 colour matrix: saturation about the Rec. 601 luma, then gain and lift per channel."""
    luma = np.tile(np.array([0.299, 0.587, 0.114]), (3, 1))
    linear = saturation * np.eye(3) + (1 - saturation) * luma
    return np.hstack([gain[:, None] * linear, np.array(lift, float)[:, None]])


def graded(light: Light, colours: list[RGB]) -> list[RGB]:
    """Colours as they look in this light."""
    values = np.clip(np.array(colours, float) @ light.matrix[:, :3].T + light.matrix[:, 3], 0, 255)
    return [(int(r), int(g), int(b)) for r, g, b in values]


def lit(light: Light, image: Image, lamps: Image) -> tuple[Image, Image | None]:
    """A painted picture as it looks in this light, and the soft glow of its lamps over everything (None: no lamp)."""
    picture = np.asarray(cv2.transform(image, light.matrix), np.uint8)
    if not light.lamps_on or not lamps.any():
        return picture, None
    height, width = image.shape[:2]
    small = cv2.resize(lamps, (160, 90), interpolation=cv2.INTER_AREA)
    halo = cv2.addWeighted(cv2.GaussianBlur(small, (0, 0), 2.2), 0.35, cv2.GaussianBlur(small, (0, 0), 8), 0.9, 0)
    return np.asarray(cv2.max(picture, lamps), np.uint8), np.asarray(
        cv2.resize(halo, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8
    )


@lru_cache(maxsize=4)
def _noise_tile(width: int, height: int) -> Image:
    """Sensor noise about 128, deviation 20, mostly in brightness; larger than the frame so that it can be shifted."""
    rng = np.random.Generator(np.random.PCG64(7))
    luma = rng.normal(0, 18, (height + 64, width + 64, 1)).astype(np.float32)
    chroma = rng.normal(0, 9, (height + 64, width + 64, 3)).astype(np.float32)
    return np.asarray(np.clip(luma + chroma + 128, 0, 255), np.uint8)


@lru_cache(maxsize=4)
def _rain_tile(width: int, height: int) -> Image:
    """Two frame heights of falling streaks on black; the lower half repeats the upper, so it can scroll."""
    rng = np.random.Generator(np.random.PCG64(11))
    tile: Image = np.zeros((2 * height, width, 3), np.uint8)
    for _ in range(420):
        x, y, length = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.02, 0.06)
        value = int(rng.uniform(18, 52))
        for top in (y - 1, y, y + 1):
            start = (int(x * width * 16), int(top * height * 16))
            end = (int((x * width - 0.18 * length * height) * 16), int((top + length) * height * 16))
            cv2.line(tile, start, end, (value, value, value), 1, cv2.LINE_AA, 4)
    tile[height:] = tile[:height]
    return np.asarray(cv2.blur(tile, (1, 3)), np.uint8)


def finish(light: Light, frame: Image, glow: Image | None, t: float) -> Image:
    """Lay lamp glow, rain and sensor noise over the frame, in place; returns it."""
    height, width = frame.shape[:2]
    tick = round(t * 1000)
    if glow is not None:
        cv2.add(frame, glow, frame)
    if light.name == "rain":
        offset = height - 1 - int(t * 1.9 * height) % height
        cv2.add(frame, _rain_tile(width, height)[offset : offset + height], frame)
    x, y = (tick * 7919) % 61, (tick * 104729) % 59
    gain = light.noise / 20
    tile = _noise_tile(width, height)[y : y + height, x : x + width]
    cv2.addWeighted(frame, 1.0, tile, gain, -128.0 * gain, frame)
    return frame
