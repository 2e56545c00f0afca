"""Logging in and out, and whether anything is well: the paths that need no password."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from edgecam.health.status import StatusReport
from edgecam.web.answers import address_of
from edgecam.web.auth import Guard, LoginRefused
from edgecam.web.passwords import LONGEST
from edgecam.web.premises import Premises


class Login(BaseModel):
    """A try to log in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    password: Annotated[str, Field(max_length=LONGEST)]


class Session(BaseModel):
    """How whoever asks stands here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    authenticated: bool = Field(description="Whether the pages and the API answer.")
    password_needed: bool = Field(description="Whether there is a password at all.")
    may_change: bool = Field(description="Whether requests that change something are taken.")
    program: str = Field(description="The name of the token that was sent; empty for a person.")


class Health(BaseModel):
    """Whether edgecam is well."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Literal["ok", "degraded"]


class Refused(BaseModel):
    """Why a request was refused."""

    detail: str


def router(premises: Premises, guard: Guard) -> APIRouter:
    """`/login`, `/logout`, `/session` and `/health`."""
    routes = APIRouter(tags=["session"])
    report = StatusReport(premises.clock)

    @routes.post("/login", responses={401: {"model": Refused}, 429: {"model": Refused}})
    async def login(tried: Login, request: Request, response: Response) -> Session:
        """Log in with the password; the answer sets a cookie."""
        if guard.place is not None:
            try:
                key = await guard.log_in(tried.password, address_of(request.scope))
            except LoginRefused as refused:
                raise _refusal(refused) from None
            _set_cookie(request, response, guard, key)
        return Session(authenticated=True, password_needed=guard.place is not None, may_change=True, program="")

    @routes.post("/logout", status_code=204)
    async def logout(request: Request, response: Response) -> None:
        """End the session of the cookie."""
        guard.log_out(dict(request.scope["headers"]))
        response.delete_cookie(guard.cookie, path=_cookie_path(request))

    @routes.get("/session")
    async def session(request: Request) -> Session:
        """Whether one is logged in."""
        visitor = guard.visitor(dict(request.scope["headers"]), address_of(request.scope))
        return Session(
            authenticated=visitor is not None,
            password_needed=guard.place is not None,
            may_change=visitor is not None and visitor.may_change,
            program=visitor.program if visitor else "",
        )

    @routes.get("/health")
    def health() -> Health:
        """Whether edgecam is well, in one word; `/api/status` says more."""
        return Health(status=report.document(premises.facts()).status)

    return routes


def _refusal(refused: LoginRefused) -> HTTPException:
    if not refused.wait:
        return HTTPException(401, str(refused))
    return HTTPException(429, str(refused), {"retry-after": str(ceil(refused.wait))})


def _set_cookie(request: Request, response: Response, guard: Guard, key: str) -> None:
    response.set_cookie(
        guard.cookie,
        key,
        max_age=int(guard.sessions.age),
        path=_cookie_path(request),
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="strict",
    )


def _cookie_path(request: Request) -> str:
    return request.scope["root_path"] or "/"
