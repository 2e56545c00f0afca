"""One mosquitto for the simulation, to be ended and started again."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from pathlib import Path
from random import randrange
from time import monotonic, sleep

from edgecam.errors import DeviceError, InputError

LIMIT = 60.0
"""Seconds that it may take to start, or to write down what it holds and end."""
_SETTINGS = """\
listener {port} 127.0.0.1
user {user}
allow_anonymous true
persistence true
persistence_location {folder}/
max_queued_messages 1000000
max_inflight_messages 1000
log_dest stderr
log_type error
log_type warning
"""


def program() -> str:
    """Where it is; Debian has it in /usr/sbin, which is not on every user's path. Raises InputError."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise InputError("no MQTT broker on this machine: apt-get install mosquitto")
    return found


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives out: a client that tries it while the broker is
    away can then not happen to be connected to itself."""
    while True:
        port = randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Broker:
    """A broker on 127.0.0.1 at the same port however often it starts, with its memory in `folder`. A context."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The number of its process; 0 while there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it and wait until it takes connections. Raises DeviceError."""
        configuration = self._folder / "mosquitto.conf"
        configuration.write_text(_SETTINGS.format(port=self.port, user=getpass.getuser(), folder=self._folder))
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program(), "-c", configuration], stdout=log, stderr=log)
        ends = monotonic() + LIMIT
        while not self._answers():
            if self._process.poll() is not None or monotonic() > ends:
                raise DeviceError(f"mosquitto does not start: {self.log()}")
            sleep(0.01)

    def stop(self, *, kill: bool = False) -> None:
        """End it, in good order or at once. Does nothing where it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill() if kill else process.terminate()
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise DeviceError(f"mosquitto does not end within {LIMIT:g} s") from error

    def log(self) -> str:
        """All it has said."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop(kill=True)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False
