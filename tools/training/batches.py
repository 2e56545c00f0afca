"""Training batches: shuffled, distorted as cameras and codecs do, and matched to the anchors."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from training.anchors import AnchorGrid, Floats, Size
from training.shards import Picture, Shard

Batch = tuple[Picture, NDArray[np.int32], Floats]
AHEAD = 6  # batches prepared in advance


def zoom(image: Picture, boxes: Floats, out: Size, random: np.random.Generator) -> tuple[Picture, Floats]:
    """Cut a random window out of the picture (or put a border around it) and bring it to the size `out`.

    What the cut leaves less than half of becomes difficult, less than a tenth disappears.
    """
    rows, columns = image.shape[:2]
    factor = np.exp(random.uniform(-0.22, 0.22)) * np.exp(random.uniform(-0.08, 0.08, 2))
    if random.random() < 0.3:
        factor = np.ones(2)
    size = np.maximum(1, np.round(np.array([columns, rows]) / factor)).astype(int)
    left, top = (int(random.integers(min(0, free), max(0, free) + 1)) for free in (columns - size[0], rows - size[1]))
    border = cv2.BORDER_REPLICATE if random.random() < 0.5 else cv2.BORDER_CONSTANT
    pad = max(0, -top), max(0, top + size[1] - rows), max(0, -left), max(0, left + size[0] - columns)
    padded = cv2.copyMakeBorder(image, *pad, border, value=(114, 114, 114)) if any(pad) else image
    window = padded[top + pad[0] : top + pad[0] + size[1], left + pad[2] : left + pad[2] + size[0]]
    how = cv2.INTER_AREA if random.random() < 0.5 else cv2.INTER_LINEAR
    moved = boxes.copy()
    for axis, (shift, whole) in enumerate(((left, columns), (top, rows))):
        moved[:, axis:4:2] = (boxes[:, axis:4:2] * whole - shift) / size[axis]
    area = np.maximum(1e-9, (moved[:, 2:4] - moved[:, :2]).prod(1))
    moved[:, :4] = moved[:, :4].clip(0, 1)
    left_over = (moved[:, 2:4] - moved[:, :2]).prod(1) / area
    moved[left_over < 0.5, 5] = 1
    return np.asarray(cv2.resize(window, out, interpolation=how), np.uint8), moved[left_over > 0.1]


def recolor(image: Picture, random: np.random.Generator) -> Picture:
    """Other brightness, contrast and white balance; sometimes blur, noise and compression."""
    ramp = np.arange(256, dtype=np.float32)[:, None]
    gain = random.uniform(0.75, 1.3) * random.uniform(0.93, 1.07, 3)
    table = ((ramp - 128) * gain + 128 + random.uniform(-25, 25)).clip(0, 255).astype(np.uint8)
    if random.random() < 0.8:
        image = np.asarray(cv2.LUT(image, table[None]), np.uint8)
    if random.random() < 0.15:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, 0.8)), np.uint8)
    if random.random() < 0.25:
        noise = random.standard_normal(image.shape[:2], np.float32) * random.uniform(1, 7)
        image = np.asarray(cv2.add(image, cv2.merge([noise] * 3), dtype=cv2.CV_8U), np.uint8)
    if random.random() < 0.35:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(35, 95))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR), np.uint8)
    return image


def distort(image: Picture, boxes: Floats, out: Size, random: np.random.Generator) -> tuple[Picture, Floats]:
    """One random variant of a picture and its boxes, at the size `out`."""
    image, boxes = zoom(image, boxes, out, random)
    if random.random() < 0.5:
        image, boxes = np.asarray(cv2.flip(image, 1), np.uint8), boxes.copy()
        boxes[:, [0, 2]] = 1 - boxes[:, [2, 0]]
    return recolor(image, random), boxes


class Batches:
    """An endless supply of batches (images uint8, anchors' labels, anchors' boxes), prepared on a thread."""

    def __init__(self, shards: list[Shard], grid: AnchorGrid, size: int, seed: int) -> None:
        self._shards = shards
        self._grid = grid
        self._size = size
        self._random = np.random.default_rng(seed)
        self._ready: queue.Queue[Batch] = queue.Queue(AHEAD)
        self._worker = threading.Thread(target=self._fill, daemon=True)

    def __iter__(self) -> Iterator[Batch]:
        if not self._worker.is_alive():
            self._worker.start()
        while True:
            yield self._ready.get(timeout=60)

    def pictures(self) -> Iterator[tuple[Picture, Floats]]:
        """Distorted pictures, every picture once before any comes again."""
        index = [(s, k) for s, shard in enumerate(self._shards) for k in range(len(shard.boxes))]
        while True:
            for position in self._random.permutation(len(index)):
                shard, k = index[position]
                yield distort(
                    self._shards[shard].images[k], self._shards[shard].boxes[k], self._grid.size, self._random
                )

    def _fill(self) -> None:
        pictures = self.pictures()
        while True:
            some = [next(pictures) for _ in range(self._size)]
            matched = [self._grid.assign(boxes) for _, boxes in some]
            images = np.stack([image for image, _ in some])
            self._ready.put((images, np.stack([m[0] for m in matched]), np.stack([m[1] for m in matched])))
