"""The web server's thread: it listens, serves, and stays out of everybody's way."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from edgecam.config.web import WebSection
from edgecam.errors import ConfigError, DeviceError
from edgecam.health.listening import TURN, ListeningWorker
from edgecam.web.packages import require_packages
from edgecam.web.passwords import password_place
from edgecam.web.premises import Premises
from edgecam.web.tls import Certificate, certificate

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from edgecam.web.auth import Guard
    from edgecam.web.door import Door

log = logging.getLogger(__name__)

GRACE = 1
"""Seconds that requests under way have when the server stops."""
CLOSING = 5.0
"""Seconds after which it is stopped whatever they do."""
HEADER_LIMIT_BYTES = 16 * 1024
"""Most bytes of a request's head."""
MESSAGE_LIMIT_BYTES = 16 * 1024
"""Most bytes of a message from a browser's WebSocket."""
CERTIFICATE_EVERY = 60.0
"""Seconds between two looks at whether the certificate was renewed."""


def check_access(options: WebSection) -> None:
    """Whether the server may run so. Raises ConfigError: without a password it serves this machine alone; what is
    configured of password, certificate and libraries must be there."""
    require_packages("web.enabled: true")
    place = password_place(options)
    if place is None and not options.is_local:
        raise ConfigError(
            f"web.host: {options.host!r}: beyond this machine a password is needed: make one with `edgecam web"
            " password` and name its file in web.password_file"
        )
    if place is not None:
        place.read()
    certificate(options)


class WebWorker(ListeningWorker):
    """Serves the pages and the API. One event loop, in this thread; what waits for the disk is in a few others."""

    turn_limit = 300.0  # the disk may take its time, and nothing else waits for this thread

    def __init__(self, premises: Premises, on_exit: Callable[[], None]) -> None:
        super().__init__("web", premises.clock, on_exit)
        self._premises = premises
        self._loop: asyncio.AbstractEventLoop | None = None
        self._door: Door | None = None
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._certificate: Certificate | None = None
        self._look_due = 0.0

    @property
    def port(self) -> int:
        """The port it listens at; 0 while it does not."""
        return int(self._door.getsockname()[1]) if self._door and self._server and self._server.started else 0

    def wake(self) -> None:
        if (server := self._server) is not None and self.stopping.is_set():
            server.should_exit = True

    def listen(self) -> None:
        from edgecam.web.application import create
        from edgecam.web.auth import Guard
        from edgecam.web.door import Loop

        options = self._premises.config.web
        guard = Guard.of(self._premises)
        try:
            self._certificate = certificate(options)
        except ConfigError as error:
            raise DeviceError(str(error)) from error
        self._door = _door(options, guard)
        self._loop = Loop()
        self._server = _server(create(self._premises, guard), guard, self._certificate)
        self._serving = self._loop.create_task(self._server.serve(sockets=[self._door]))
        log.info("web: %s", options.url)
        if not (options.is_local or options.cert_file or options.trusted_proxies):
            log.warning("web: the password and the pictures go over the network in the clear: set [web] cert_file")

    def serve(self) -> None:
        assert self._loop is not None
        assert self._serving is not None
        with suppress(SystemExit):  # how uvicorn ends where the application cannot begin; its task is done then
            self._loop.run_until_complete(asyncio.wait([self._serving], timeout=TURN))
        now = self._clock.monotonic()
        if self._serving.done():
            if not self.stopping.is_set():
                self._begin_again(now)
            return
        if self._certificate is not None and now >= self._look_due:
            self._look_due = now + CERTIFICATE_EVERY
            self._certificate.renew()

    def close(self) -> None:
        loop, door, self._loop, self._door = self._loop, self._door, None, None
        if loop is not None:
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # those who look on are cut off: no news
            loop.run_until_complete(self._finish())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
        if door is not None:
            door.close()
        self._server = self._serving = None

    async def _finish(self) -> None:
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await asyncio.wait([self._serving], timeout=CLOSING)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CLOSING)

    def _begin_again(self, now: float) -> None:
        """The server ended by itself, for whatever reason: have it made anew."""
        assert self._serving is not None
        error = None if self._serving.cancelled() else self._serving.exception()
        self.trouble = f"the web server ended: {error or 'for no known reason'}: it is started again"
        log.error("%s", self.trouble)
        self._listening = False
        self._backoff.failed(now)
        self.close()


def _door(options: WebSection, guard: Guard) -> Door:
    """The listening socket. Raises DeviceError."""
    from edgecam.web.door import OTHER_CONNECTIONS, Door
    from edgecam.web.proxies import Networks

    door = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0]
        door = Door(family, kind, protocol)
        door.limit = OTHER_CONNECTIONS + options.max_viewers
        door.exempt = Networks(options.trusted_proxies)
        door.refusals = guard.refusals
        door.open(address)
    except OSError as error:
        if door is not None:
            door.close()
        place, reason = f"{options.host}:{options.port}", error.strerror or str(error)
        raise DeviceError(f"the web server at {place}: {reason}: see [web] host and port") from error
    return door


def _server(app: FastAPI, guard: Guard, shown: Certificate | None) -> uvicorn.Server:
    import uvicorn

    from edgecam.web.door import PatientProtocol

    config = uvicorn.Config(
        app,
        http=cast("Any", partial(PatientProtocol, refusals=guard.refusals)),
        ws="websockets-sansio",
        ws_max_size=MESSAGE_LIMIT_BYTES,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=HEADER_LIMIT_BYTES,
    )
    config.load()
    config.ssl = shown.context if shown else None
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what clients do wrong is told by the guard
    return uvicorn.Server(config)
