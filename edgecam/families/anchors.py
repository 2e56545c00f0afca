"""The anchors of SSD models, as the TensorFlow Object Detection API generates them.

Every anchor is y centre, x centre, height, width, in fractions of the picture; the box within a cell varies fastest,
then the column, the row, the layer (anchor_generators/ of the API: grid_, multiple_grid_ and multiscale_grid_).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Size = tuple[int, int]
Specs = Sequence[tuple[float, float]]

_REDUCED_SCALE = 0.1


class SsdAnchors(BaseModel):
    """`ssd_anchor_generator`: scales from `min_scale` to `max_scale` over the layers, or `scales`; see the API.

    `feature_maps` are the layers' (rows, columns); by default the first layer's stride is 16 and each next one halves
    the one before, as in SSD MobileNet and SSDLite MobileDet. An `interpolated_scale_aspect_ratio` of 0 means no
    additional anchor.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["ssd"] = "ssd"
    layers: int = Field(default=6, ge=1, le=12)
    min_scale: float = Field(default=0.2, gt=0)
    max_scale: float = Field(default=0.95, gt=0)
    scales: tuple[float, ...] = ()
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5, 3.0, 1 / 3)
    interpolated_scale_aspect_ratio: float = Field(default=1.0, ge=0)
    reduce_boxes_in_lowest_layer: bool = True
    feature_maps: tuple[Size, ...] = ()

    def boxes(self, size: Size) -> NDArray[np.float64]:
        """The anchors [n, 4] of a model whose picture is `size` (width, height)."""
        width, height = size
        shorter = min(size)
        layers = zip(self._maps(size), self._specs(), strict=True)
        return np.concatenate([
            _tiled(grid, specs, (shorter / height, shorter / width), (1 / grid[0], 1 / grid[1]), (0.5, 0.5))
            for grid, specs in layers
        ])  # fmt: skip

    def _maps(self, size: Size) -> list[Size]:
        if self.feature_maps:
            return list(self.feature_maps)
        grids = [(math.ceil(size[1] / 16), math.ceil(size[0] / 16))]
        for _ in range(self.layers - 1):
            rows, columns = grids[-1]
            grids.append((math.ceil(rows / 2), math.ceil(columns / 2)))
        return grids

    def _specs(self) -> list[Specs]:
        """Scale and aspect ratio of each box in a cell, layer by layer (create_ssd_anchors)."""
        count = len(self.feature_maps) or self.layers
        span = self.max_scale - self.min_scale
        scales = [*(self.scales or (self.min_scale + span * at / max(1, count - 1) for at in range(count))), 1.0]
        specs: list[Specs] = []
        for layer in range(count):
            scale = scales[layer]
            if layer == 0 and self.reduce_boxes_in_lowest_layer:
                specs.append([(_REDUCED_SCALE, 1.0), (scale, 2.0), (scale, 0.5)])
                continue
            boxes = [(scale, ratio) for ratio in self.aspect_ratios]
            if self.interpolated_scale_aspect_ratio > 0:
                boxes.append((math.sqrt(scale * scales[layer + 1]), self.interpolated_scale_aspect_ratio))
            specs.append(boxes)
        return specs


class MultiscaleAnchors(BaseModel):
    """`multiscale_anchor_generator`, of models with a feature pyramid (FPN, FPNLite): see the API."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["multiscale"] = "multiscale"
    min_level: int = Field(default=3, ge=1, le=12)
    max_level: int = Field(default=7, ge=1, le=12)
    anchor_scale: float = Field(default=4.0, gt=0)
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5)
    scales_per_octave: int = Field(default=2, ge=1, le=8)

    def boxes(self, size: Size) -> NDArray[np.float64]:
        """The anchors [n, 4] of a model whose picture is `size` (width, height)."""
        octaves = [2 ** (step / self.scales_per_octave) for step in range(self.scales_per_octave)]
        specs = [(octave, ratio) for ratio in self.aspect_ratios for octave in octaves]
        return np.concatenate([self._level(level, specs, size) for level in range(self.min_level, self.max_level + 1)])

    def _level(self, level: int, specs: Specs, size: Size) -> NDArray[np.float64]:
        width, height = size
        stride = 2**level
        base = stride * self.anchor_scale
        return _tiled(
            (math.ceil(height / stride), math.ceil(width / stride)),
            specs,
            (base / height, base / width),
            (stride / height, stride / width),
            (0.5 if height % stride == 0 else 0.0, 0.5 if width % stride == 0 else 0.0),
        )


def _tiled(
    grid: Size, specs: Specs, base: tuple[float, float], step: tuple[float, float], offset: tuple[float, float]
) -> NDArray[np.float64]:
    """One layer's anchors: the boxes of `specs` (scale, width by height) around each cell of a grid of rows, columns.

    `base` is height and width of a box of scale 1, `step` from cell to cell, `offset` that of the first one's centre in
    steps (tile_anchors).
    """
    scales, roots = (np.array([scale for scale, _ in specs]), np.sqrt([ratio for _, ratio in specs]))
    anchors = np.empty((*grid, len(specs), 4))
    anchors[..., 0] = ((np.arange(grid[0]) + offset[0]) * step[0])[:, None, None]
    anchors[..., 1] = ((np.arange(grid[1]) + offset[1]) * step[1])[None, :, None]
    anchors[..., 2] = scales / roots * base[0]
    anchors[..., 3] = scales * roots * base[1]
    return anchors.reshape(-1, 4)
