"""The paths of JPEGs, where Frigate has them: the newest picture, and one after the other without an end (MJPEG)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response
from starlette.types import Receive, Scope, Send

from edgecam.web.api.answers import ApiRoute, refusals
from edgecam.web.api.switches import CameraName, access_to
from edgecam.web.live.pictures import Form, Picture, Pictures
from edgecam.web.live.viewers import Viewers, sent, until_one_ends
from edgecam.web.premises import CameraAccess

BOUNDARY = "edgecam"
REPEAT = 10.0
"""Seconds after which a picture is sent again although there is no newer one, so that both sides notice a dead
connection."""
FRESH = 0.1
"""A picture that is there and not so many seconds older than the newest is shown again: no more are made than that."""
QUALITY = 70
Height = Annotated[
    int | None, Query(alias="h", ge=16, le=8192, description="Height in pixels, at most the camera's own.")
]
Boxes = Annotated[bool, Query(alias="bbox", description="With the boxes, labels and clock that are drawn on it.")]
Quality = Annotated[int, Query(ge=1, le=100, description="JPEG's quality.")]
Rate = Annotated[float, Query(ge=0.1, le=30, description="Pictures a second, at most.")]


class StillRoutes:
    """The paths /api/CAMERA/latest.jpg and /api/CAMERA. Pictures are made in `thread`."""

    def __init__(self, cameras: Mapping[str, CameraAccess], viewers: Viewers, thread: Executor) -> None:
        self._cameras = cameras
        self._viewers = viewers
        self._pictures = {name: Pictures(access.newest, thread) for name, access in cameras.items()}

    def add_to(self, router: APIRouter) -> None:
        """Add the paths."""
        stills = APIRouter(route_class=ApiRoute)
        options: dict[str, Any] = {"response_class": Response}
        stills.get(
            "/api/{camera}/latest.jpg",
            responses=_answers("image/jpeg", "The newest picture.") | refusals(404),
            **options,
        )(self.latest)
        stream = _answers(f"multipart/x-mixed-replace;boundary={BOUNDARY}", "Pictures, one after the other.")
        stills.get("/api/{camera}", responses=stream | refusals(404), **options)(self.stream)
        router.include_router(stills)

    async def latest(
        self, camera: CameraName, height: Height = None, boxes: Boxes = False, quality: Quality = QUALITY
    ) -> Response:
        """The newest picture."""
        picture = await self._of(camera).get(Form(height or 0, boxes, quality), FRESH)
        if picture is None:
            raise HTTPException(503, f"camera {camera}: no picture yet")
        return Response(picture.jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    async def stream(
        self,
        camera: CameraName,
        fps: Rate = 5.0,
        height: Height = 360,
        boxes: Boxes = False,
        quality: Quality = QUALITY,
    ) -> Response:
        """Pictures for as long as somebody looks, as MJPEG: what an `<img>` shows."""
        pictures = self._of(camera)
        self._viewers.require_room()
        return PictureStream(camera, pictures, self._viewers, Form(height or 0, boxes, quality), fps)

    def _of(self, camera: str) -> Pictures:
        access_to(self._cameras, camera)
        return self._pictures[camera]


class PictureStream(Response):
    """Sends one picture after the other until the viewer leaves, or is too slow; a slow one gets fewer."""

    media_type = f"multipart/x-mixed-replace;boundary={BOUNDARY}"

    def __init__(self, camera: str, pictures: Pictures, viewers: Viewers, form: Form, fps: float) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._camera = camera
        self._pictures = pictures
        self._viewers = viewers
        self._form = form
        self._fps = fps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        with self._viewers.one(self._camera):
            await until_one_ends(self._show(send), _until_left(receive))

    async def _show(self, send: Send) -> None:
        await sent(send, {"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        loop, shown, repeat_at = asyncio.get_running_loop(), -1, 0.0
        while True:
            picture = await self._pictures.get(self._form, min(FRESH, 0.5 / self._fps))
            now = loop.time()
            if picture is not None and (picture.sequence != shown or now >= repeat_at):
                await sent(send, {"type": "http.response.body", "body": part(picture), "more_body": True})
                shown, repeat_at = picture.sequence, now + REPEAT
            await asyncio.sleep(until_next(loop.time(), self._fps))


def until_next(now: float, fps: float) -> float:
    """Seconds until the next picture: at times that are the same for all who want as many, so that one is made."""
    return (math.floor(now * fps) + 1) / fps - now


def part(picture: Picture) -> bytes:
    """A picture in the stream (RFC 2046, 5.1)."""
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n\r\n"
    return head.encode() + picture.jpeg + b"\r\n"


def _answers(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"description": description, "content": content}}


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
