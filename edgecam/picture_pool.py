"""Memory for pictures, used again: outside the heap, in which a picture every few milliseconds leaves holes."""

from __future__ import annotations

import math
import mmap
import weakref
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEPT = 4
"""Free buffers of one size that are kept, at most."""
SIZES = 16
"""Sizes of which free buffers are kept, at most: a stream may change its own again and again."""
SMALLEST = 64 * 1024
"""Bytes from which on a picture is worth a buffer; smaller ones come from the heap."""


class _Buffer(mmap.mmap):
    """Memory from the kernel, which gets it back when nobody holds this."""


class PicturePool:
    """Hands out pictures whose memory comes back by itself once nobody holds the picture or a view of it any more.

    What is free beyond KEPT buffers of a size goes back to the kernel at once, which of the heap only its end can. Any
    thread may ask, and let go.
    """

    def __init__(self) -> None:
        self._free: dict[int, deque[_Buffer]] = {}
        self._lent: dict[int, tuple[weakref.ref[NDArray[np.uint8]], _Buffer]] = {}

    def empty(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A new array, uint8, C-contiguous, of undefined content."""
        import numpy as np  # only now: `edgecam doctor` has to say where NumPy is broken

        size = math.prod(shape)
        if size < SMALLEST:
            return np.empty(shape, np.uint8)
        buffer = self._buffer(size)
        # Every view of this array has it as its base: NumPy looks no further where an array's base is no array.
        root = np.frombuffer(buffer, np.uint8)
        key = id(buffer)
        self._lent[key] = weakref.ref(root, lambda _gone: self._take_back(key)), buffer
        return root.reshape(shape)

    def copy(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A new array of the same content."""
        copied = self.empty(picture.shape)
        copied[...] = picture
        return copied

    def _buffer(self, size: int) -> _Buffer:
        try:
            return self._free[size].pop()
        except (KeyError, IndexError):
            return _Buffer(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def _take_back(self, key: int) -> None:
        """Runs when the last view has gone: in any thread, in the midst of whatever it does, so without a lock."""
        _reference, buffer = self._lent.pop(key)
        if len(buffer) not in self._free and len(self._free) >= SIZES:
            self._free.clear()
        self._free.setdefault(len(buffer), deque(maxlen=KEPT)).append(buffer)


PICTURES = PicturePool()
"""The process's own."""


def is_pooled(root: NDArray[np.uint8]) -> bool:
    """Whether an array that is no view of another has its memory from a pool, where nobody else can write."""
    return isinstance(root.base, memoryview) and isinstance(root.base.obj, _Buffer)
