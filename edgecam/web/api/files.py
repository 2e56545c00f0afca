"""Sending files: in ranges, and not at all where the browser has them."""

from __future__ import annotations

from pathlib import Path

from fastapi import HTTPException, Request, Response
from fastapi.responses import FileResponse

SETTLED = "private, max-age=3600"
"""For what changes no more."""
CHANGING = "private, no-cache"
"""For what may: a browser keeps it, and asks whether it is still the same."""


def file_answer(request: Request, path: Path, media_type: str, cache: str) -> Response:
    """A file, or the ranges of it that were asked for; nothing where the browser has it. It may be read while it grows:
    what there is now is sent."""
    try:
        status = path.stat()
    except OSError:
        raise HTTPException(404, f"{path.name}: it was deleted a moment ago") from None
    answer = FileResponse(path, media_type=media_type, stat_result=status, headers={"Cache-Control": cache})
    if request.headers.get("if-none-match") == answer.headers["etag"]:
        return Response(status_code=304, headers={"ETag": answer.headers["etag"], "Cache-Control": cache})
    return answer


def picture_answer(jpeg: bytes | None, cache: str) -> Response:
    """A JPEG that was just made."""
    if jpeg is None:
        raise HTTPException(404, "the picture cannot be read")
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": cache})
