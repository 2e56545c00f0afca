"""What is on the display: one camera or all of them, and the picture that is made of their newest frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecam.mosaic import Mosaic
from edgecam.types import AnnotatedFrame

Layout = Literal["grid", "single"]

STALE_AFTER = 5.0
"""Seconds without a frame after which a picture is marked as out of date; a slow camera may take three of its own
intervals."""
LARGEST = 1280 * 720
"""Most pixels of a picture of several cameras: scaling it to the screen costs no more than that of one camera."""

LEAST_PX = 256
"""Least side of such a picture, however small a window is made."""


class Seat:
    """One camera's newest frame. `offer` belongs to that camera's output thread, the rest to the display's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.newest: AnnotatedFrame | None = None
        self.written = 0
        self.shown = 0
        self._arrived = -math.inf
        self._interval = 0.0
        self._counted: AnnotatedFrame | None = None

    def offer(self, annotated: AnnotatedFrame, now: float) -> None:
        """Let this be the frame to be shown next, instead of the one that still waits."""
        self.written += 1
        self._interval = now - self._arrived if self.newest else 0.0
        self._arrived = now
        self.newest = annotated

    def note(self, now: float) -> str:
        """What a viewer should know of the picture; "" while it is up to date."""
        if self.newest is None:
            return "no picture yet"
        silence = now - self._arrived
        return f"no picture for {_told(silence)}" if silence > max(STALE_AFTER, 3 * self._interval) else ""

    def count(self, frame: AnnotatedFrame) -> None:
        """Count a frame that was shown, once."""
        if frame is not self._counted:
            self._counted = frame
            self.shown += 1


class _State(NamedTuple):
    """All that decides how a camera looks; frames compare by identity."""

    frame: AnnotatedFrame | None
    note: str


class View:
    """Chooses among the cameras and makes the picture of those chosen. The display's thread owns it.

    One camera alone is shown by its own frames, as they are; else its last picture, or all cameras, are drawn into a
    mosaic, of which only what has changed is drawn again.
    """

    def __init__(self, cameras: Sequence[str], layout: Layout = "grid", camera: str = "") -> None:
        """`camera` is the one that "single" begins with; "", or one that is not there: the first."""
        self.seats = [Seat(name) for name in cameras]
        self._single = 0
        self._is_grid = False
        self._alone: AnnotatedFrame | None = None
        self._mosaic: tuple[object, Mosaic] | None = None
        self._states: list[_State] = []
        self.arrange(layout, camera)

    def arrange(self, layout: Layout, camera: str) -> None:
        """Show all cameras, or one of them."""
        names = [seat.name for seat in self.seats]
        self._single = names.index(camera) if camera in names else 0
        self._is_grid = layout == "grid" and len(names) > 1

    def obey(self, key: str) -> bool:
        """Choose by a key of the keyboard; False where it is none of these.

        "1" to "9": a camera. "0" and "g": all. "n" and "right": the next one, after the last all; "p" and "left" back.
        """
        cameras = len(self.seats)
        if key in {"0", "g"}:
            self._is_grid = cameras > 1
        elif key.isdecimal() and int(key) <= cameras:
            self._single, self._is_grid = int(key) - 1, False
        elif key in {"n", "right", "p", "left"}:
            place = cameras if self._is_grid else self._single
            place = (place + (1 if key in {"n", "right"} else -1)) % (cameras + (cameras > 1))
            self._is_grid = place == cameras
            self._single = self._single if self._is_grid else place
        else:
            return False
        return True

    @property
    def visible(self) -> list[Seat]:
        """The cameras that are on the display. May be asked from any thread."""
        return self.seats if self._is_grid else [self.seats[self._single]]

    def forget(self) -> None:
        """Whatever was shown is there no more: all is drawn again."""
        self._alone, self._states = None, []

    def compose(self, now: float, screen: tuple[int, int]) -> NDArray[np.uint8] | None:
        """The picture to be shown now, I420, on a screen of (width, height) pixels; None where nothing has changed.

        It is read until the next call.
        """
        seat = self.seats[self._single]
        if not self._is_grid and seat.newest is not None and not seat.note(now):
            return self._by_itself(seat.newest)
        self._alone = None
        size, seats = mosaic_size(screen), self.visible
        form = (size, tuple(seat.name for seat in seats))
        if self._mosaic is None or self._mosaic[0] != form:
            self._mosaic, self._states = (form, Mosaic(size, self._names(seats))), []
        states = [_State(seat.newest, seat.note(now)) for seat in seats]
        before, self._states = self._states, states
        changed = [index for index, state in enumerate(states) if not before or state != before[index]]
        for index in changed:
            frame, note = states[index]
            self._mosaic[1].put(index, frame.image if frame else None, note)
        return self._mosaic[1].image if changed else None

    def count_shown(self) -> None:
        """Count the frames of the picture made last: the screen has taken it."""
        if self._alone is not None:
            self.seats[self._single].count(self._alone)
        else:
            for seat, state in zip(self.visible, self._states, strict=True):
                if state.frame is not None:
                    seat.count(state.frame)

    def _by_itself(self, frame: AnnotatedFrame) -> NDArray[np.uint8] | None:
        if frame is self._alone:
            return None
        self._alone, self._mosaic = frame, None
        return frame.image

    def _names(self, seats: list[Seat]) -> list[str]:
        """The cameras' names, each after the key that shows it alone."""
        if len(self.seats) == 1:
            return [seat.name for seat in seats]
        keys = {id(seat): f"{number}  " for number, seat in enumerate(self.seats[:9], 1)}
        return [f"{keys.get(id(seat), '')}{seat.name}" for seat in seats]


def mosaic_size(screen: tuple[int, int]) -> tuple[int, int]:
    """Width and height in pixels, both even, of a mosaic that has the screen's shape: its size, or less."""
    scale = min(1.0, math.sqrt(LARGEST / (screen[0] * screen[1])))
    return max(LEAST_PX, round(screen[0] * scale) // 2 * 2), max(LEAST_PX, round(screen[1] * scale) // 2 * 2)


def _told(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
