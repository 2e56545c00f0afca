"""What can show a picture: a window, or the monitor itself; one module for each, imported on use."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from edgecam.errors import InputError

#: Back-end -> where its class is.
SCREENS = {
    "window": "edgecam.sinks.window:WindowScreen",
    "drm": "edgecam.sinks.drm:DrmScreen",
}


KEYS = frozenset({"q", "space", "g", "n", "p", "left", "right", *"0123456789"})
"""The keys that a screen with a keyboard tells."""


class Screen(Protocol):
    """Somewhere a picture can be seen. The constructor does no I/O; all else is called from one thread.

    After a SinkError the screen is to be closed; it may be opened again. `close` may be called twice.
    """

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of what there is to show on, now; valid while it is open."""
        ...

    def open(self) -> str:
        """Take the screen; returns what it is, as in "1920x1080 on HDMI-A-1".

        Raises SinkError with a plain reason where that cannot be done now.
        """
        ...

    def show(self, image: NDArray[np.uint8], width: int, height: int) -> None:
        """Show an I420 picture, uint8 [height * 3 // 2, width], as large as it fits, with black bars.

        It is shown until the next one, whatever happens to the window, and whatever becomes of the array. Raises
        SinkError where the screen is lost.
        """
        ...

    def keys(self) -> list[str]:
        """The keys of `KEYS` pressed since the last call; "q" also where the window was closed.

        What concerns the screen alone, "f" for full screen, it has done itself. Raises SinkError as `show` does.
        """
        ...

    def close(self) -> None:
        """Give the screen back as it was found."""
        ...


def create(backend: str = "auto", *, fullscreen: bool = True, connector: str = "") -> Screen:
    """The screen of a back-end: "window", "drm", or "auto": a window where there is a desktop, else the monitor itself.

    `fullscreen` is for windows, `connector` ("HDMI-A-1"; empty: the first with a monitor) for drm. Raises InputError
    for an unknown back-end, and where its library is not installed.
    """
    if backend == "auto":
        backend = "window" if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") else "drm"
    if backend not in SCREENS:
        raise InputError(f"display {backend!r}: give one of auto, {', '.join(SCREENS)}")
    module, _, name = SCREENS[backend].partition(":")
    made = getattr(import_module(module), name)
    return cast("Screen", made(fullscreen=fullscreen) if backend == "window" else made(connector=connector))
