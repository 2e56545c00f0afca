"""The soak's network camera. The service's own Python runs this file in the container, outside the service.

camera.py film SOURCE TARGET    makes the film: small, ten pictures a second
camera.py serve FILM PORT       sends it over and over to whoever connects, as a live MPEG-TS stream
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction

import av

FPS = 10
SIZE = (640, 360)
AHEAD = 2.0
"""Seconds that are sent at once to who connects, as cameras send what came since the last key frame."""
STUCK = 5.0
"""Seconds after which a reader that takes nothing is given up."""


def make_film(source: str, target: str) -> None:
    """Every so manyth picture of the source, scaled down."""
    with av.open(source) as given, av.open(target, "w", format="mp4") as made:
        options = {"crf": "24", "preset": "superfast", "bf": "0", "g": str(FPS)}
        stream = made.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        due = count = 0
        for frame in given.decode(video=0):
            if frame.time is None or frame.time * FPS < due:
                continue
            small = frame.reformat(*SIZE, format="yuv420p")
            small.pts, small.time_base = count, Fraction(1, FPS)
            made.mux(stream.encode(small))
            due, count = due + 1, count + 1
        made.mux(stream.encode(None))


def serve(film: str, port: int) -> None:
    """One after the other."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            reader, _ = listener.accept()
            reader.settimeout(STUCK)
            with reader, reader.makefile("wb", buffering=0) as out, suppress(OSError, av.FFmpegError):
                _send(film, out)


def _send(film: str, out: socket.SocketIO) -> None:
    began = time.monotonic() - AHEAD
    sent = 0
    with av.open(out, "w", format="mpegts", options={"flush_packets": "1"}) as live:
        stream = None
        while True:
            with av.open(film) as played:
                video = played.streams.video[0]
                stream = stream or live.add_stream_from_template(video)
                for packet in played.demux(video):
                    if packet.dts is None:
                        continue
                    packet.stream = stream
                    packet.time_base = Fraction(1, FPS)
                    packet.pts = packet.dts = sent
                    time.sleep(max(0.0, began + sent / FPS - time.monotonic()))
                    live.mux(packet)
                    sent += 1


if __name__ == "__main__":
    programs: dict[str, Callable[[str, str], None]]
    programs = {"film": make_film, "serve": lambda film, port: serve(film, int(port))}
    programs[sys.argv[1]](sys.argv[2], sys.argv[3])
