"""What stands in front of the server: who really asks, by which name and path. Whoever is not trusted is not asked."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

ASKED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
"""The headers that are believed of a trusted proxy."""


class Networks:
    """Addresses and networks; what is no address is in none of them."""

    def __init__(self, named: Sequence[str]) -> None:
        self._networks = [ip_network(each) for each in named]

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            known = ip_address(address)
        except ValueError:
            return False
        return any(known in network for network in self._networks)


class Approach:
    """Puts into each request's scope who asks, how and for what, as it was before the reverse proxies.

    A path is taken with `root_path` before it and without: some proxies cut it off.
    """

    def __init__(self, app: ASGIApp, root_path: str, trusted: Sequence[str]) -> None:
        self._app = app
        self._root_path = root_path
        self._trusted = Networks(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] in {"http", "websocket"}:
            scope = {**scope, **self._place(scope), **self._asker(scope)}
        await self._app(scope, receive, send)

    def _place(self, scope: Scope) -> dict[str, str]:
        root, path = self._root_path, scope["path"]
        inside = path == root or path.startswith(f"{root}/")
        return {"root_path": root, "path": path if inside else root + path}

    def _asker(self, scope: Scope) -> dict[str, object]:
        client = scope.get("client") or ("nowhere", 0)
        asker = plain_address(client[0])
        if asker not in self._trusted:
            return {"client": (asker, client[1])}
        headers = scope["headers"]
        told = {name: b",".join(value for key, value in headers if key == name).decode("latin-1") for name in ASKED}
        asker = [asker, *self._outside(told[b"x-forwarded-for"])][-1]
        changed: dict[str, object] = {"client": (asker, 0)}
        secure = {"http": "https", "ws": "wss"} if _last(told[b"x-forwarded-proto"]) == "https" else {}
        changed["scheme"] = secure.get(scope["scheme"], scope["scheme"])
        if host := _last(told[b"x-forwarded-host"]):
            others = [(name, value) for name, value in headers if name != b"host"]
            changed["headers"] = [*others, (b"host", host.encode("latin-1"))]
        return changed

    def _outside(self, forwarded: str) -> list[str]:
        """Of the chain of addresses, the last that is no trusted proxy: what is before it, anybody may have written."""
        for each in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
            address = plain_address(each)
            if address not in self._trusted:
                return [address]
        return []


def plain_address(address: str) -> str:
    """An address without port and brackets; an IPv4 one in IPv6's clothes as what it is."""
    bare = address[1:].partition("]")[0] if address.startswith("[") else address
    bare = bare.partition(":")[0] if bare.count(":") == 1 else bare
    try:
        known = ip_address(bare)
    except ValueError:
        return address[:64]
    if isinstance(known, IPv6Address):
        return str(known.ipv4_mapped or known)
    return str(known)


def _last(values: str) -> str:
    return values.rpartition(",")[2].strip()
