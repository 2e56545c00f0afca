"""systemd's end of the notify socket, as tests have it: a real datagram socket."""

from __future__ import annotations

import socket
import time
from pathlib import Path


class NotifySocket:
    """What a service tells; `environment` is what systemd would start it with."""

    def __init__(self, folder: Path, watchdog: float | None = None) -> None:
        path = folder / "notify"
        self.environment = {"NOTIFY_SOCKET": str(path)}
        if watchdog is not None:
            self.environment["WATCHDOG_USEC"] = str(round(watchdog * 1e6))
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def listen(self) -> list[str]:
        """All that was told so far."""
        self._socket.setblocking(False)
        while True:
            try:
                self.told.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.told

    def wait_for(self, wanted: str, limit: float = 40.0, after: int = 0) -> int:
        """Wait until something that begins with `wanted` was told, past the first `after`; returns its place."""
        deadline = time.monotonic() + limit
        while True:
            for place, each in enumerate(self.told):
                if place >= after and each.startswith(wanted):
                    return place
            left = deadline - time.monotonic()
            assert left > 0, f"{wanted} was not told within {limit:g} s: {self.told}"
            self._socket.settimeout(left)
            try:
                self.told.append(self._socket.recv(4096).decode())
            except TimeoutError:
                continue

    def close(self) -> None:
        """What was told until now is kept. Safe to call twice."""
        if self._socket.fileno() >= 0:
            self.listen()
            self._socket.close()


def statuses(told: list[str]) -> list[str]:
    """The status lines, in order."""
    return [each.removeprefix("STATUS=") for each in told if each.startswith("STATUS=")]
