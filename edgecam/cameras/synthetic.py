"""The camera that needs none: rendered scenes, with exact truth."""

from __future__ import annotations

from collections import deque
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecam.cameras.pacing import Pacer, Pacing
from edgecam.clock import SystemClock
from edgecam.errors import CameraError, EndOfStream
from edgecam.ports import Camera, Clock
from edgecam.scenes import Scene, SceneObject
from edgecam.types import Frame
from edgecam.yuv import lores_from_i420, rgb_to_i420

TRUTHS = 512
"""So many frames back the truth is remembered."""


class _Pending(NamedTuple):
    """A frame to be, at its time in the scene."""

    time: float
    main: NDArray[np.uint8]
    lores: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]


class SyntheticCamera(Camera):
    """Films a rendered street or garden.

    A frame's timestamp is the monotonic time of `open` plus the scene's time, at any pace. In real time, where
    rendering is too slow for `fps`, scene time is skipped as a slow camera would: `skipped` counts the frames that
    were never made. Each `open` starts the scene again.
    """

    def __init__(  # noqa: PLR0913  (the keys of its configuration)
        self,
        *,
        lores_size: tuple[int, int],
        seed: int = 1,
        size: tuple[int, int] = (1280, 720),
        fps: float = 25.0,
        pace: Literal["realtime", "fast"] = "realtime",
        duration: float | None = None,
        place: str | None = None,
        light: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Remember what to film.

        Args:
            lores_size: width and height of the small picture, pixels.
            seed: the same seed gives the same pictures.
            size: even width and height of the main picture, pixels.
            fps: frames per second of scene time.
            pace: in real time, or as fast as the pictures are taken.
            duration: seconds of scene time; None: it never ends.
            place: "street" or "garden"; None: the seed decides.
            light: "day", "dusk" or "rain"; None: the seed decides.
            clock: the system's unless told.
        """
        self.lossless = pace == "fast"
        self.skipped = 0
        self._seed, self._size, self._place, self._light = seed, size, place, light
        self._fps, self._duration, self._lores_size = fps, duration, lores_size
        self._pacer = Pacer(clock or SystemClock())
        self._scene: Scene | None = None
        self._pending: _Pending | None = None
        self._moment = 0
        self._sequence = 0
        self._truths: deque[tuple[int, tuple[SceneObject, ...]]] = deque(maxlen=TRUTHS)

    def open(self) -> None:
        width, height = self._size
        self._scene = Scene(self._seed, width=width, height=height, place=self._place, light=self._light)
        self._pending, self._moment = None, 0
        self._pacer.start(Pacing.FREE if self.lossless else Pacing.TIMESTAMPS)

    def close(self) -> None:
        self._scene = self._pending = None

    def read(self, timeout: float) -> Frame | None:
        if self._scene is None:
            raise CameraError("synthetic camera: not open")
        if self._pending is None:
            self._pending = self._rendered(self._scene)
        pending = self._pending
        timestamp = self._pacer.admit(pending.time, timeout)
        if timestamp is None:
            return None
        self._truths.append((self._sequence, pending.objects))
        self._pending = None
        self._sequence += 1
        return Frame(self._sequence - 1, timestamp, pending.main, pending.lores)

    def truth(self, sequence: int) -> tuple[SceneObject, ...]:
        """What was really in a frame. Raises LookupError past the last TRUTHS frames. Any thread may ask."""
        for known, objects in reversed(tuple(self._truths)):
            if known == sequence:
                return objects
        raise LookupError(f"frame {sequence}: only the last {TRUTHS} frames are remembered")

    def _rendered(self, scene: Scene) -> _Pending:
        moment = self._next_moment()
        time = moment / self._fps
        if self._duration is not None and time >= self._duration:
            raise EndOfStream(f"synthetic camera: {self._duration:g} s are over")
        view = scene.render(time)
        self.skipped += moment - self._moment
        self._moment = moment + 1
        main = rgb_to_i420(view.image)
        return _Pending(time, main, lores_from_i420(main, self._lores_size), view.objects)

    def _next_moment(self) -> int:
        """Number of the next frame of the scene: the one after the last, or where that is past, the one of now."""
        now = 0 if self.lossless else int(self._pacer.elapsed() * self._fps)
        return max(now, self._moment)
