"""Somebody who looks at the live video, and what is seen."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import av
from clip_recording import number_in

from edgecam.live_feed import LiveFeed, Piece
from edgecam.preroll import Packet
from edgecam.recording.h264 import StreamInfo
from edgecam.web.live.muxing import Message, Muxer


def stream(size: tuple[int, int] = (160, 96)) -> StreamInfo:
    """A stream of its own, of pictures that nobody decodes."""
    return StreamInfo("h264", size, bytes.fromhex("0164001f") + bytes(8))


def packet(timestamp: float, *, keyframe: bool, size_bytes: int = 1000) -> Packet:
    """A packet that nobody decodes."""
    return Packet(bytes(size_bytes), timestamp, 0.1, keyframe)


def decoded(messages: Iterable[Message]) -> list[Any]:
    """The pictures of a video, from its header on."""
    data = b"".join(message for message in messages if isinstance(message, bytes))
    with av.open(io.BytesIO(data), "r", format="mp4") as container:
        return list(container.decode(video=0))


class Watcher:
    """Looks at a feed from now on, and keeps all that came."""

    def __init__(self, feed: LiveFeed) -> None:
        self.rung = 0
        self.pieces: list[Piece] = []
        self.viewing = feed.subscribe(self._ring)

    def _ring(self) -> None:
        self.rung += 1

    def look(self) -> list[Packet]:
        """What has come since."""
        pieces = self.viewing.take()
        self.pieces += pieces
        return [piece.packet for piece in pieces]

    def numbers(self) -> list[int]:
        """Which frames of the film were seen."""
        self.look()
        return [number_in(frame) for frame in decoded(Muxer().messages(self.pieces))] if self.pieces else []

    def leave(self) -> None:
        self.viewing.close()
