"""An edgecam with one camera and its web server in a process of its own, for measurements; and viewers in another.

    python live_rig.py serve FOLDER PORT   answers each line on standard input with what it has used so far, as JSON
    python live_rig.py watch PORT NUMBER   so many viewers, until standard input ends
    python live_rig.py tread PORT NUMBER   so many that read as good as nothing

Each frame of the camera shows the time at which it was taken, in milliseconds, as 32 squares along its upper edge.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from clip_stories import street
from numpy.typing import NDArray
from websockets.asyncio.client import connect

from edgecam.clip_store import ClipStore
from edgecam.clock import SystemClock
from edgecam.composition import build_awaited, build_parts, build_sinks
from edgecam.config import Config
from edgecam.health.facts import Facts, MqttFacts
from edgecam.live_feed import LiveFeed
from edgecam.models import resolve
from edgecam.newest import NewestFrame
from edgecam.pipeline import Pipeline
from edgecam.ports import Camera
from edgecam.recording.encoder import EncoderOptions
from edgecam.sinks.clips import ClipSink
from edgecam.sinks.newest import NewestSink
from edgecam.types import Frame
from edgecam.web.premises import CameraAccess, Premises
from edgecam.web.server import WebWorker
from edgecam.yuv import lores_from_i420

HD = (1280, 720)
FPS = float(os.environ.get("LIVE_RIG_FPS", "20"))
SQUARE = 32
"""Pixels."""
BITS = 32
BLACK, WHITE = 16, 235


class ClockCamera(Camera):
    """A street at FPS, in pictures that were made before, with the time in each."""

    def __init__(self, lores_size: tuple[int, int]) -> None:
        there = street(40, HD)
        self._pictures = [*there, *reversed(there)]
        self._lores = [lores_from_i420(picture, lores_size) for picture in self._pictures]
        self._sequence = 0
        self._due = 0.0

    def read(self, timeout: float) -> Frame | None:
        now = time.monotonic()
        self._due = max(self._due + 1 / FPS, now - 1.0)
        if self._due > now:
            time.sleep(min(timeout, self._due - now))
        number, self._sequence = self._sequence, self._sequence + 1
        image = self._pictures[number % len(self._pictures)].copy()
        draw_time(image, time.time())
        return Frame(number, time.monotonic(), image, self._lores[number % len(self._lores)])


def draw_time(image: NDArray[np.uint8], seconds: float) -> None:
    milliseconds = round(seconds * 1000) % 2**BITS
    for bit in range(BITS):
        image[:SQUARE, bit * SQUARE : (bit + 1) * SQUARE] = WHITE if milliseconds >> bit & 1 else BLACK


def serve(folder: Path, port: int) -> None:
    """Run until standard input ends; a line is answered with what was used so far."""
    settings: dict[str, Any] = {
        "data_dir": folder,
        "cameras": {"front": {"type": "synthetic"}},
        "detector": {"isolate": False, "device": "cpu"},
        "web": {"enabled": True, "port": port, "max_viewers": 80},
        "clips": {"enabled": False},
    }
    config, clock, feed, newest = Config.model_validate(settings), SystemClock(), LiveFeed(), NewestFrame()
    camera = config.cameras["front"]
    parts = build_parts(config, "front", camera, resolve("edgecam-demo"), clock)
    store, encoder = ClipStore(folder / "edgecam.db"), EncoderOptions(codec="libx264")
    clips = ClipSink(folder / "clips", "front", store, clock, live=feed, encoder=encoder)
    sinks = [*build_sinks(config, parts, None, build_awaited(config, clock)), clips, NewestSink(newest)]
    made = replace(parts, camera=ClockCamera((320, 320)), sinks=sinks)
    pipeline = Pipeline(made, lambda: None)
    access = CameraAccess("front", parts.switches, newest, feed, (), camera)
    facts = Facts({}, MqttFacts(), folder)
    web = WebWorker(Premises(config, None, {"front": access}, lambda: facts, clock, None), lambda: None)
    web.start()
    pipeline.start()
    for _ in sys.stdin:
        usage, counters = resource.getrusage(resource.RUSAGE_SELF), pipeline.counters()
        latencies = pipeline.output.latencies.summary()["output"]
        rss = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
        told = {
            "cpu": usage.ru_utime + usage.ru_stime,
            "web": thread_seconds("web"),
            "time": time.monotonic(),
            "captured": counters.frames_captured,
            "analysed": counters.frames_analysed,
            "dropped": counters.frames_dropped,
            "latency": latencies.p50,
            "rss": rss,
            "feed_bytes": feed.bytes,
            "viewers_dropped": feed.dropped,
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    pipeline.stop()
    web.stop_within(20)


def thread_seconds(name: str) -> float:
    """Processor time of this process's thread of that name."""
    (thread,) = (each for each in threading.enumerate() if each.name == name)
    fields = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text(encoding="ascii").split()
    return int(fields[0]) / 1e9


async def watch(port: int, number: int) -> None:
    """Look with so many eyes."""

    async def look() -> None:
        async with connect(f"ws://127.0.0.1:{port}/live/front", compression=None, max_size=None) as viewer:
            async for _ in viewer:
                pass

    looking = [asyncio.create_task(look()) for _ in range(number)]
    await asyncio.to_thread(sys.stdin.read)
    for each in looking:
        each.cancel()


async def tread(port: int, number: int) -> None:
    """Half of them never read, half read a little each second; who was dropped comes again."""

    async def look(pause: float) -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
            head = [f"GET /live/front HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade"]
            head += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
            writer.write("\r\n".join([*head, "", ""]).encode())
            while pause == 0 or await reader.read(8000):
                await asyncio.sleep(pause or 3600)
            writer.close()

    treading = [asyncio.create_task(look(1.0 * (each % 2))) for each in range(number)]
    await asyncio.to_thread(sys.stdin.read)
    for each in treading:
        each.cancel()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        asyncio.run({"watch": watch, "tread": tread}[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3])))
