"""The status socket: whoever may connect gets one JSON document that says how edgecam is."""

from __future__ import annotations

import json
import selectors
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgecam.errors import DeviceError
from edgecam.health.facts import Facts
from edgecam.health.listening import TURN, ListeningWorker
from edgecam.health.report import Report
from edgecam.ports import Clock

MODE = 0o660
"""The socket's: its owner and its group may ask."""
CLIENTS = 16
"""More at once are sent away."""
CLIENT_TIMEOUT = 5.0
"""Who has not taken the whole answer after so many seconds is sent away."""
FRESH = 0.5
"""An answer is good for so many seconds: many who ask cost no more than one."""
NOTE_EVERY = 5.0
"""Seconds between two looks at how things stand while nobody asks."""
_STALE_TIMEOUT = 1.0


@dataclass(slots=True)
class _Client:
    """What is left to send, and until when."""

    left: memoryview
    ends: float


class StatusServer(ListeningWorker):
    """Answers at a UNIX socket, several at once, and never waits for one of them.

    A socket file that somebody left behind is replaced; one at which somebody answers is not. `gather` is called in
    this thread.
    """

    turn_limit = 300.0  # it asks the disk for its free space, and a disk may take its time

    def __init__(
        self, path: Path, gather: Callable[[], Facts], clock: Clock, on_exit: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__("status", clock, on_exit)
        self.path = path
        self._report = Report(gather, clock)
        self._listener: socket.socket | None = None
        self._inode = 0
        self._clients: dict[socket.socket, _Client] = {}
        self._answer = b""
        self._answer_due = self._note_due = float("-inf")

    def listen(self) -> None:
        try:
            _clear(self.path)
            self._listener = listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.setblocking(False)
            listener.bind(str(self.path))
            self.path.chmod(MODE)  # nobody gets in before: it does not listen yet
            self._inode = self.path.stat().st_ino
            listener.listen(CLIENTS)
        except DeviceError:
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            raise DeviceError(f"the status socket {self.path}: {reason}: see [status] socket") from error

    def serve(self) -> None:
        assert self._listener is not None
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._listener, selectors.EVENT_READ)
            for client in self._clients:
                waiting.register(client, selectors.EVENT_WRITE)
            ready = [key.fileobj for key, _ in waiting.select(TURN)]
        now = self._clock.monotonic()
        if self._listener in ready:
            self._take(now)
        for client in [*self._clients]:
            if client in ready:
                self._send(client)
            elif now >= self._clients[client].ends:
                self._drop(client)
        if now >= self._note_due:
            self._note_due = now + NOTE_EVERY
            self._report.note()

    def close(self) -> None:
        for client in [*self._clients]:
            self._drop(client)
        if self._listener is not None:
            self._listener.close()
            with suppress(OSError):
                if self.path.stat().st_ino == self._inode:
                    self.path.unlink()
        self._listener = None

    def _take(self, now: float) -> None:
        assert self._listener is not None
        with suppress(OSError):  # gone again before it was taken
            client, _ = self._listener.accept()
            if len(self._clients) >= CLIENTS:
                client.close()
                return
            client.setblocking(False)
            self._clients[client] = _Client(memoryview(self._current(now)), now + CLIENT_TIMEOUT)
            self._send(client)

    def _current(self, now: float) -> bytes:
        if now >= self._answer_due:
            self._answer = json.dumps(self._report.document()).encode()
            self._answer_due = now + FRESH
        return self._answer

    def _send(self, client: socket.socket) -> None:
        state = self._clients[client]
        try:
            state.left = state.left[client.send(state.left) :]
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
            return
        if not state.left:
            self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        del self._clients[client]
        with suppress(OSError):
            client.recv(4096)  # what it said and nobody read would take the answer with it
        client.close()


def _clear(path: Path) -> None:
    """Make room for a socket. Raises DeviceError where something else lies there, or somebody answers."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise DeviceError(f"the status socket {path}: another file lies there: see [status] socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.settimeout(_STALE_TIMEOUT)
        try:
            other.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise DeviceError(f"the status socket {path}: another edgecam answers there: see [status] socket")
