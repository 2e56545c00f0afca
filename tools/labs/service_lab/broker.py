"""The container's mosquitto: with a password, at a port that nobody else on the machine has; and who listens there."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from service_lab.container import Container, Disk

USER = "edgecam"
PASSWORD = "canary-7f3b9d41e6"  # noqa: S105 -- made up, to be looked for where it must not be
_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous false
password_file /etc/mosquitto/lab-passwords
"""


def free_port() -> int:
    """A TCP port that is free now: the container shares the machine's network."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def set_up(disk: Disk, port: int) -> None:
    """Have mosquitto listen there once the container boots."""
    disk.write("/etc/mosquitto/conf.d/lab.conf", _CONFIGURATION.format(port=port))
    passwords = "/etc/mosquitto/lab-passwords"
    disk.write(passwords, f"{USER}:{PASSWORD}\n", 0o644)
    subprocess.run(["chroot", str(disk.root), "mosquitto_passwd", "-U", passwords], check=True, capture_output=True)


class Listener:
    """A subscriber with a session that the broker keeps: what is sent while it is away comes later."""

    def __init__(self, container: Container, port: int, notes: Path) -> None:
        self._container = container
        self._port = port
        self._notes = notes

    @contextlib.contextmanager
    def listening(self) -> Iterator[Listener]:
        """Take notes meanwhile."""
        login = f"-h 127.0.0.1 -p {self._port} -u {USER} -P {PASSWORD} -i lab -c -q 1"
        topics = "-t edgecam/events -t edgecam/available -t edgecam/status"
        with self._notes.open("ab") as notes:
            process = subprocess.Popen(
                self._container.inside(f"exec mosquitto_sub {login} -F '%U %t %p' {topics}"),
                stdin=subprocess.DEVNULL, stdout=notes, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                yield self
            finally:
                process.terminate()
                process.wait(10)

    def messages(self, topic: str = "edgecam/events") -> list[dict[str, Any]]:
        """The JSON payloads of a topic, in the order in which they came, with `at`: the time of receipt."""
        found = []
        for line in self._notes.read_text(errors="replace").splitlines():
            at, _, rest = line.partition(" ")
            heard, _, payload = rest.partition(" ")
            if heard == topic and payload.startswith("{"):
                found.append(json.loads(payload) | {"at": float(at)})
        return found

    def kinds(self) -> dict[str, set[str]]:
        """For each event's id the kinds of message that came: new, update, end."""
        kinds: dict[str, set[str]] = {}
        for message in self.messages():
            about = message.get("after") or message.get("before") or {}
            kinds.setdefault(str(about.get("id")), set()).add(str(message.get("type")))
        return kinds
