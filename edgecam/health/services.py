"""The threads that look after edgecam's health, together: the watch over the board, the status socket, the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgecam.config import Config
from edgecam.health.asking import service_socket
from edgecam.health.facts import BoardFacts, Facts
from edgecam.health.listening import ListeningWorker
from edgecam.health.server import StatusServer
from edgecam.health.watching import BoardWorker
from edgecam.ports import Clock
from edgecam.worker import Worker


class Health:
    """What the configuration asks for of them. `gather` is asked for the facts, in their threads; `losses` for the
    cameras whose detector is lost or not the one that was asked for, and since when."""

    def __init__(
        self,
        config: Config,
        gather: Callable[[], Facts],
        losses: Callable[[], Mapping[str, float]],
        clock: Clock,
        on_exit: Callable[[], None],
    ) -> None:
        metrics, path = config.metrics, service_socket(config.status.socket)
        self.board = BoardWorker(clock, on_exit, losses=losses)
        self.servers: list[ListeningWorker] = []
        if path is not None:
            self.servers.append(StatusServer(path, gather, clock, on_exit))
        if metrics.enabled:
            from edgecam.health.metrics import MetricsServer

            self.servers.append(MetricsServer(metrics.host, metrics.port, gather, clock, on_exit))

    @property
    def workers(self) -> list[Worker]:
        """All of them, to be started and stopped with the other services."""
        return [self.board, *self.servers]

    @property
    def facts(self) -> BoardFacts:
        """The board, as it was seen last."""
        return self.board.facts

    @property
    def troubles(self) -> list[str]:
        """What keeps them from their work, in words."""
        return [server.trouble for server in self.servers if server.trouble]
