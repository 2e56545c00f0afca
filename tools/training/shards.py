"""Pictures to learn from, kept on disk so that they can be mapped into memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.anchors import Floats

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Shard:
    """Some pictures, uint8 [n, height, width, 3] RGB, and for each its boxes (see anchors.py)."""

    images: Picture
    boxes: list[Floats]

    @classmethod
    def load(cls, path: Path) -> Shard:
        """Open a shard; its images stay on disk until they are used."""
        flat, counts = np.load(path.with_suffix(".boxes.npy")), np.load(path.with_suffix(".counts.npy"))
        return cls(np.load(path, mmap_mode="r"), np.split(flat, np.cumsum(counts)[:-1]))

    def save(self, path: Path) -> None:
        """Write the shard; the images come last, so that a shard whose images exist is whole."""
        np.save(path.with_suffix(".boxes.npy"), np.concatenate(self.boxes))
        np.save(path.with_suffix(".counts.npy"), np.array([len(boxes) for boxes in self.boxes]))
        part = path.with_suffix(".part.npy")
        np.save(part, self.images)
        part.rename(path)
