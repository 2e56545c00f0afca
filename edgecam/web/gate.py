"""The gate: each request passes here before anything else sees it, or is refused, counted and told to the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from edgecam.web.answers import address_of, refuse, send_elsewhere
from edgecam.web.auth import Guard, Visitor

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

OPEN_PATHS = frozenset({"/health", "/login", "/session", "/favicon.ico", "/manifest.webmanifest", "/robots.txt"})
"""What anybody may ask for."""
OPEN_FOLDER = "/static/"
"""And everything in here: what all edgecams have alike."""
HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
LOGIN = "/login"
"""Where a browser is sent that is not logged in."""
VISITOR = "edgecam.visitor"
"""The key of the scope under which whoever was let in stands."""
LONGEST_PATH = 1024


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    kind: str
    detail: str


class Gate:
    """Refuses paths that lead out of their folder, other sites' requests, and whoever may not come in.

    Where there is no password, only requests to this machine's own names pass, `hosts` among them: the page of another
    site whose name was made to lead here (DNS rebinding) would otherwise see everything.
    """

    def __init__(self, app: ASGIApp, guard: Guard, hosts: Sequence[str]) -> None:
        self._app = app
        self._guard = guard
        self._hosts = {"localhost", *hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        address = address_of(scope)
        refusal = self._strange(scope, headers)
        visitor = None
        if refusal is None and not _is_open(scope):
            visitor = self._guard.visitor(headers, address)
            refusal = _unwelcome(scope, visitor)
        if refusal is None:
            await self._app({**scope, VISITOR: visitor}, receive, send)
            return
        if refusal.kind:
            self._guard.refusals.note(refusal.kind, address, scope["path"])
        if refusal.status == 401 and _is_page(scope, headers):
            await send_elsewhere(scope, receive, send, _login_page(scope))
        else:
            challenge = {"www-authenticate": "Bearer"} if refusal.status == 401 else {}
            await refuse(scope, receive, send, refusal.status, refusal.detail, challenge)

    def _strange(self, scope: Scope, headers: dict[bytes, bytes]) -> _Refusal | None:
        """What is wrong with a request, whoever sent it."""
        path = scope["path"]
        parts = path.split("/")
        if ".." in parts or "." in parts or "\\" in path or "\0" in path or len(path) > LONGEST_PATH:
            return _Refusal(400, "a path that leads astray", "no such path")
        host = headers.get(b"host", b"").decode("latin-1")
        if self._guard.place is None and not self._is_own_name(host):
            remedy = "not a name of this machine: add it to [web] hosts, or set a password"
            return _Refusal(403, "a name that is not this machine's", f"{host[:100]}: {remedy}")
        changes = scope["type"] == "websocket" or scope["method"] not in HARMLESS
        if changes and not _is_own_site(scope, headers, host):
            remedy = "from another site; behind a reverse proxy: let it pass on the Host header"
            return _Refusal(403, "a request from another site", remedy)
        return None

    def _is_own_name(self, host: str) -> bool:
        """Whether a Host header is an address, which no name leads to, or one of this machine's names."""
        name = _split(f"//{host}").hostname or ""
        try:
            return bool(ip_address(name))
        except ValueError:
            return not host or name.lower() in self._hosts


def _is_open(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope["root_path"])
    return scope["type"] == "http" and (path in OPEN_PATHS or path.startswith(OPEN_FOLDER))


def _is_own_site(scope: Scope, headers: dict[bytes, bytes], host: str) -> bool:
    """Whether a request is from our own pages, or from no browser at all.

    Browsers say where a request is from: always in Origin where it changes something, newer ones over TLS and on
    localhost also in Sec-Fetch-Site, which is right whatever a proxy makes of names.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site in {b"same-origin", b"none"}
    origin = headers.get(b"origin")
    if origin is None:
        return True
    secure = scope["scheme"] in {"https", "wss"}
    told = _split(origin.decode("latin-1"))
    ours = _split(f"{'https' if secure else 'http'}://{host}")
    return bool(told.hostname) and _place(told) == _place(ours)


class _Address:
    """Scheme, host and port of an address that anybody may have written."""

    def __init__(self, scheme: str = "", hostname: str | None = None, port: int | None = None) -> None:
        self.scheme, self.hostname, self.port = scheme, hostname, port


def _split(address: str) -> _Address:
    try:
        parts = urlsplit(address)
        return _Address(parts.scheme, parts.hostname, parts.port)
    except ValueError:
        return _Address()


def _place(address: _Address) -> tuple[str | None, int | None]:
    """Host and port. Not the scheme: a proxy that speaks TLS need not say so."""
    return address.hostname, None if address.port in {80, 443} else address.port


def _unwelcome(scope: Scope, visitor: Visitor | None) -> _Refusal | None:
    if visitor is None:
        return _Refusal(401, "", "log in, or send a token: Authorization: Bearer TOKEN")
    if scope["type"] == "http" and scope["method"] not in HARMLESS and not visitor.may_change:
        return _Refusal(403, "a change by a token that may only look", f"the token {visitor.program!r} may only look")
    return None


def _is_page(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether somebody looks for a page, not a program for data."""
    return scope["type"] == "http" and scope["method"] == "GET" and b"text/html" in headers.get(b"accept", b"")


def _login_page(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    wanted = quote(scope["path"] + (f"?{query}" if query else ""), safe="/")
    return f"{scope['root_path']}{LOGIN}?next={wanted}"
