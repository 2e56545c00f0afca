"""The paths that say how edgecam is and was."""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from pydantic import Field

from edgecam import __version__
from edgecam.health.stats import StatsDocument
from edgecam.health.status import Document, StatusDocument
from edgecam.web.api.answers import refusals
from edgecam.web.api.frigate import FrigateStats, frigate_stats
from edgecam.web.api.history import HOURS, HistoryAnswer
from edgecam.web.api.vitals import Vitals


class StatusAnswer(Document):
    """What `edgecam status --json` prints."""

    status: StatusDocument
    stats: StatsDocument
    storage: dict[str, Any] = Field(description="The same as stats.storage.")
    board: dict[str, Any] = Field(description="The board: model, uptime, temperature, and what it suffers.")
    process: dict[str, Any] = Field(description="edgecam's processes, and what runs in which version.")


class StatusRoutes:
    """The paths /api/version, /api/status, /api/stats and /api/history."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals

    def add_to(self, router: APIRouter) -> None:
        """Add the paths."""
        router.get("/api/version", response_class=PlainTextResponse)(self.version)
        router.get("/api/status", responses=refusals())(self.status)
        router.get("/api/stats", responses=refusals())(self.stats)
        router.get("/api/history", responses=refusals())(self.history)

    async def version(self) -> str:
        """edgecam's version, as plain text."""
        return __version__

    def status(self) -> StatusAnswer:
        """How edgecam is: what `edgecam status --json` prints."""
        return StatusAnswer(**self._vitals.document())

    def stats(self) -> FrigateStats:
        """Rates and latencies in Frigate's shape, and edgecam's own."""
        document = self._vitals.document()
        status, stats = StatusDocument(**document["status"]), StatsDocument(**document["stats"])
        return frigate_stats(status, stats, os.getpid())

    def history(
        self,
        hours: Annotated[
            float, Query(gt=0, le=HOURS, allow_inf_nan=False, description="How far back; beyond one hour coarsely.")
        ] = 1.0,
    ) -> HistoryAnswer:
        """How rates, latencies, temperature and losses were since edgecam started."""
        return self._vitals.history.answer(hours)
