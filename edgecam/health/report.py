"""All that the running edgecam says of itself, for whoever asks at its status socket."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from edgecam.health.facts import BoardFacts, Facts
from edgecam.health.processes import Process, own_processes
from edgecam.health.stats import StatsReport
from edgecam.health.status import StatusDocument, StatusReport
from edgecam.ports import Clock

WINDOW = 10.0
"""What rates are taken over, at least, seconds."""


class Report:
    """Makes the document: `status` and `stats`, as they also go out over MQTT, `storage`, `board` and `process`.

    `gather` is asked for the facts; it waits for nothing.
    """

    def __init__(self, gather: Callable[[], Facts], clock: Clock) -> None:
        self._gather = gather
        self._clock = clock
        self._status = StatusReport(clock)
        self._stats = StatsReport(clock, window=WINDOW)

    def note(self) -> None:
        """Look at how things stand, for what is told of rates and changes. To be called every few seconds."""
        facts = self._gather()
        self._status.document(facts)
        self._stats.note(facts)

    def document(self) -> dict[str, Any]:
        """How everything is now, as JSON has it."""
        facts = self._gather()
        status, stats = self._status.document(facts), self._stats.document(facts)
        return {
            "status": status.model_dump(mode="json"),
            "stats": stats.model_dump(mode="json"),
            "storage": asdict(facts.storage),
            "board": self._board(facts.board, stats.process.temperature_celsius),
            "process": {
                "pid": os.getpid(),
                "started": self._unix(self._clock.monotonic() - stats.process.uptime),
                "uptime": stats.process.uptime,
                "versions": _versions(status),
                "processes": _processes(own_processes()),
            },
        }

    def _board(self, facts: BoardFacts, temperature: float | None) -> dict[str, Any]:
        return {
            "model": facts.board.model,
            "uptime": round(time.clock_gettime(time.CLOCK_BOOTTIME), 1),
            "temperature_celsius": temperature,
            "watched": facts.board.watched,
            "throttled": {word: self._unix(since) for word, since in facts.suffers.items()},
            "throttled_before": list(facts.board.throttled_ever),
            "episodes": dict(facts.episodes),
            "beside_losses": dict(facts.beside),
        }

    def _unix(self, timestamp: float) -> float:
        return round(self._clock.wall(timestamp).timestamp(), 3)


def _versions(status: StatusDocument) -> dict[str, str]:
    """What runs; the runtime's has that of libedgetpu where an Edge TPU is in use."""
    loaded = {"numpy": "numpy", "opencv": "cv2", "av": "av"}
    libraries = {
        name: str(getattr(sys.modules[module], "__version__", ""))
        for name, module in loaded.items()
        if module in sys.modules
    }
    return {**status.version.model_dump(), **libraries, "kernel": platform.release()}


def _processes(found: Sequence[Process]) -> list[dict[str, Any]]:
    return [
        {"pid": each.pid, "name": each.name, "rss_bytes": each.rss_bytes, "cpu": each.cpu, "threads": each.threads}
        for each in found
    ]
