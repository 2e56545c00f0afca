"""A picture that is made when somebody first looks at it."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from edgecam.picture_pool import PICTURES

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray


class LatePicture:
    """An I420 picture, uint8 [height * 3 // 2, width], that nobody pays for who does not look at it.

    `make` returns a new array of it, and is asked in the thread of the one who looks; what it holds on to goes with the
    first look. `size` is (width, height) in pixels.
    """

    __slots__ = ("_lock", "_make", "_picture", "size")

    def __init__(self, make: Callable[[], NDArray[np.uint8]], size: tuple[int, int]) -> None:
        self.size = size
        self._make: Callable[[], NDArray[np.uint8]] | None = make
        self._picture: NDArray[np.uint8] | None = None
        self._lock = Lock()

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The picture, read-only; made once."""
        with self._lock:
            if self._picture is None:
                assert self._make is not None
                self._picture = self._make()
                self._picture.flags.writeable = False
                self._make = None
            return self._picture

    @property
    def made(self) -> NDArray[np.uint8] | None:
        """`picture` where somebody has looked at it already, None where nobody has. Does not make it."""
        with self._lock:
            return self._picture

    def copy(self) -> NDArray[np.uint8]:
        """The picture as an array of the caller's own, to draw on. Does not count as a look."""
        with self._lock:
            if self._picture is not None:
                return PICTURES.copy(self._picture)
            assert self._make is not None
            return self._make()
