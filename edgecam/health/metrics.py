"""The metrics: an HTTP server at which Prometheus asks. Nothing is counted for it: it is told what is known anyway."""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from edgecam.errors import DeviceError
from edgecam.health.facts import Facts
from edgecam.health.listening import TURN, ListeningWorker
from edgecam.health.processes import own_processes
from edgecam.health.status import StatusReport
from edgecam.ports import Clock

if TYPE_CHECKING:
    from prometheus_client.core import Metric

log = logging.getLogger(__name__)

REQUESTS = 4
"""More at once are sent away."""
REQUEST_TIMEOUT = 5.0
"""Longest wait, in seconds, for more of a request."""


class FactsCollector:
    """What prometheus-client asks at each scrape."""

    def __init__(self, gather: Callable[[], Facts], clock: Clock) -> None:
        self._gather = gather
        self._clock = clock
        self._started = clock.monotonic()

    def collect(self) -> Iterator[Metric]:
        """All figures, as they are now."""
        from edgecam.health.figures import figures

        facts = self._gather()
        status = StatusReport(self._clock).document(facts)
        yield from figures(facts, status, own_processes(), self._clock.monotonic() - self._started)

    def describe(self) -> Iterator[Metric]:
        """Nothing ahead: the names come with the figures."""
        yield from ()


class MetricsServer(ListeningWorker):
    """Serves the figures over HTTP, each request in a thread of its own. `gather` is called in those threads."""

    def __init__(
        self,
        host: str,
        port: int,
        gather: Callable[[], Facts],
        clock: Clock,
        on_exit: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__("metrics", clock, on_exit)
        self._address = (host, port)
        self._collector = FactsCollector(gather, clock)
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """The port it listens at; 0 while it does not."""
        return int(self._server.server_address[1]) if self._server else 0

    def listen(self) -> None:
        from prometheus_client import CollectorRegistry, make_wsgi_app

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self._collector)
        try:
            self._server = _Server(self._address)
        except (OSError, OverflowError) as error:
            host, port = self._address
            reason = getattr(error, "strerror", None) or str(error)
            raise DeviceError(f"the metrics at {host}:{port}: {reason}: see [metrics] host and port") from error
        self._server.set_app(make_wsgi_app(registry))

    def serve(self) -> None:
        assert self._server is not None
        self._server.handle_request()

    def close(self) -> None:
        if self._server is not None:
            self._server.server_close()
        self._server = None


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name that it has there)
        log.debug(format, *args)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A server that asks no name service, and does no more at once than it should."""

    daemon_threads = True
    block_on_close = False
    timeout = TURN

    def __init__(self, address: tuple[str, int]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._room = threading.BoundedSemaphore(REQUESTS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("metrics: a request failed", exc_info=True)
