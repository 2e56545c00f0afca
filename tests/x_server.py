"""A real X server without a monitor (Xvfb): its pixels are read from its own frame buffer, its keyboard is pressed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

SIZE = (1920, 1080)
KEY_CODES = {
    "q": 24, "f": 41, "space": 65, "1": 10, "2": 11, "9": 18, "0": 19, "g": 42, "n": 57, "p": 33,
    "left": 113, "right": 114, "keypad 2": 88,
}  # fmt: skip
"""Of the keyboard that every X server without another has: the PC's, US layout."""

_KEY_PRESS, _KEY_RELEASE = 2, 3


class XServer:
    """One Xvfb with a display number of its own; `screen` are its pixels as they are now, RGB [h, w, 3]."""

    def __init__(self, folder: Path, display: str = "") -> None:
        if shutil.which("Xvfb") is None:
            pytest.skip("no X server to test on: apt-get install xvfb")
        folder.mkdir(exist_ok=True)
        reading, writing = os.pipe()
        screen = ("-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-fbdir", str(folder), "-nolisten", "tcp", "-noreset")
        command = ["Xvfb", *([display] if display else []), "-displayfd", str(writing), *screen]
        with os.fdopen(reading) as numbers:
            self.process = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
            os.close(writing)
            number = numbers.readline().strip()
        assert number, "Xvfb did not start"
        self.display = f":{number}"
        self._buffer = folder / "Xvfb_screen0"

    @property
    def screen(self) -> NDArray[np.uint8]:
        # The file is an X window dump (XWDFile.h): a header of big-endian words, a colour map, the pixels.
        data = self._buffer.read_bytes()
        header = struct.unpack_from(">20I", data)
        line_bytes, start = header[12], header[0] + 12 * header[19]
        pixels = np.frombuffer(data, np.uint8, line_bytes * SIZE[1], start).reshape(SIZE[1], -1, 4)
        return pixels[:, : SIZE[0], 2::-1]

    def press(self, key: str) -> None:
        """Press and release a key, as the keyboard would (the XTEST extension's FakeInput)."""
        with closing(socket.socket(socket.AF_UNIX)) as wire:
            wire.connect(f"/tmp/.X11-unix/X{self.display[1:]}")  # noqa: S108 (where every X server listens)
            wire.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
            greeting = _exactly(wire, 8)
            assert greeting[0] == 1, "the X server refused us"
            _exactly(wire, 4 * struct.unpack_from("<H", greeting, 6)[0])
            wire.sendall(struct.pack("<BxHHxx8s", 98, 4, 5, b"XTEST\0\0\0"))
            opcode = _exactly(wire, 32)[9]
            for kind in (_KEY_PRESS, _KEY_RELEASE):
                wire.sendall(struct.pack("<BBHBBxxII8xHHxxxxxxxx", opcode, 2, 9, kind, KEY_CODES[key], 0, 0, 0, 0))
            wire.sendall(struct.pack("<BxH", 43, 1))  # GetInputFocus: its answer says that all was taken
            _exactly(wire, 32)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it not answer."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, as when a user logs out; whoever has a window there loses it."""
        self.process.terminate()
        self.process.wait(30)


def _exactly(wire: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = wire.recv(count - len(data))
        assert part, "the X server hung up"
        data += part
    return data
