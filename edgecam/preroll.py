"""The seconds before an event: encoded pictures, kept until somebody wants them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import chain


@dataclass(frozen=True, slots=True)
class Packet:
    """One encoded picture.

    `data` holds its H.264 units, each after its length in four bytes, as MP4 stores them. `timestamp` is the frame's,
    in monotonic seconds. `duration` says for how many seconds it is shown: a guess where the next frame is not known
    yet. A player can begin at a `keyframe`.
    """

    data: bytes
    timestamp: float
    duration: float
    keyframe: bool


@dataclass(slots=True)
class _Group:
    """A keyframe and the packets that need it."""

    packets: list[Packet] = field(default_factory=list)
    bytes: int = 0

    def add(self, packet: Packet) -> None:
        self.packets.append(packet)
        self.bytes += len(packet.data)


class PacketRing:
    """The newest packets of one stream, from a keyframe on, in one thread.

    Holds what it takes to begin at any moment of the last `seconds`: so much, and up to one keyframe interval more,
    but never more than `max_bytes` of pictures. What leaves, leaves as a keyframe with all that needs it: `expired`
    counts the packets that had become too old, `dropped` those that went early for want of room, or came when there
    was no keyframe to begin with.
    """

    def __init__(self, seconds: float, max_bytes: int) -> None:
        if seconds < 0 or max_bytes < 1:
            raise ValueError(f"ring of {seconds:g} s and {max_bytes} bytes: at least 0 s and 1 byte")
        self.expired = 0
        self.dropped = 0
        self.bytes = 0
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._groups: deque[_Group] = deque()

    @property
    def seconds(self) -> float:
        """From the first packet's timestamp to the last one's."""
        if not self._groups:
            return 0.0
        return self._groups[-1].packets[-1].timestamp - self._groups[0].packets[0].timestamp

    def put(self, packet: Packet) -> None:
        """Add the next packet of the stream."""
        if packet.keyframe:
            self._groups.append(_Group())
        elif not self._groups:
            self.dropped += 1
            return
        self._groups[-1].add(packet)
        self.bytes += len(packet.data)
        while len(self._groups) > 1 and self._groups[1].packets[0].timestamp <= packet.timestamp - self._seconds:
            self.expired += self._let_go()
        while self.bytes > self._max_bytes:
            self.dropped += self._let_go()

    def since(self, timestamp: float) -> list[Packet]:
        """All packets from the last keyframe at or before `timestamp` on; from the oldest one where none is so old."""
        groups = list(self._groups)
        first = max((at for at, group in enumerate(groups) if group.packets[0].timestamp <= timestamp), default=0)
        return list(chain.from_iterable(group.packets for group in groups[first:]))

    def clear(self) -> None:
        """Forget everything: another stream begins."""
        self._groups.clear()
        self.bytes = 0

    def _let_go(self) -> int:
        oldest = self._groups.popleft()
        self.bytes -= oldest.bytes
        return len(oldest.packets)
