"""Live video: the packets of one camera's encoder, once, for any number of viewers who are not too slow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from threading import Lock
from typing import NamedTuple

from edgecam.preroll import Packet
from edgecam.recording.h264 import StreamInfo

MOST_SECONDS = 5.0
"""So far a viewer may be behind; who is further behind is dropped."""
MOST_BYTES = 8_000_000
"""Bytes of packets that are kept for the viewers, all of them together: 8 s at the default `max_bitrate`."""
ATTENDED_FOR = 2.0
"""Seconds of frames after which a recorder that has not gone on counts as not recording."""
STALE_FOR = 60.0
"""Packets that are not newer than the newest come late, from a recorder that catches up; older than so many seconds
they mean that the clock of the frames was set back."""

Bell = Callable[[], None]


class Piece(NamedTuple):
    """A packet and the stream that it belongs to: its decoder configuration, an object of its own for each stream."""

    stream: StreamInfo
    packet: Packet


class LiveFeed:
    """Packets of one camera, in the order of their frames, kept once for all viewers and as long as one may need them:
    so much a slow viewer costs, and no more, however many there are.

    Whoever encodes calls `put` and `end`; `wanted` says whether anybody looks. There may be two: the recorder, which
    calls `attend` with each frame that it sees, and another that takes over where `is_attended` says that it does not.
    Of two at once the newer packets count, and the change is at a keyframe. `dropped` counts viewers that were too
    slow.

    Thread-safe; nothing here waits for a viewer.
    """

    def __init__(self, seconds: float = MOST_SECONDS, max_bytes: int = MOST_BYTES) -> None:
        self.dropped = 0
        self.bytes = 0
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._pieces: deque[Piece] = deque()
        self._first = 0
        self._keyframe: int | None = None
        self._stream: StreamInfo | None = None
        self._newest = float("-inf")
        self._attended = float("-inf")
        self._bells: dict[Bell, int] = {}

    @property
    def wanted(self) -> bool:
        """Whether anybody looks."""
        return bool(self._bells)

    def attend(self, timestamp: float) -> None:
        """The recorder has seen the frame of this time."""
        self._attended = timestamp

    def is_attended(self, timestamp: float) -> bool:
        """Whether the recorder is at work on the frames about this time."""
        return abs(timestamp - self._attended) < ATTENDED_FOR

    def put(self, stream: StreamInfo, packets: Sequence[Packet]) -> None:
        """The next packets of a stream, which viewers get from a keyframe on."""
        with self._lock:
            for packet in packets:
                if self._goes_on(stream, packet):
                    self._add(Piece(stream, packet))
            self._let_go()
            bells = tuple(self._bells)
        for bell in bells:
            bell()

    def end(self, stream: StreamInfo) -> None:
        """This stream has ended: who comes now does not begin with it."""
        with self._lock:
            if stream is self._stream:
                self._stream = self._keyframe = None
                self._let_go()

    def subscribe(self, bell: Bell) -> Viewing:
        """Look from the newest keyframe on, or the next where there is none. `bell` is called, in the thread of whoever
        encodes, each time there is more; once, where several look with the same."""
        with self._lock:
            self._bells[bell] = self._bells.get(bell, 0) + 1
            at = self._next if self._keyframe is None else max(self._keyframe, self._first)
            return Viewing(self, bell, at)

    def pieces_from(self, at: int, *, begun: bool) -> tuple[list[Piece], int] | None:
        """All pieces from number `at` on, and the number of the next; None where the first of them is gone, which is
        no loss to a viewer that has not begun."""
        with self._lock:
            if begun and at < self._first:
                self.dropped += 1
                return None
            return list(islice(self._pieces, max(0, at - self._first), None)), self._next

    def leave(self, bell: Bell) -> None:
        """One who looks with this bell does so no more."""
        with self._lock:
            self._bells[bell] -= 1
            if not self._bells[bell]:
                del self._bells[bell]
            self._let_go()

    @property
    def _next(self) -> int:
        return self._first + len(self._pieces)

    def _goes_on(self, stream: StreamInfo, packet: Packet) -> bool:
        """Whether a packet follows those that are here, or begins anew."""
        late = self._newest - STALE_FOR < packet.timestamp <= self._newest
        if stream is self._stream and not late:
            return True
        if late or not packet.keyframe:
            if stream is self._stream:
                self._stream = None
            return False
        self._stream = stream
        return True

    def _add(self, piece: Piece) -> None:
        if piece.packet.keyframe:
            self._keyframe = self._next
        self._pieces.append(piece)
        self.bytes += len(piece.packet.data)
        self._newest = piece.packet.timestamp

    def _let_go(self) -> None:
        """Keep what a viewer may be behind, what one begins with who comes now, and no more than there is room for."""
        needed = self._next if self._keyframe is None else self._keyframe
        since = self._newest - self._seconds if self._bells else float("inf")
        while self._pieces:
            packet = self._pieces[0].packet
            old = self._first < needed and packet.timestamp < since
            if not old and self.bytes <= self._max_bytes:
                return
            self._pieces.popleft()
            self._first += 1
            self.bytes -= len(packet.data)


class Viewing:
    """One viewer's place in a feed; for one thread. `lost`: it was too slow, and is to be closed."""

    def __init__(self, feed: LiveFeed, bell: Bell, at: int) -> None:
        self.lost = False
        self._feed = feed
        self._bell: Bell | None = bell
        self._at = at
        self._begun = False

    def take(self) -> list[Piece]:
        """All that has come, the first ever with a keyframe; nothing where nothing has."""
        taken = None if self.lost else self._feed.pieces_from(self._at, begun=self._begun)
        if taken is None:
            self.lost = True
            return []
        pieces, self._at = taken
        if self._begun:
            return pieces
        first = next((number for number, piece in enumerate(pieces) if piece.packet.keyframe), None)
        self._begun = first is not None
        return [] if first is None else pieces[first:]

    def close(self) -> None:
        """Look no more. Safe to call twice."""
        bell, self._bell = self._bell, None
        if bell is not None:
            self._feed.leave(bell)
