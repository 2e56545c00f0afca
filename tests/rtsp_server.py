"""A small RTSP camera for tests: H.264 over RTP, interleaved in the TCP connection (RFC 2326, 6184)."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHUNK_BYTES = 1200

SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=test
t=0 0
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1
a=control:track1
""".replace("\n", "\r\n")


class RtspServer:
    """Serves one H.264 stream (Annex B) to one client after the other, `fps` pictures a second of RTP time.

    After the last picture it hangs up, or stays silent until `release` is set.
    """

    def __init__(self, h264: bytes, fps: int, *, hang_up: bool) -> None:
        self.release = threading.Event()
        self._units = [unit for unit in re.split(b"\0\0\0?\1", h264) if unit]
        self._ticks = 90_000 // fps
        self._hang_up = hang_up
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/stream"

    def serve(self) -> None:
        """Answer clients until the listener is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                self._converse(client)

    def stop(self) -> None:
        self.release.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _converse(self, client: socket.socket) -> None:
        requests = client.makefile("rb")
        while head := list(iter(lambda: requests.readline().strip(), b"")):
            method = head[0].split()[0].decode()
            number = next(line.split()[1] for line in head if line.lower().startswith(b"cseq")).decode()
            extra, body = self._answer(method)
            lines = [
                "RTSP/1.0 200 OK",
                f"CSeq: {number}",
                "Session: 1",
                *extra,
                f"Content-Length: {len(body)}",
                "",
                body,
            ]
            client.sendall("\r\n".join(lines).encode())
            if method == "PLAY":
                client.sendall(b"".join(self._packets()))
                if not self._hang_up:
                    self.release.wait(30)
                return

    def _answer(self, method: str) -> tuple[list[str], str]:
        if method == "DESCRIBE":
            return ["Content-Type: application/sdp"], SDP
        if method == "SETUP":
            return ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1"], ""
        return ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"], ""

    def _packets(self) -> Iterator[bytes]:
        """RTP packets, each in its interleaved frame; a coded slice ends a picture."""
        sequence = timestamp = 0
        for unit in self._units:
            slice_of_picture = unit[0] & 31 in {1, 5}
            payloads = list(_payloads(unit))
            for index, payload in enumerate(payloads):
                marker = slice_of_picture and index == len(payloads) - 1
                header = struct.pack(">BBHII", 0x80, 96 | marker << 7, sequence & 0xFFFF, timestamp, 7)
                sequence += 1
                yield b"$\0" + struct.pack(">H", len(header + payload)) + header + payload
            timestamp += self._ticks if slice_of_picture else 0


def _payloads(unit: bytes) -> Iterator[bytes]:
    """The unit whole, or in FU-A fragments."""
    if len(unit) <= CHUNK_BYTES:
        yield unit
        return
    parts = [unit[at : at + CHUNK_BYTES] for at in range(1, len(unit), CHUNK_BYTES)]
    for index, part in enumerate(parts):
        flags = (index == 0) << 7 | (index == len(parts) - 1) << 6
        yield bytes([unit[0] & 0xE0 | 28, flags | unit[0] & 31]) + part


@contextmanager
def rtsp_server(h264: bytes, fps: int, *, hang_up: bool) -> Iterator[RtspServer]:
    """A server in a thread of its own for as long as the context lasts."""
    server = RtspServer(h264, fps, hang_up=hang_up)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(5)
