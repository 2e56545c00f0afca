"""Owns the still part of a scene while it is being painted: the backdrop, and the cut-outs of what stands in front of the actors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.scenes.canvas import WIDE, Area, Image
from edgecam.scenes.shapes import RGB, shade

_SHIFT = 4
_SUB = 1 << _SHIFT

XY = tuple[float, float]


class Cutout(NamedTuple):
    """Something standing at row `ground` that hides actors farther away: where it is and how much each pixel hides (0 to 255)."""

    ground: float
    area: Area
    alpha: Image


class Painter:
    """Paints in units of the picture's height (x up to 16/9, y down) at any pixel size."""

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        """An empty picture of that many pixels; `rng` varies strokes."""
        self.image: Image = np.zeros((height, width, 3), np.uint8)
        self.glow: Image | None = None
        self.cutouts: list[Cutout] = []
        self.rng = rng
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
            self.cutouts.append(Cutout(ground, Area(x, y, x + width, y + height), self._alpha[y : y + height, x : x + width].copy()))
        self._alpha = None

    def fill(self, points: Sequence[XY] | NDArray[np.float64], colour: RGB) -> None:
        """A filled polygon."""
        fixed = self._fixed(points)
        cv2.fillPoly(self.image, [fixed], colour, cv2.LINE_AA, _SHIFT)
        if self._alpha is not None:
            cv2.fillPoly(self._alpha, [fixed], 255, cv2.LINE_AA, _SHIFT)

    def rect(self, x0: float, y0: float, x1: float, y1: float, colour: RGB) -> None:
        """A filled upright rectangle."""
        self.fill([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def disc(self, x: float, y: float, rx: float, ry: float, colour: RGB) -> None:
        """A filled ellipse."""
        angles = np.linspace(0, 2 * np.pi, 26, endpoint=False)
        self.fill(np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1), colour)

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
                self.disc(float(across), float(down), size * rx, size * ry, shade(colour, light * float(self.rng.uniform(0.95, 1.05))))

    def blend(self, mask: Image, colour: RGB) -> None:
        """Lay `colour` over the picture where `mask` (0 to 255, any size, stretched over the picture) says."""
        height, width = self.image.shape[:2]
        weight = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
        layer = np.empty_like(self.image)
        layer[:] = colour
        self.image = np.asarray(cv2.blendLinear(self.image, layer, 1 - weight, weight), np.uint8)

    def multiply(self, y0: float, factors: NDArray[np.float32]) -> None:
        """Multiply the rows from y0 down by `factors` (about 1, any size, stretched)."""
        first = round(y0 * self._y)
        rows = self.image[first:]
        stretched = cv2.resize(factors, (rows.shape[1], rows.shape[0]), interpolation=cv2.INTER_LINEAR)
        scaled = np.clip(stretched * 128, 0, 255).astype(np.uint8)
        cv2.multiply(rows, cv2.merge([scaled] * 3), rows, 1 / 128)
