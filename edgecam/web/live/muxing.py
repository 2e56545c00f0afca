"""Packets as what a browser's Media Source Extensions take: fragmented MP4; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from edgecam.live_feed import Piece
from edgecam.recording.h264 import StreamInfo
from edgecam.recording.mp4 import TICKS, Sample, live_fragment, live_header

MESSAGE_BYTES = 64 * 1024
"""A message that is larger gets no further picture."""
Message = dict[str, Any] | bytes


def codecs(stream: StreamInfo) -> str:
    """What a browser wants to know (RFC 6381, 3.3): profile, constraints and level, as in avc1.64001f."""
    return f"avc1.{stream.extradata[1:4].hex()}"


class Muxer:
    """One viewer's video: begins at 0 on the player's timeline and goes on without a gap, whatever becomes of the
    camera."""

    def __init__(self) -> None:
        self._stream: StreamInfo | None = None
        self._shown: StreamInfo | None = None
        self._origin = 0.0
        self._end = 0
        self._number = 0

    def messages(self, pieces: Iterable[Piece]) -> Iterator[Message]:
        """What to send: the description of a stream and its header where one begins, then fragments, those of several
        pictures together where there are several."""
        waiting = bytearray()
        for piece in pieces:
            begins = piece.stream is not self._stream
            if waiting and (begins or len(waiting) > MESSAGE_BYTES):
                yield bytes(waiting)
                waiting.clear()
            if begins:
                yield from self._begin(piece)
            waiting += self._fragment(piece)
        if waiting:
            yield bytes(waiting)

    def _begin(self, piece: Piece) -> Iterator[Message]:
        self._stream = piece.stream
        self._origin = piece.packet.timestamp - self._end / TICKS
        if piece.stream == self._shown:
            return
        self._shown = piece.stream
        width, height = piece.stream.size
        yield {"codecs": codecs(piece.stream), "width": width, "height": height}
        yield live_header(piece.stream)

    def _fragment(self, piece: Piece) -> bytes:
        packet = piece.packet
        start = packet.timestamp - self._origin
        at = max(self._end, round(start * TICKS))
        self._end = max(at + 1, round((start + packet.duration) * TICKS))
        self._number += 1
        return live_fragment(self._number, at, Sample(packet.data, self._end - at), keyframe=packet.keyframe)
