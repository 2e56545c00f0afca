"""Two ways to bring an I420 picture onto a screen: scaled by the display itself, or drawn into the screen's own buffer.

Both raise plain OSErrors.
"""

from __future__ import annotations

from contextlib import suppress
from errno import ETIMEDOUT
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam import mosaic
from edgecam.sinks.drm_card import XRGB8888, YUV420, Buffer, Card, Rect
from edgecam.sinks.drm_library import ModeInfo
from edgecam.yuv import i420_from_planes, planes

Image = NDArray[np.uint8]

FLIP_LIMIT = 1.0
"""A display that has not shown a picture after this, seconds, is lost."""


class Target(NamedTuple):
    """What is drawn on: a CRTC, by number and place in the card's list, a connector and its mode."""

    card: Card
    crtc: int
    crtc_place: int
    connector: int
    mode: ModeInfo

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the screen, pixels."""
        return self.mode.hdisplay, self.mode.vdisplay


def letterbox(size: tuple[int, int], screen: tuple[int, int]) -> Rect:
    """Where a picture of `size` lies on the screen: as large as it fits, centred, on even pixels."""
    return Rect(*mosaic.letterbox(size, screen))


class Scanout(Protocol):
    """One way to show pictures on a target; it has set the target's mode."""

    def show(self, image: Image) -> None:
        """Show an I420 picture; waits for the one before to be on the screen."""

    def close(self) -> None:
        """Free the buffers; the screen is somebody else's to restore."""


class DrawnScanout:
    """Converts to B, G, R, X at the screen's size and flips between two buffers, or redraws one where it cannot flip.

    The driver is told of a redrawn buffer where it wants to know.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._card = target.card
        self._buffers = [self._card.create(target.size, XRGB8888)]
        self._flips = True
        self._flipping = False
        try:
            self._card.set_mode(target.crtc, target.connector, target.mode, self._buffers[0].framebuffer)
            self._buffers.append(self._card.create(target.size, XRGB8888))
        except OSError:
            self.close()
            raise

    def show(self, image: Image) -> None:
        if self._flipping and not self._card.wait_for_flip(FLIP_LIMIT):
            raise OSError(ETIMEDOUT, "the display takes no pictures")
        self._flipping = False
        if self._flips:
            draw(image, self._buffers[1])
            self._flip(self._buffers[1])
            self._buffers.reverse()
        else:
            draw(image, self._buffers[0])
            with suppress(OSError):  # a display that reads its memory all the time has no such call
                self._card.dirty(self._buffers[0])

    def close(self) -> None:
        if self._flipping:
            self._card.wait_for_flip(FLIP_LIMIT)
        for buffer in self._buffers:
            self._card.destroy(buffer)
        self._buffers.clear()

    def _flip(self, back: Buffer) -> None:
        """Show the other buffer; where the driver cannot flip, that one stays, and is redrawn."""
        target = self._target
        try:
            self._card.flip(target.crtc, back.framebuffer)
        except PermissionError:
            raise
        except OSError:
            self._flips = False
            self._card.set_mode(target.crtc, target.connector, target.mode, back.framebuffer)
        else:
            self._flipping = True


class PlaneScanout:
    """Hands the planes Y, U and V to an overlay plane, which the display scales; the screen behind it is black."""

    def __init__(self, target: Target, plane: int) -> None:
        self._target = target
        self._card = target.card
        self._plane = plane
        self._buffers: list[Buffer] = []
        self._background = self._card.create(target.size, XRGB8888)
        try:
            self._card.set_mode(target.crtc, target.connector, target.mode, self._background.framebuffer)
            for name, value in (
                ("COLOR_ENCODING", "ITU-R BT.601 YCbCr"),
                ("COLOR_RANGE", "YCbCr limited range"),
            ):
                self._card.prefer(plane, name, value)
        except OSError:
            self.close()
            raise

    def show(self, image: Image) -> None:
        """The kernel returns when the plane has changed, so the other buffer is free."""
        size = image.shape[1], image.shape[0] * 2 // 3
        if not self._buffers or self._buffers[0].size != size:
            self._free()
            self._buffers = [self._card.create(size, YUV420) for _ in range(2)]
        back = self._buffers[1]
        for target, plane in zip(back.planes, planes(image), strict=True):
            np.copyto(target, plane)
        self._card.set_plane(self._plane, self._target.crtc, back, letterbox(size, self._target.size))
        self._buffers.reverse()

    def close(self) -> None:
        with suppress(OSError):
            self._card.clear_plane(self._plane)
        self._free()
        self._card.destroy(self._background)

    def _free(self) -> None:
        for buffer in self._buffers:
            self._card.destroy(buffer)
        self._buffers = []


def draw(image: Image, buffer: Buffer) -> None:
    """The picture, letterboxed, into a B, G, R, X buffer; the one before may have been of another shape."""
    size = image.shape[1], image.shape[0] * 2 // 3
    rect = letterbox(size, buffer.size)
    if (rect.width, rect.height) != size:
        image = i420_from_planes(planes(image), (rect.width, rect.height))
    pixels, right, lower = buffer.planes[0], rect.x + rect.width, rect.y + rect.height
    for bar in (pixels[: rect.y], pixels[lower:], pixels[rect.y : lower, : rect.x], pixels[rect.y : lower, right:]):
        bar[...] = 0
    area = pixels[rect.y : lower, rect.x : right]
    cv2.cvtColor(image, cv2.COLOR_YUV2BGRA_I420, area)
