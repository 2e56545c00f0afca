"""The path of the live video: H.264 as the recorder encodes it, in fragmented MP4, over a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress

from fastapi import APIRouter, HTTPException, WebSocket, WebSocketDisconnect

from edgecam.live_feed import Viewing
from edgecam.web.api.answers import refusal
from edgecam.web.api.switches import access_to
from edgecam.web.live.bell import Bell
from edgecam.web.live.muxing import Message, Muxer
from edgecam.web.live.viewers import SEND_TIMEOUT, TooSlowError, Viewers, until_one_ends
from edgecam.web.premises import CameraAccess

MOST_MESSAGES = 100
"""A viewer has nothing to say: who says so much is sent away."""
CLOSE_TIMEOUT = 1.0
"""Seconds in which a viewer must have taken the reason."""
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013
"""Codes of closing (RFC 6455, 7.4.1, and IANA's registry)."""


class TooTalkativeError(Exception):
    """A viewer sends what nobody asked for."""


class VideoRoutes:
    """The path /live/CAMERA."""

    def __init__(self, cameras: Mapping[str, CameraAccess], viewers: Viewers) -> None:
        self._cameras = cameras
        self._viewers = viewers
        self._bells: dict[str, Bell] = {}

    def add_to(self, router: APIRouter) -> None:
        """Add the path."""
        router.websocket("/live/{camera}")(self.watch)

    async def watch(self, websocket: WebSocket, camera: str) -> None:
        """First a text message, {"codecs": ..., "width": ..., "height": ...}, then binary ones: the header (ftyp and
        moov), then fragments (moof and mdat), one or more in a message, from a keyframe on. Where the stream changes
        there is another text message and another header; time goes on."""
        try:
            access = access_to(self._cameras, camera)
            self._viewers.require_room()
        except HTTPException as error:
            await websocket.send_denial_response(refusal(error.status_code, str(error.detail)))
            return
        with self._viewers.one(camera), suppress(WebSocketDisconnect):
            await websocket.accept()
            viewing, bell = self._look(access)
            try:
                await until_one_ends(_listen(websocket), _show(websocket, viewing, bell))
            except TooSlowError:
                await _close(websocket, TRY_AGAIN_LATER, "too slow")
                raise
            except TooTalkativeError:
                await _close(websocket, POLICY_VIOLATION, "nothing is to be said here")
            finally:
                viewing.close()

    def _look(self, access: CameraAccess) -> tuple[Viewing, Bell]:
        """All viewers of a camera share one bell, so that its encoder rings but once."""
        bell = self._bells.get(access.name) or Bell(asyncio.get_running_loop())
        self._bells[access.name] = bell
        return access.feed.subscribe(bell.ring), bell


async def _show(websocket: WebSocket, viewing: Viewing, bell: Bell) -> None:
    muxer = Muxer()
    while not viewing.lost:
        pieces = viewing.take()
        if not (pieces or viewing.lost):
            await bell.wait()
        for message in muxer.messages(pieces):
            async with asyncio.timeout(SEND_TIMEOUT):
                await _send(websocket, message)
    raise TooSlowError


async def _send(websocket: WebSocket, message: Message) -> None:
    if isinstance(message, bytes):
        await websocket.send_bytes(message)
    else:
        await websocket.send_text(json.dumps(message))


async def _listen(websocket: WebSocket) -> None:
    """Wait until the viewer leaves."""
    for _ in range(MOST_MESSAGES):
        if (await websocket.receive())["type"] == "websocket.disconnect":
            return
    raise TooTalkativeError


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    """Say why, if that is taken soon."""
    with suppress(TimeoutError, WebSocketDisconnect):
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await websocket.close(code, reason)
