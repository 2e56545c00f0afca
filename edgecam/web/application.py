"""The web application: the parts' routes behind the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from edgecam import __version__
from edgecam.errors import DeviceError, EdgecamError
from edgecam.web import api, live, login, pages
from edgecam.web.auth import Guard
from edgecam.web.gate import Gate
from edgecam.web.headers import StrictHeaders
from edgecam.web.limits import BodyLimit
from edgecam.web.premises import Premises
from edgecam.web.proxies import Approach

THREADS = 8
"""Requests that read the journal or a file at the same time; more wait."""


def create(premises: Premises, guard: Guard | None = None) -> FastAPI:
    """The application. `guard` lets people and programs in; without one, as the configuration says."""
    guard = guard or Guard.of(premises)
    options = premises.config.web
    app = FastAPI(
        title="edgecam",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.include_router(login.router(premises, guard))
    for part in (api, live, pages):  # in this order: below /api a camera may have the name of anything
        app.include_router(part.router(premises))
    app.add_exception_handler(EdgecamError, _tell)
    app.add_middleware(Gate, guard=guard, hosts=options.hosts)
    app.add_middleware(BodyLimit, refusals=guard.refusals)
    app.add_middleware(Approach, root_path=options.root_path, trusted=options.trusted_proxies)
    app.add_middleware(StrictHeaders)
    return app


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


async def _tell(_request: Request, error: Exception) -> JSONResponse:
    """An error of ours: something named cannot be had, or a device, such as the disk, does not answer."""
    return JSONResponse({"detail": str(error)}, 503 if isinstance(error, DeviceError) else 422)
