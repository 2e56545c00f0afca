"""The process that holds a window for `window.py`: the only place where SDL is loaded, through pygame.

Started as `python -m edgecam.sinks.window_process CHANNEL MEMORY FULLSCREEN`: two descriptors, 0 or 1. It says
{"opened": …, "size": [width, height]}; then each message, {"width": …, "height": …} for a new picture in the memory
or {}, is answered with {"keys": […], "size": …}. Instead of any of these it may say {"failed": …}, its last words. It
ends when the channel does, and, whoever hangs, by an alarm.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.errors import SinkError
from edgecam.sinks.screen import KEYS
from edgecam.yuv import i420_from_planes, planes

ALARM = 15
"""Seconds after which a turn that hangs ends this process, also where its parent has gone."""
NICENESS = 5
"""Whoever captures and detects goes first."""
TITLE = "edgecam"
LARGEST_WINDOW = (1280, 720)
NO_SCREEN = {"dummy", "offscreen"}
"""SDL's drivers that show nothing; it falls back to them where nothing else is there."""

_Size = tuple[int, int]


class SdlWindow:
    """The window. SDL's surface of it is written straight into; no OpenGL, which costs more without a GPU."""

    def __init__(self, pygame: Any, *, fullscreen: bool) -> None:
        self._pygame = pygame
        self._fullscreen = fullscreen
        self._windowed = LARGEST_WINDOW
        self._image: NDArray[np.uint8] | None = None

    def open(self) -> str:
        """Open it; returns what it is. Raises SinkError."""
        display = self._pygame.display
        try:
            display.init()
            display.set_caption(TITLE)
            driver = display.get_driver()
            if driver in NO_SCREEN and os.environ.get("SDL_VIDEODRIVER") != driver:
                raise self._pygame.error("SDL finds no video device")
            desktop: _Size = display.get_desktop_sizes()[0]
            self._windowed = min(LARGEST_WINDOW[0], desktop[0]), min(LARGEST_WINDOW[1], desktop[1])
            self._apply()
        except self._pygame.error as error:
            where = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or "not set"
            raise SinkError(f"no window can be opened: {error} (DISPLAY is {where})") from error
        surface = display.get_surface()
        if surface.get_bitsize() != 32 or surface.get_masks()[0] != 0xFF0000:
            raise SinkError(f"the screen has {surface.get_bitsize()} bits a pixel: set it to 24 or 32")
        return "{}x{} on {}".format(*self.size, driver)

    @property
    def size(self) -> _Size:
        """Its width and height now, pixels."""
        width, height = self._pygame.display.get_surface().get_size()
        return width, height

    def draw(self, image: NDArray[np.uint8]) -> None:
        """Show an I420 picture, which must stay as it is until the next."""
        self._image = image
        with self._translated():
            self._draw()

    def pump(self) -> list[str]:
        """Do what the desktop and the keyboard ask for; returns the keys that are not for the window itself."""
        with self._translated():
            return self._pump()

    def _pump(self) -> list[str]:
        pygame, pressed, redraw = self._pygame, [], False
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                pressed.append("q")
            elif event.type == pygame.KEYDOWN and event.key == pygame.K_f:
                self._toggle()
                redraw = True
            elif event.type == pygame.KEYDOWN:
                # A digit of the keypad is "[1]" by name; where digits need the shift key, only the character says so.
                names = {pygame.key.name(event.key).strip("[]"), event.unicode}
                pressed += names & KEYS
            elif event.type in {pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED}:
                redraw = True
        if redraw:
            self._draw()
        return pressed

    def close(self) -> None:
        """Give it back."""
        self._pygame.display.quit()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._pygame.error as error:
            raise SinkError(f"the window was lost: {error}") from error

    def _toggle(self) -> None:
        """Change between full screen and window by way of a new window: not every desktop lets one change."""
        self._fullscreen = not self._fullscreen
        self._pygame.display.quit()
        self._pygame.display.init()
        self._pygame.display.set_caption(TITLE)
        self._apply()

    def _apply(self) -> None:
        pygame = self._pygame
        if self._fullscreen:
            pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
        else:
            pygame.display.set_mode(self._windowed, pygame.RESIZABLE)
        pygame.mouse.set_visible(not self._fullscreen)

    def _draw(self) -> None:
        surface = self._pygame.display.get_surface()
        size = surface.get_size()
        pixels = np.frombuffer(surface.get_buffer(), np.uint8).reshape(size[1], -1, 4)
        if self._image is not None:
            left, top, width, height = place(picture_size(self._image), size)
            for bar in (pixels[:top], pixels[top + height :], pixels[:, :left], pixels[:, left + width :]):
                bar[...] = 0
            fitted = self._image
            if picture_size(fitted) != (width, height):
                fitted = i420_from_planes(planes(fitted), (width, height))
            inside = pixels[top : top + height, left : left + width]
            cv2.cvtColor(fitted, cv2.COLOR_YUV2BGRA_I420, dst=inside)
            del inside, bar
        del pixels  # SDL must not find its surface locked
        self._pygame.display.flip()


def picture_size(image: NDArray[np.uint8]) -> _Size:
    """Width and height in pixels of an I420 picture."""
    return image.shape[1], image.shape[0] * 2 // 3


def place(picture: _Size, window: _Size) -> tuple[int, int, int, int]:
    """Left, top, width and height in pixels of a picture that is as large as fits, in the middle; its size is even."""
    scale = min(window[0] / picture[0], window[1] / picture[1])
    width, height = (
        min(2 * max(1, round(side * scale / 2)), limit // 2 * 2) for side, limit in zip(picture, window, strict=True)
    )
    return (window[0] - width) // 2, (window[1] - height) // 2, width, height


class Memory:
    """The picture that lies in the shared memory."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._map: mmap.mmap | None = None

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """The I420 picture of this size that is there now."""
        wanted_bytes = width * height * 3 // 2
        if self._map is None or len(self._map) < wanted_bytes:
            self._map = mmap.mmap(self._descriptor, 0, prot=mmap.PROT_READ)
        return np.ndarray((height * 3 // 2, width), np.uint8, self._map)


def serve(channel: socket.socket, memory: Memory, window: SdlWindow) -> None:
    """Answer until the channel ends."""
    while True:
        signal.alarm(0)
        message = channel.recv(4096)
        if not message:
            return
        signal.alarm(ALARM)
        asked = json.loads(message)
        if asked:
            window.draw(memory.picture(asked["width"], asked["height"]))
        channel.send(json.dumps({"keys": window.pump(), "size": window.size}).encode())


def load_pygame() -> Any:
    """Pygame, told to be silent and to leave signals, OpenGL and sound alone. Raises ImportError."""
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    os.environ["SDL_NO_SIGNAL_HANDLERS"] = "1"
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):  # the bare console has nothing but OpenGL
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
    import pygame

    return pygame


def main(channel: socket.socket, memory: Memory, *, fullscreen: bool) -> None:
    """Hold a window for as long as the channel lasts."""
    signal.alarm(2 * ALARM)
    os.nice(NICENESS)
    with suppress(ConnectionError):  # the parent has gone
        try:
            with closing(SdlWindow(load_pygame(), fullscreen=fullscreen)) as window:
                channel.send(json.dumps({"opened": window.open(), "size": window.size}).encode())
                serve(channel, memory, window)
                signal.alarm(ALARM)
        except (SinkError, ImportError) as error:
            channel.send(json.dumps({"failed": str(error)}).encode())


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), Memory(int(sys.argv[2])), fullscreen=sys.argv[3] == "1")
