"""What the measured pipeline is fed with, and what notes each frame that comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecam.cameras.pacing import Pacer, Pacing
from edgecam.ports import Camera, Clock, Sink
from edgecam.scenes import Scene
from edgecam.types import AnnotatedFrame, Frame
from edgecam.yuv import lores_from_i420, rgb_to_i420

PICTURES = 16
"""So many pictures are rendered, a thirtieth of a second apart."""
SIZE = (1280, 720)
"""Width and height of the main picture in pixels."""
_SEED, _BEGIN, _STEP = 7, 10.0, 1 / 30


class Picture(NamedTuple):
    """The two pictures of a frame, as in `Frame`."""

    main: NDArray[np.uint8]
    lores: NDArray[np.uint8]


def render(lores_size: tuple[int, int], tick: Callable[[int], None] = lambda _done: None) -> list[Picture]:
    """A street by day with three people, a dog and a bird; `lores_size` is (width, height) in pixels."""
    scene = Scene(_SEED, width=SIZE[0], height=SIZE[1])
    pictures = []
    for number in range(PICTURES):
        main = rgb_to_i420(scene.render(_BEGIN + number * _STEP).image)
        pictures.append(Picture(main, lores_from_i420(main, lores_size)))
        tick(1)
    return pictures


def made_anew(picture: Picture) -> Picture:
    """The picture as a camera without an ISP makes it: a copy, and the small one from it."""
    main = picture.main.copy()
    return Picture(main, lores_from_i420(main, (picture.lores.shape[1], picture.lores.shape[0])))


class FilmCamera(Camera):
    """Shows pictures to and fro without end, so that things move but never jump.

    In real time (at `fps`), or, without an end to its patience, as fast as they are taken (`lossless`). With `fresh`
    each frame costs what a USB camera's does: one copy of the picture, and the small one made from it; `copies` says
    how many copies of a whole picture a frame takes. The first `ahead` frames come at once, to fill a ring.
    `handed_out` is the monotonic time at which `read` returned each frame, by its sequence.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        fps: float,
        clock: Clock,
        *,
        lossless: bool,
        fresh: bool = False,
        ahead: int = 0,
    ) -> None:
        self.lossless = lossless
        self.copies = int(fresh)
        self.ahead = ahead
        self._fresh = fresh
        self.handed_out: list[float] = []
        self._reel = [*pictures, *pictures[-2:0:-1]]
        self._fps = fps
        self._clock = clock
        self._pacer = Pacer(clock)
        self._first = 0

    def open(self) -> None:
        self._first = len(self.handed_out)
        self._pacer.start(Pacing.FREE if self.lossless else Pacing.TIMESTAMPS)

    def read(self, timeout: float) -> Frame | None:
        sequence = len(self.handed_out)
        timestamp = self._pacer.admit(max(0, sequence - self._first - self.ahead) / self._fps, timeout)
        if timestamp is None:
            return None
        picture = self._reel[sequence % len(self._reel)]
        frame = Frame(sequence, timestamp, *(made_anew(picture) if self._fresh else picture))
        self.handed_out.append(self._clock.monotonic())
        return frame


class Note(NamedTuple):
    """A frame that reached the end; `made` and `inference` are its analysis's, None where the detector skipped it.

    `copied`: its picture is not the camera's own.
    """

    sequence: int
    made: float | None
    inference: float
    copied: bool = False


class NotingSink(Sink):
    """Keeps a note of every frame."""

    def __init__(self) -> None:
        self.notes: list[Note] = []

    def write(self, annotated: AnnotatedFrame) -> None:
        analysis = annotated.analysis
        made, inference = (analysis.made, analysis.inference) if analysis else (None, 0.0)
        self.notes.append(Note(annotated.frame.sequence, made, inference, annotated.image is not annotated.frame.main))
