"""What the broker bears by itself: messages as large as an event's, made beforehand, past the product's own code.

The publishers of the simulation fill a small machine long before they fill a broker. Here a message costs who sends and
who takes it next to nothing, so that it is the broker that gives. MQTT 3.1.1
(http://docs.oasis-open.org/mqtt/mqtt/v3.1.1), QoS 1 in both directions.
"""

from __future__ import annotations

import selectors
import socket
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection

from fleet_sim.children import STOP, messages

PAYLOAD_BYTES = 1800
"""As an event message has."""
WINDOW = 20
"""Messages of each sender that the broker has not acknowledged yet."""
TOPIC = "flood/cam-{:05d}/events"
FILTER = "flood/+/events"
ACK_BYTES = 4
_CONNACK_BYTES, _SUBACK_BYTES = 4, 5
_READ_BYTES = 1 << 18
_LIMIT = 30.0


def packet(kind: int, body: bytes) -> bytes:
    """One control packet; `kind` is its first byte (2.2: fixed header)."""
    length, left = b"", len(body)
    while True:
        left, digit = divmod(left, 128)
        length += bytes([digit | 0x80 if left else digit])
        if not left:
            return bytes([kind]) + length + body


def text(value: str) -> bytes:
    """A string as packets have it (1.5.3)."""
    return struct.pack("!H", len(value.encode())) + value.encode()


def hello(client_id: str) -> bytes:
    """CONNECT with a clean session and no keep-alive (3.1)."""
    return packet(0x10, text("MQTT") + b"\x04\x02\x00\x00" + text(client_id))


def publication(topic: str, number: int) -> bytes:
    """PUBLISH, QoS 1 (3.3)."""
    return packet(0x32, text(topic) + struct.pack("!H", number) + bytes(PAYLOAD_BYTES))


def connected(port: int, client_id: str) -> socket.socket:
    """A connection that the broker has let in."""
    made = socket.create_connection(("127.0.0.1", port), timeout=_LIMIT)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.sendall(hello(client_id))
    made.recv(_CONNACK_BYTES, socket.MSG_WAITALL)
    return made


@dataclass(slots=True)
class Taker:
    """Counts publications that all have the same size, and answers them."""

    size_bytes: int
    count: int = 0
    _rest: bytes = b""

    def take(self, data: bytes) -> bytes:
        """The answers to what is whole of it; the rest waits for more."""
        data = self._rest + data
        whole, place = len(data) // self.size_bytes, self.size_bytes - PAYLOAD_BYTES - 2
        self._rest = data[whole * self.size_bytes :]
        self.count += whole
        starts = range(place, place + whole * self.size_bytes, self.size_bytes)
        return b"".join(b"\x40\x02" + data[start : start + 2] for start in starts)


@dataclass(slots=True)
class Sender:
    """One client that always has a window of messages under way."""

    line: socket.socket
    window: list[bytes]
    count: int = 0
    _next: int = 0
    _rest: int = 0

    def more(self, count: int) -> None:
        """Send the next so many messages."""
        chosen = [self.window[(self._next + n) % WINDOW] for n in range(count)]
        self._next += count
        self.line.sendall(b"".join(chosen))

    def answered(self) -> None:
        """Take the answers that are there, and send as many messages."""
        answers, self._rest = divmod(self._rest + len(read(self.line)), ACK_BYTES)
        self.count += answers
        self.more(answers)


def read(line: socket.socket) -> bytes:
    """What has come, at least one byte. Raises ConnectionError."""
    data = line.recv(_READ_BYTES)
    if not data:
        raise ConnectionError("the broker has hung up")
    return data


def send(pipe: Connection, port: int, clients: int) -> None:
    """What the process of all senders runs: it begins when it is asked first, and answers with what was taken."""
    with ExitStack() as stack:
        ready = stack.enter_context(selectors.DefaultSelector())
        senders = []
        for number in range(clients):
            line = stack.enter_context(connected(port, f"flood-{number}"))
            senders.append(Sender(line, [publication(TOPIC.format(number), n + 1) for n in range(WINDOW)]))
            ready.register(line, selectors.EVENT_READ, senders[-1])
        while True:
            for name, _argument in messages(pipe, 0.0):
                if name == STOP:
                    return
                if name == "begin":
                    for sender in senders:
                        sender.more(WINDOW)
                pipe.send(sum(sender.count for sender in senders))
            for key, _events in ready.select(0.01):
                key.data.answered()


def receive(pipe: Connection, port: int) -> None:
    """What the process of who listens runs: it answers with what has come."""
    taker = Taker(len(publication(TOPIC.format(0), 1)))
    with connected(port, "flood-backend") as line, selectors.DefaultSelector() as ready:
        line.sendall(packet(0x82, b"\x00\x01" + text(FILTER) + b"\x01"))
        line.recv(_SUBACK_BYTES, socket.MSG_WAITALL)
        ready.register(line, selectors.EVENT_READ)
        while True:
            for name, _argument in messages(pipe, 0.0):
                if name == STOP:
                    return
                pipe.send(taker.count)
            if ready.select(0.01):
                line.sendall(taker.take(read(line)))
