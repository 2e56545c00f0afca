"""A window, held by a child process: SDL hangs for ever, or ends its process, when the X server goes."""

from __future__ import annotations

import json
import mmap
import os
import select
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecam.errors import InputError, SinkError

OPEN_TIMEOUT = 20.0
"""Longest time for the child to start and to have its window, seconds: a Pi reads its libraries from an SD card."""
TURN_TIMEOUT = 5.0
"""Longest time to show a picture; a screen that takes longer is lost."""
END_TIMEOUT = 2.0
"""Longest time for the child to end by itself."""
MESSAGE_BYTES = 4096

CHILD = "edgecam.sinks.window_process"


class WindowScreen:
    """A window on whatever SDL finds: X11, Wayland, or the bare console (KMS). One child process to each `open`.

    The picture lies in memory shared with the child, which fits it into the window, converts it and puts it there; the
    one copy made here is a plain one. Closing the window is told by `keys` as `q`; `f` goes to full screen and back.
    """

    def __init__(self, *, fullscreen: bool = True) -> None:
        if find_spec("pygame") is None:
            raise InputError(
                "display: a window needs pygame, which is not installed: pip install 'edgecam[display]'"
                " (on Debian also: apt-get install python3-pygame)"
            )
        self._fullscreen = fullscreen
        self._child: _Child | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the window, pixels. Raises SinkError while it is not open."""
        return self._running().size

    def open(self) -> str:
        if self._child is not None:
            raise SinkError("the window is open already")
        child = self._child = _Child(fullscreen=self._fullscreen)
        return str(child.answer(OPEN_TIMEOUT)["opened"])

    def show(self, image: NDArray[np.uint8], width: int, height: int) -> None:
        child = self._running()
        child.share(image)
        child.say({"width": width, "height": height})

    def keys(self) -> list[str]:
        child = self._running()
        child.say({})
        keys, child.pressed = child.pressed, []
        return keys

    def close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _running(self) -> _Child:
        if self._child is None:
            raise SinkError("the window is not open")
        return self._child


class _Child:
    """The process, the channel to it (messages in JSON, each answered), and the memory shared with it."""

    def __init__(self, *, fullscreen: bool) -> None:
        self.pressed: list[str] = []
        self.size = (1, 1)
        self._room_bytes = 0
        self._resources = ExitStack()
        try:
            with ExitStack() as passed:
                self._spawn(passed, fullscreen=fullscreen)
        except OSError as error:
            self._resources.close()
            raise SinkError(f"the window's process cannot be started: {error.strerror}") from error

    def share(self, image: NDArray[np.uint8]) -> None:
        """Lay a picture into the shared memory."""
        if image.nbytes > self._room_bytes:
            os.ftruncate(self._memory, image.nbytes)
            self._map, self._room_bytes = mmap.mmap(self._memory, image.nbytes), image.nbytes
        np.ndarray(image.shape, np.uint8, self._map)[...] = image

    def say(self, message: dict[str, Any]) -> None:
        """Say something and wait until it is done; keeps the keys pressed. Raises SinkError."""
        with suppress(OSError):  # it has gone: the answer says how
            self._channel.send(json.dumps(message).encode())
        self.pressed += self.answer(TURN_TIMEOUT)["keys"]

    def answer(self, timeout: float) -> dict[str, Any]:
        """What it says next; keeps the size of the window. Raises SinkError where it refuses, hangs or has ended."""
        end = monotonic() + timeout
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        if not poller.poll(max(0.0, end - monotonic()) * 1000):
            raise SinkError(f"the screen does not answer for {timeout:g} s")
        try:
            said = self._channel.recv(MESSAGE_BYTES)
        except ConnectionError:
            said = b""
        if not said:
            raise SinkError(f"the window was lost: {self._end_of_it()}")
        message: dict[str, Any] = json.loads(said)
        if "failed" in message:
            raise SinkError(message["failed"])
        width, height = message["size"]
        self.size = (width, height)
        return message

    def end(self) -> None:
        """Let it close its window and end, kill it where it does not; release everything. Safe to call twice."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._end_of_it()
        self._resources.close()

    def _spawn(self, passed: ExitStack, *, fullscreen: bool) -> None:
        """Start it; what only the child keeps is closed with `passed`."""
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._resources.enter_context(self._channel)
        passed.enter_context(theirs)
        self._memory = os.memfd_create("edgecam-picture")
        self._resources.callback(os.close, self._memory)
        self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter
            [sys.executable, "-m", CHILD, str(theirs.fileno()), str(self._memory), "01"[fullscreen]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), self._memory),
            start_new_session=True,  # Ctrl-C in a terminal is for the parent
        )

    def _end_of_it(self) -> str:
        """Wait for its end, or bring it about; returns how it ended."""
        try:
            code = self._process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # held by a driver: nothing more can be done
                self._process.wait(END_TIMEOUT)
            return "its process hung and was ended"
        if code < 0:
            return f"its process died of signal {-code}"
        return f"its process ended with exit code {code} (has the X server or the compositor gone?)"
