"""Anchors: their shapes, their grid, and which of them answers for which object.

Boxes here are float32 arrays [k, 6]: xmin, ymin, xmax, ymax in fractions of the picture, the label's index, and 1
where the object is difficult (ignored: no anchor there learns anything), else 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecam.errors import InputError

Floats = NDArray[np.float32]

Size = tuple[int, int]  # width, height in pixels
STRIDES = (8, 16, 32)
SHAPES_PER_LEVEL = (3, 4, 3)
LEVEL_EDGES = (26.0, 44.0)  # square root of an object's area in input pixels; above it, the next level
BACKGROUND, IGNORED = -1, -2
#: The shapes of the bundled model, for levels on which there are too few objects to fit any.
USUAL_SHAPES = [
    [(30.32, 18.86), (10.28, 33.46), (15.9, 33.82)],
    [(37.13, 23.83), (44.5, 32.22), (21.48, 40.29), (20.65, 74.81)],
    [(55.13, 43.38), (116.1, 49.24), (36.07, 78.05)],
]


def corners(centers: Floats) -> Floats:
    """Boxes [n, 4] as ycenter, xcenter, height, width turned into xmin, ymin, xmax, ymax."""
    y, x, h, w = centers.T
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1).astype(np.float32)


def iou_with(boxes: Floats, box: Floats) -> Floats:
    """Intersection over union of boxes [n, 4] (corner form) with one box: [n]."""
    sides = np.minimum(boxes[:, 2:4], box[2:4]) - np.maximum(boxes[:, :2], box[:2])
    overlap = np.maximum(sides[:, 0], 0) * np.maximum(sides[:, 1], 0)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.asarray(overlap / (area + (box[2] - box[0]) * (box[3] - box[1]) - overlap + 1e-9), np.float32)


def fit_shapes(boxes: Floats, size: Size, seed: int = 0) -> list[list[tuple[float, float]]]:
    """The (width, height) in input pixels that suit `boxes` best, per level: k-means in log space.

    A level with less than ten objects for each of its shapes gets USUAL_SHAPES. Raises InputError where no object is
    as large as 3 pixels of the input.
    """
    sizes = (boxes[:, 2:4] - boxes[:, :2]) * np.array(size)
    sizes = sizes[(sizes > 3).all(1)]
    if len(sizes) == 0:
        raise InputError(f"no object is as large as 3 px of an input of {size[0]}x{size[1]}: give a larger --input")
    scale = np.sqrt(sizes.prod(1))
    edges = (0.0, *LEVEL_EDGES, np.inf)
    random = np.random.default_rng(seed)
    levels = []
    for usual, low, high in zip(USUAL_SHAPES, edges, edges[1:], strict=False):
        k = len(usual)
        points = np.log(sizes[(scale >= low) & (scale < high)])
        if len(points) < 10 * k:
            levels.append(usual)
            continue
        means = points[random.choice(len(points), k, replace=False)]
        for _ in range(50):
            nearest = ((points[:, None] - means[None]) ** 2).sum(2).argmin(1)
            means = np.array([points[nearest == i].mean(0) if (nearest == i).any() else means[i] for i in range(k)])
        levels.append([(float(w), float(h)) for w, h in np.exp(means[np.argsort(means[:, 1])]).round(2)])
    return levels


def grid_sizes(size: Size) -> list[tuple[int, int]]:
    """Rows and columns of each feature map."""
    width, height = size
    return [(-(-height // stride), -(-width // stride)) for stride in STRIDES]


@dataclass(frozen=True)
class AnchorGrid:
    """All anchors of the network, in the order of its outputs.

    `centers` is [n, 4] ycenter, xcenter, height, width (the order TFLite_Detection_PostProcess wants), `boxes` the
    same in corner form, both in fractions of the picture. `size` is the input's.
    """

    size: Size
    centers: Floats
    boxes: Floats

    @classmethod
    def lay_out(cls, shapes: list[list[tuple[float, float]]], size: Size) -> AnchorGrid:
        """One anchor of each shape (pixels) in each cell of each level, rows first."""
        width, height = size
        grid = np.array(
            [
                ((y + 0.5) / rows, (x + 0.5) / columns, h / height, w / width)
                for (rows, columns), sizes in zip(grid_sizes(size), shapes, strict=True)
                for y in range(rows)
                for x in range(columns)
                for w, h in sizes
            ],
            np.float32,
        )
        return cls(size, grid, corners(grid))

    def assign(self, boxes: Floats) -> tuple[NDArray[np.int32], Floats]:
        """Which label each anchor should give (or BACKGROUND, IGNORED) and the box it should predict.

        Adaptive training sample selection (Zhang et al. 2020, "Bridging the gap between anchor-based and anchor-free
        detection", ATSS): of the anchors around an object's centre on each level, those whose overlap is above the mean
        plus one standard deviation of all candidates' and whose centre is inside the object. Every object
        gets its best anchor in any case.
        """
        labels = np.full(len(self.centers), BACKGROUND, np.int32)
        targets = np.zeros((len(self.centers), 4), np.float32)
        difficult = boxes[:, 5] > 0
        if difficult.any():
            labels[self._centers_inside(boxes[difficult]).any(1)] = IGNORED
        objects = boxes[~difficult]
        if len(objects) == 0:
            return labels, targets
        claim = np.full(len(self.centers), -1.0, np.float32)
        for box, candidates in zip(objects, self._candidates(objects), strict=True):
            scores = iou_with(self.boxes[candidates], box)
            good = self._centers_inside(box[None], candidates)[:, 0] & (scores >= scores.mean() + scores.std())
            best = scores.argmax()
            scores[best], good[best] = 2.0, True
            good &= scores > claim[candidates]
            mine = candidates[good]
            claim[mine], labels[mine], targets[mine] = scores[good], int(box[4]), box[:4]
        return labels, targets

    def _centers_inside(self, boxes: Floats, which: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
        centers = self.centers if which is None else self.centers[which]
        y, x = centers[:, 0, None], centers[:, 1, None]
        inside = (x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3])
        return np.asarray(inside, np.bool_)

    def _candidates(self, objects: Floats) -> NDArray[np.int64]:
        """For each object the anchors of the 3x3 cells around its centre, on every level: [objects, c]."""
        middle = (objects[:, :2] + objects[:, 2:4]) / 2
        near, found, first = np.arange(-1, 2), [], 0
        for (rows, columns), count in zip(grid_sizes(self.size), SHAPES_PER_LEVEL, strict=True):
            y = ((middle[:, 1, None] * rows).astype(int) + near).clip(0, rows - 1)
            x = ((middle[:, 0, None] * columns).astype(int) + near).clip(0, columns - 1)
            cells = (y[:, :, None] * columns + x[:, None, :]).reshape(len(objects), -1, 1)
            found.append((first + cells * count + np.arange(count)).reshape(len(objects), -1))
            first += rows * columns * count
        return np.concatenate(found, 1)
