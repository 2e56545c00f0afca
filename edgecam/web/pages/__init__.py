"""The pages: what a browser shows, and the files that it needs for that. All are read once, at the start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, HTTPException, Request, Response

from edgecam.web.pages.files import SentFile, load_static
from edgecam.web.pages.html import PAGES, manifest, page
from edgecam.web.premises import Premises

FOREVER = "public, max-age=31536000, immutable"
"""For a file whose address names its version."""
ASK = "private, no-cache"
"""For all else: a browser keeps it, and asks whether it is still the same."""


def router(premises: Premises) -> APIRouter:
    """The pages `/`, `/review`, `/zones`, `/condition` and `/login`, and their files under `/static/`."""
    routes = APIRouter(include_in_schema=False)
    version, static = load_static()
    boxes = premises.config.clips.overlay and premises.config.overlay.enabled
    pages = {path: page(name, version, static, boxes=boxes) for path, name in PAGES.items()}
    pages["/manifest.webmanifest"] = manifest(version)
    pages["/favicon.ico"] = static["icon.svg"]
    for path, file in pages.items():
        routes.get(path)(_sender(file))
        routes.head(path)(_sender(file))

    @routes.api_route("/static/{wanted}/{name}", methods=["GET", "HEAD"])
    async def static_file(wanted: str, name: str, request: Request) -> Response:
        """One of the pages' files; of another version of edgecam, what there is of that name now."""
        if name not in static:
            raise HTTPException(404, "no such file")
        return answer(request, static[name], FOREVER if wanted == version else ASK)

    return routes


def answer(request: Request, file: SentFile, cache: str) -> Response:
    """A file, packed where the browser can unpack it; nothing where the browser has it."""
    headers = {"cache-control": cache, "etag": file.etag, "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    if file.packed and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, headers={**headers, "content-encoding": "gzip"}, media_type=file.media_type)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _sender(file: SentFile) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        return answer(request, file, ASK)

    return send
