"""What every part of the API answers alike: what was done, and what was refused and why."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import Field
from starlette.exceptions import HTTPException

from edgecam.errors import ConfigError, EdgecamError
from edgecam.health.status import Document

PAYS_BYTES = 2000
"""Less is sent as it is."""
PACKING = 1
"""gzip's quickest: a day of 2,000 events becomes a tenth, and a Pi has better to do."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Done(Document):
    """It was done."""

    success: Literal[True] = Field(default=True, description="Always true.")
    message: str = Field(description="What was done, in plain words.")


class Refusal(Document):
    """It was not done."""

    success: Literal[False] = Field(default=False, description="Always false.")
    message: str = Field(description="Why, in plain words, and what would help.")
    complaints: list[str] = Field(default=[], description="What is wrong with what was sent, one fault each.")


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "The request cannot be read."},
    404: {"model": Refusal, "description": "There is no such thing."},
    409: {"model": Refusal, "description": "Not as things are."},
    422: {"model": Refusal, "description": "What was sent is not allowed."},
    503: {"model": Refusal, "description": "The disk, or the journal on it, refused; or too many ask."},
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides its own, for OpenAPI; 422 and 503 may always be."""
    return {status: REFUSALS[status] for status in sorted({*statuses, 422, 503})}


def json_answer(request: Request, content: bytes) -> Response:
    """JSON that is ready to be sent, packed where it is long and whoever asks can unpack it."""
    headers = {"Vary": "Accept-Encoding"}
    if len(content) > PAYS_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = gzip.compress(content, PACKING, mtime=0)
    return Response(content, headers=headers, media_type="application/json")


class ApiRoute(APIRoute):
    """A route whose refusals all look alike, edgecam's own errors among them."""

    def get_route_handler(self) -> Handler:
        """The route's function, its errors translated."""
        handle = super().get_route_handler()

        async def translated(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                complaints = list(dict.fromkeys(map(_complaint, error.errors())))
                return refusal(422, "; ".join(complaints[:3]), complaints)
            except HTTPException as error:
                return refusal(error.status_code, str(error.detail))
            except ConfigError as error:
                return refusal(409, str(error).partition("\n")[0], str(error).split("\n"))
            except EdgecamError as error:
                return refusal(503, str(error))

        return translated


def refusal(status: int, message: str, complaints: Sequence[str] = ()) -> JSONResponse:
    """A refusal, to be sent."""
    return JSONResponse(Refusal(message=message, complaints=list(complaints)).model_dump(), status)


def _complaint(details: dict[str, Any]) -> str:
    """One fault of what was sent: where it is, and what is allowed."""
    said = str(details.get("ctx", {}).get("error") or details["msg"])
    place = _dotted(details["loc"][1:])
    return (f"{place}: {said}" if place else said).encode(errors="replace").decode()


def _dotted(location: Sequence[str | int]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")
