"""The API: events and their files, status, switches, marks and changes; where Frigate has a path, at the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import APIRouter

from edgecam.web.api.answers import ApiRoute
from edgecam.web.api.archive import Archive
from edgecam.web.api.changes import ChangeRoutes, Changes
from edgecam.web.api.events import EventRoutes
from edgecam.web.api.marks import MarkRoutes
from edgecam.web.api.status import StatusRoutes
from edgecam.web.api.switches import CameraRoutes
from edgecam.web.api.vitals import Vitals
from edgecam.web.premises import Premises


def router(premises: Premises) -> APIRouter:
    """All paths of the API. While the server runs, a task of its loop looks every few seconds how things are."""
    vitals = Vitals(premises.facts, premises.clock)
    archive = Archive(premises.config.data_dir)

    @asynccontextmanager
    async def looking(_app: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(vitals.keep_looking())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    made = APIRouter(route_class=ApiRoute, lifespan=looking, tags=["api"])
    # Those with names of their own first: a camera's name may stand where they do.
    StatusRoutes(vitals).add_to(made)
    EventRoutes(archive).add_to(made)
    ChangeRoutes(Changes(archive, lambda: dict(vitals.document()["status"]))).add_to(made)
    CameraRoutes(premises.cameras).add_to(made)
    MarkRoutes(premises).add_to(made)
    return made
