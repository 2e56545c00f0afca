"""A detector that looks at the main picture: in tiles, for small objects, or with its shape kept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from edgecam import models
from edgecam.labels import Labels
from edgecam.models import Model
from edgecam.ports import Detector
from edgecam.tiling import Tile, Tiling, merged
from edgecam.types import Detection, DetectorInfo, Frame, Inference
from edgecam.yuv import i420_to_rgb


@dataclass(slots=True)
class _Job:
    """A picture under way: its tiles, what was found in the first of them, and the seconds that took."""

    tiles: list[Tile]
    found: list[list[Detection]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def done(self) -> bool:
        return len(self.found) == len(self.tiles)


class TiledDetector(Detector):
    """Hands each tile of a picture to another detector, and merges what that finds.

    Of a frame it looks at the main picture, at the size at which a tile has that of the model's input; with
    `keep_shape` (for a letterbox model) its shape is kept. The next picture is taken as soon as the detector has room
    beside the last tiles of the one before, so that an Edge TPU is never idle.
    """

    def __init__(self, detector: Detector, tiling: Tiling, *, keep_shape: bool = False) -> None:
        self._detector = detector
        self._tiling = tiling
        self._keep_shape = keep_shape
        self._jobs: deque[_Job] = deque()
        self._waiting: deque[NDArray[np.uint8]] = deque()
        self._under_way = 0

    def open(self) -> None:
        self._forget()
        self._detector.open()

    def close(self) -> None:
        self._forget()
        self._detector.close()

    @property
    def info(self) -> DetectorInfo:
        return self._detector.info

    @property
    def labels(self) -> Labels | None:
        """The names of the model's classes, None where the detector does not say them; valid after `open`."""
        found = getattr(self._detector, "labels", None)
        return found if isinstance(found, Labels) else None

    @property
    def slots(self) -> int:
        """One more than are under way, where the detector has room and no tile waits for it; else none."""
        room = not self._waiting and self._under_way < self._detector.slots
        return len(self._jobs) + int(room)

    def picture_of(self, frame: Frame) -> NDArray[np.uint8]:
        """See `Detector.picture_of`: the main picture, as large as the tiles need it."""
        size, tile = (frame.width, frame.height), self._detector.info.input_size
        return i420_to_rgb(frame.main, self._tiling.picture_size(size, tile, keep_shape=self._keep_shape))

    def turn(self, timeout: float) -> bool:
        return self._detector.turn(timeout)

    def submit(self, image: NDArray[np.uint8]) -> None:
        job = _Job(self._tiling.tiles(image.shape[1], image.shape[0]))
        self._jobs.append(job)
        self._waiting.extend(tile.of(image) for tile in job.tiles)
        self._hand_in()

    def collect(self, timeout: float) -> Inference | None:
        limit = monotonic() + timeout
        while True:
            self._hand_in()
            done = self._detector.collect(max(0.0, limit - monotonic()))
            if done is None:
                return None
            self._under_way -= 1
            job = self._jobs[0]  # tiles come back in the order in which they went in
            job.found.append(done.detections)
            job.seconds += done.seconds
            if job.done:
                self._jobs.popleft()
                return Inference(merged(job.found, job.tiles), job.seconds)
            if monotonic() >= limit:
                return None

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """See `Detector.detect`; nothing else may be under way."""
        tiles = self._tiling.tiles(image.shape[1], image.shape[0])
        return merged([self._detector.detect(tile.of(image)) for tile in tiles], tiles)

    def _hand_in(self) -> None:
        """Hand in the tiles that the detector has room, and a turn, for."""
        while self._waiting and self._under_way < self._detector.slots and self._detector.turn(0.0):
            self._detector.submit(self._waiting.popleft())
            self._under_way += 1

    def _forget(self) -> None:
        self._jobs.clear()
        self._waiting.clear()
        self._under_way = 0


def suited(detector: Detector, model: Model, tiling: Tiling | None = None) -> Detector:
    """The detector as this model and `tiling` want it: itself where the small picture of a frame, stretched, will do.

    Raises ModelError where the model is none that edgecam reads.
    """
    keep_shape = models.form_of(models.load(model.path)).resize == "letterbox"
    if tiling is None and not keep_shape:
        return detector
    return TiledDetector(detector, tiling or Tiling(1, 1), keep_shape=keep_shape)
