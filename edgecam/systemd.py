"""The talk with systemd: what a service of Type=notify tells it, as sd_notify(3) has it."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from contextlib import suppress

log = logging.getLogger(__name__)


class Notifier:
    """Tells systemd how the service is; nobody is told where systemd did not start it. Never waits, never raises.

    `watchdog` is how many seconds systemd goes without a `pet` before it ends the service; None where it does not.
    systemd speaks a datagram to a socket it names in the environment: nothing of its libraries is needed for that.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ, pid: int | None = None) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog = _watchdog(environment, os.getpid() if pid is None else pid) if address else None
        self._socket: socket.socket | None = None

    @property
    def listening(self) -> bool:
        """Whether systemd wants to know."""
        return bool(self._address)

    def ready(self) -> None:
        """It runs, or runs again after `reloading`."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """It reads its configuration again; `ready` ends that."""
        self._tell("RELOADING=1")

    def stopping(self) -> None:
        """It comes to its end; from here on systemd's limit for stopping counts, and the watchdog no more."""
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for people."""
        self._tell("STATUS=" + " ".join(text.split()))

    def pet(self) -> None:
        """It is alive."""
        self._tell("WATCHDOG=1")

    def bite(self) -> None:
        """It hangs: have systemd do at once what it does when the watchdog was not petted in time."""
        self._tell("WATCHDOG=trigger")

    def extend(self, seconds: float) -> None:
        """It needs so long, from now, until it is heard of again; while it starts or stops."""
        self._tell(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def close(self) -> None:
        """Let go of the socket. Safe to call twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError as error:  # systemd is busy, or restarts itself: the next one counts
            log.debug("systemd was not told %s: %s", message, error)


def _watchdog(environment: Mapping[str, str], pid: int) -> float | None:
    """sd_watchdog_enabled(3): the limit, unless it is another process's."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    with suppress(KeyError, ValueError):
        limit = int(environment["WATCHDOG_USEC"])
        return limit / 1e6 if limit > 0 else None
    return None
