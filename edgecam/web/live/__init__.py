"""Live pictures: the recorder's own video over a WebSocket, JPEGs for everything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter

from edgecam.web.live.still import StillRoutes
from edgecam.web.live.video import VideoRoutes
from edgecam.web.live.viewers import Viewers
from edgecam.web.premises import Premises


def router(premises: Premises) -> APIRouter:
    """All paths of the live pictures. /api/CAMERA is among them: what has a name of its own there comes before it."""
    viewers = Viewers(premises.config.web.max_viewers)
    # One thread: JPEGs take no more than one core, however many look.
    thread = ThreadPoolExecutor(1, "web-pictures")

    @asynccontextmanager
    async def lending(_app: Any) -> AsyncIterator[None]:
        try:
            yield
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    made = APIRouter(tags=["live"], lifespan=lending)
    StillRoutes(premises.cameras, viewers, thread).add_to(made)
    VideoRoutes(premises.cameras, viewers).add_to(made)
    return made
