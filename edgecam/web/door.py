"""The door: connections are counted before anything is done for them, and each has its time to say what it wants."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from edgecam.web.limits import Refusals, neighbourhood
from edgecam.web.proxies import Networks, plain_address

REQUEST_TIMEOUT = 15.0
"""Seconds in which a request must have come as a whole."""
STALL_LIMIT_MS = 30_000
"""A connection ends where the other side takes nothing for so long: the kernel sees to it (TCP_USER_TIMEOUT)."""
SEND_BUFFER_BYTES = 256 * 1024
"""What the kernel keeps of what one connection has not taken; its own choice is up to 4 MB."""
OTHER_CONNECTIONS = 96
"""Connections beside those of the viewers: pages, pictures, programs."""


class Door(socket.socket):
    """A listening socket that turns away more than `limit` connections, and more than half of them of one address.

    Those in `exempt` are not counted by address: a reverse proxy speaks for many.
    """

    limit = OTHER_CONNECTIONS
    exempt = Networks(())
    refusals: Refusals | None = None

    def open(self, address: tuple[Any, ...]) -> None:
        """Bind it. Raises OSError."""
        self._inside: list[tuple[socket.socket, str]] = []
        self.setblocking(False)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if self.family == socket.AF_INET6:
            self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.bind(address)
        self.listen()  # whoever comes before the server does has to wait a moment, and is not refused

    def accept(self) -> tuple[socket.socket, Any]:
        """As of every socket. Raises ConnectionAbortedError, of which asyncio makes nothing, for one turned away."""
        connection, address = super().accept()
        asker = plain_address(str(address[0]))
        self._inside = [each for each in self._inside if each[0].fileno() >= 0]
        key = neighbourhood(asker)
        same = sum(theirs == key for _, theirs in self._inside) if asker not in self.exempt else 0
        if len(self._inside) >= self.limit or same >= self.limit // 2:
            connection.close()
            if self.refusals:
                self.refusals.note("too many connections", asker)
            raise ConnectionAbortedError
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALL_LIMIT_MS)
        self._inside.append((connection, key))
        return connection, address


class Loop(asyncio.SelectorEventLoop):
    """An event loop that gives a TLS handshake no more time than a request."""

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        """As asyncio has it."""
        if options.get("ssl"):
            options["ssl_handshake_timeout"] = REQUEST_TIMEOUT
        return await super().create_server(*args, **options)


class PatientProtocol(H11Protocol):
    """uvicorn's protocol, which ends a connection whose request does not come."""

    def __init__(self, *args: Any, refusals: Refusals, **options: Any) -> None:
        super().__init__(*args, **options)
        self._refusals = refusals
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As asyncio has it."""
        super().connection_made(transport)
        self._begin_to_wait()

    def data_received(self, data: bytes) -> None:
        """As asyncio has it."""
        super().data_received(data)
        became_websocket = self.transport.get_protocol() is not self
        if not became_websocket and self.conn.their_state in {h11.IDLE, h11.SEND_BODY}:
            self._begin_to_wait()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio has it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """As uvicorn has it."""
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """As uvicorn has it: for what is not HTTP."""
        self._refusals.note("what is not HTTP", self._asker)
        super().send_400_response(msg)

    @property
    def _asker(self) -> str:
        return self.client[0] if self.client else "nowhere"

    def _begin_to_wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(REQUEST_TIMEOUT, self._lose_patience)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = None

    def _lose_patience(self) -> None:
        self._patience = None
        self._refusals.note("a request that did not come to its end", self._asker)
        self.transport.abort()
