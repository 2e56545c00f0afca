"""Refusals as whoever asked can read them: JSON, or a page to go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, detail: str, headers: dict[str, str] | None = None
) -> None:
    """Answer a request with `status` and {"detail": ...}, and a wish for a WebSocket with 403; the connection ends."""
    from starlette.responses import JSONResponse
    from starlette.websockets import WebSocketClose

    if scope["type"] == "websocket":
        await WebSocketClose(1008, detail[:120])(scope, receive, send)
    else:
        await JSONResponse({"detail": detail}, status, {"connection": "close", **(headers or {})})(scope, receive, send)


async def send_elsewhere(scope: Scope, receive: Receive, send: Send, place: str) -> None:
    """Send a browser to another page."""
    from starlette.responses import RedirectResponse

    await RedirectResponse(place, 303)(scope, receive, send)


def address_of(scope: Scope) -> str:
    """Who asks."""
    client = scope.get("client")
    return str(client[0]) if client else "nowhere"
