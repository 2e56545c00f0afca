"""Owns the still part of a scene while it is painted: the backdrop, and the cut-outs of what can hide the actors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.scenes.camera import Camera
from edgecam.scenes.canvas import WIDE, Area, Image
from edgecam.scenes.shapes import RGB, shade

_SHIFT = 4
_SUB = 1 << _SHIFT
_COS = np.cos(np.linspace(0, 2 * np.pi, 26, endpoint=False))
_SIN = np.sin(np.linspace(0, 2 * np.pi, 26, endpoint=False))

XY = tuple[float, float]


class Cutout(NamedTuple):
    """Something standing at row `ground` that hides actors farther away: where, and how much (0 to 255 per pixel)."""

    ground: float
    area: Area
    alpha: Image


class Painter:
    """Paints in units of the picture's height (x up to 16/9, y down) at any pixel size."""

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        """An empty picture of that many pixels; `rng` varies strokes."""
        self.image: Image = np.zeros((height, width, 3), np.uint8)
        self.cutouts: list[Cutout] = []
        self.rng = rng
        self.lamps: Image = np.zeros((height, width, 3), np.uint8)
        self._lit = False
        self._alpha: Image | None = None
        self._x, self._y = width / WIDE, float(height)

    def _fixed(self, points: Sequence[XY] | NDArray[np.float64]) -> NDArray[np.int32]:
        """Points as fixed-point pixels."""
        return np.round((np.asarray(points, float) * (self._x, self._y) - 0.5) * _SUB).astype(np.int32)

    @contextmanager
    def standing(self, ground: float) -> Iterator[None]:
        """What is painted inside this context stands at row `ground` and hides actors behind it."""
        self._alpha = np.zeros(self.image.shape[:2], np.uint8)
        yield
        x, y, width, height = cv2.boundingRect(self._alpha)
        if width and height:
            self.cutouts.append(
                Cutout(ground, Area(x, y, x + width, y + height), self._alpha[y : y + height, x : x + width].copy())
            )
        self._alpha = None

    def fill(self, points: Sequence[XY] | NDArray[np.float64], colour: RGB) -> None:
        """A filled polygon."""
        fixed = self._fixed(points)
        cv2.fillPoly(self.image, [fixed], colour, cv2.LINE_AA, _SHIFT)
        if self._lit:
            cv2.fillPoly(self.lamps, [fixed], (0, 0, 0), cv2.LINE_AA, _SHIFT)
        if self._alpha is not None:
            cv2.fillPoly(self._alpha, [fixed], 255, cv2.LINE_AA, _SHIFT)

    def shine(self, points: Sequence[XY] | NDArray[np.float64], colour: RGB) -> None:
        """A polygon that shines with `colour` whatever the light; what is painted over it later hides it."""
        self._lit = True
        cv2.fillPoly(self.lamps, [self._fixed(points)], colour, cv2.LINE_AA, _SHIFT)

    def rect(self, x0: float, y0: float, x1: float, y1: float, colour: RGB) -> None:
        """A filled upright rectangle."""
        self.fill([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def disc(self, x: float, y: float, rx: float, ry: float, colour: RGB) -> None:
        """A filled ellipse."""
        points = np.empty((len(_COS), 2))
        points[:, 0], points[:, 1] = x + rx * _COS, y + ry * _SIN
        self.fill(points, colour)

    def line(self, points: Sequence[XY], colour: RGB, width: float) -> None:
        """A stroke `width` units thick, at least one pixel."""
        pixels = max(1, round(width * self._y))
        cv2.polylines(self.image, [self._fixed(points)], False, colour, pixels, cv2.LINE_AA, _SHIFT)
        if self._alpha is not None:
            cv2.polylines(self._alpha, [self._fixed(points)], False, 255, pixels, cv2.LINE_AA, _SHIFT)

    def gradient(self, y0: float, y1: float, top: RGB, bottom: RGB) -> None:
        """Full-width rows from y0 to y1, fading from `top` to `bottom`."""
        first, last = round(y0 * self._y), round(y1 * self._y)
        part = np.linspace(0, 1, max(1, last - first))[:, None]
        rows = (1 - part) * np.array(top) + part * np.array(bottom)
        self.image[first:last] = rows[:, None, :].astype(np.uint8)

    def cluster(self, x: float, y: float, rx: float, ry: float, colour: RGB, count: int) -> None:
        """A leafy mass: darker blobs below and behind, lighter ones above and in front."""
        for layer, light in enumerate((0.72, 0.88, 1.0, 1.14)):
            share = 1.0 - 0.17 * layer
            for _ in range(count):
                angle, reach = self.rng.uniform(0, 2 * np.pi), np.sqrt(self.rng.uniform(0, 1))
                size = float(self.rng.uniform(0.26, 0.42)) * share
                across = x + share * reach * rx * 0.72 * np.cos(angle) - 0.05 * rx * layer
                down = y + share * reach * ry * 0.72 * np.sin(angle) - 0.1 * ry * layer
                self.disc(
                    float(across),
                    float(down),
                    size * rx,
                    size * ry,
                    shade(colour, light * float(self.rng.uniform(0.95, 1.05))),
                )

    def soft_discs(
        self, discs: Sequence[tuple[float, float, float, float]], colour: RGB, strength: float, blur: float
    ) -> None:
        """Ellipses (x, y, rx, ry) with edges blurred over `blur` units: clouds, shade, puddles."""
        half = [(rx + 1.2 * blur, ry + 1.2 * blur) for _, _, rx, ry in discs]
        spread = [(x - w, y - h, x + w, y + h) for (x, y, _, _), (w, h) in zip(discs, half, strict=True)]
        edges = np.array(spread) * (self._x, self._y, self._x, self._y)
        area = Area(
            *np.floor(edges.min(axis=0)[:2]).astype(int).tolist(), *np.ceil(edges.max(axis=0)[2:]).astype(int).tolist()
        )
        area = area.clipped(self.image.shape[1], self.image.shape[0])
        if area.empty:
            return
        mask: Image = np.zeros((area.y1 - area.y0, area.x1 - area.x0), np.uint8)
        for x, y, rx, ry in discs:
            points = np.stack([x + rx * _COS, y + ry * _SIN], axis=1)
            cv2.fillPoly(
                mask,
                [self._fixed(points) - np.array([area.x0, area.y0], np.int32) * _SUB],
                round(255 * strength),
                cv2.LINE_AA,
                _SHIFT,
            )
        kernel = (2 * round(blur * self._x * 0.6) + 1, 2 * round(blur * self._y * 0.6) + 1)
        weight = cv2.blur(cv2.blur(mask, kernel), kernel).astype(np.float32) / 255
        window = self.image[area.y0 : area.y1, area.x0 : area.x1]
        layer = np.empty_like(window)
        layer[:] = colour
        window[:] = cv2.blendLinear(window, layer, 1 - weight, weight)

    def ground_texture(self, kind: str, camera: Camera, y0: float, y1: float, strength: float) -> None:
        """Give the ground between two rows the grain of `kind` ("grass", "asphalt", "stone"), in perspective."""
        first, last = round(y0 * self._y), round(y1 * self._y)
        width = self.image.shape[1]
        metre = 46.0
        across, down = WIDE / width, 1 / self._y
        shift_x, shift_y = self.rng.uniform(300, 700, 2)
        homography = np.array(
            [
                [
                    metre * camera.height * across,
                    shift_x * down,
                    -metre * camera.height * WIDE / 2 + shift_x * (first * down - camera.horizon),
                ],
                [0.0, shift_y * down, metre * camera.height * 1.2 + shift_y * (first * down - camera.horizon)],
                [0.0, down, first * down - camera.horizon],
            ]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        grain = cv2.warpPerspective(
            _grain(kind), homography, (width, last - first), flags=flags, borderMode=cv2.BORDER_REFLECT
        )
        rows = self.image[first:last]
        factor = np.asarray(cv2.convertScaleAbs(grain, None, strength, 128 * (1 - strength)), np.uint8)
        cv2.multiply(rows, cv2.merge([factor] * 3), rows, 1 / 128)


@lru_cache(maxsize=4)
def _grain(kind: str) -> Image:
    """A tile of surface grain about 128, uint8 [1024, 1024]."""
    rng = np.random.Generator(np.random.PCG64([5, len(kind)]))
    tile = np.full((1024, 1024), 128.0, np.float32)
    octaves = {
        "grass": ((512, 26), (160, 18), (32, 10), (9, 12)),
        "asphalt": ((512, 26), (128, 14), (16, 16), (6, 12)),
        "stone": ((256, 20), (64, 12), (12, 16)),
    }[kind]
    for cells, weight in octaves:
        noise = rng.normal(0, 1, (cells, cells)).astype(np.float32)
        tile += weight * cv2.resize(noise, (1024, 1024), interpolation=cv2.INTER_LINEAR)
    return np.clip(tile, 0, 255).astype(np.uint8)
