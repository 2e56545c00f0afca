"""What every answer tells the browser: whose scripts may run, who may embed it, what may be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'self';"
    " form-action 'self'; frame-ancestors 'none'"
)
"""Neither scripts nor styles in the page, and nothing from elsewhere; video that is put together in the page is."""
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=(), payment=()",
}
"""On every answer."""
NOT_KEPT = "no-store"
"""Where an answer does not say how long it may be kept: it may be a picture of somebody's home."""


class StrictHeaders:
    """Adds them, where an answer has not its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        self._headers.append((b"cache-control", NOT_KEPT.encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""

        async def with_headers(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                given = list(message.get("headers", []))
                names = {name.lower() for name, _ in given}
                more = [(name, value) for name, value in self._headers if name not in names]
                message = {**message, "headers": [*given, *more]}
            await send(message)

        await self._app(scope, receive, with_headers)
