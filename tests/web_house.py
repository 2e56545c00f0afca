"""A web server with nothing behind it, for tests: started in a thread, asked by real connections."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from mqtt_broker import free_port

from edgecam.clock import SystemClock
from edgecam.config import Config
from edgecam.health.facts import Facts, MqttFacts
from edgecam.ports import Clock
from edgecam.web.premises import Premises
from edgecam.web.server import WebWorker

PASSWORD = "correct horse"  # noqa: S105
LIMIT = 30.0
"""Longest wait, in seconds, for anything that must happen."""


def with_password(folder: Path, password: str = PASSWORD) -> str:
    """Write the hash of a password, a cheap one, and return its file."""
    file = folder / "password"
    file.write_text(PasswordHasher(1, 8, 1).hash(password))
    return str(file)


def made_premises(folder: Path, clock: Clock | None = None, **web: Any) -> Premises:
    """Premises without cameras, on a free port, with these keys of [web]."""
    settings = {"enabled": True, "port": free_port(), **web}
    config = Config.model_validate({"data_dir": folder, "web": settings})
    return Premises(config, None, {}, lambda: Facts({}, MqttFacts(), folder), clock or SystemClock(), None)


@dataclass(frozen=True)
class House:
    """A server that runs."""

    worker: WebWorker
    port: int

    def client(self, **options: Any) -> httpx.Client:
        """A program or a browser."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=LIMIT, trust_env=False, **options)

    def ask(self, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        """One request of its own."""
        with self.client() as client:
            return client.request(method, path, **options)

    @contextlib.contextmanager
    def logged_in(self) -> Iterator[httpx.Client]:
        """A browser of somebody who knows the password."""
        with self.client() as client:
            client.post("/login", json={"password": PASSWORD}).raise_for_status()
            yield client

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        """A bare connection, from one of this machine's own addresses."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT, source_address=(source, 0))

    def send(self, text: str) -> bytes:
        """All that is answered to this text, until the server closes."""
        with self.connect() as connection:
            connection.sendall(text.encode("latin-1"))
            return b"".join(iter(lambda: connection.recv(65536), b""))


@contextlib.contextmanager
def running(premises: Premises) -> Iterator[House]:
    """The server of these premises, listening; stopped at the end."""
    worker = WebWorker(premises, lambda: None)
    worker.start()
    try:
        assert worker.ready.wait(LIMIT)
        while not worker.port and not worker.stopping.wait(0.02):
            assert worker.is_alive(), worker.fault
        yield House(worker, worker.port)
    finally:
        stuck = worker.stop_within(LIMIT)
    assert stuck is None
    assert worker.fault is None


def cookie_of(client: httpx.Client) -> Mapping[str, str]:
    """The Cookie header of a browser, for connections of other libraries."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
