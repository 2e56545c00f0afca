"""A broker of the tool's own, and who listens there: from a frame's time to the message about it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from bench_peers.environments import Unavailable

EDGECAM, WATSOR = "edgecam/events", "watsor/cameras/film/detection/+/details"
COMMAND = "watsor/cameras/film/command"
_LIMIT = 10.0


class Told(NamedTuple):
    """When a message came and the time of the frame it tells of, Unix seconds."""

    came: float
    frame_time: float


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """A running mosquitto; its port. Raises Unavailable."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Unavailable("there is no mosquitto here: apt-get install mosquitto")
    port = free_port()
    configuration = folder / "mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", encoding="ascii")
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen([program, "-c", configuration], stdout=log, stderr=log)
    try:
        _wait_for(lambda: _answers(port), "mosquitto does not take connections")
        yield port
    finally:
        process.terminate()
        process.wait(_LIMIT)


class Listener:
    """Hears both appliances' messages about detections, from `start` to `stop`."""

    def __init__(self, port: int) -> None:
        self.told: list[Told] = []
        self._port = port
        self._subscribed = False
        self._client = Client(CallbackAPIVersion.VERSION2, "bench-peers")
        self._client.on_message = self._hear
        self._client.on_subscribe = self._note

    def start(self) -> None:
        """Raises Unavailable where the broker does not answer. Watsor is asked, for when it comes, to tell details."""
        self._subscribed = False
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        self._client.publish(COMMAND, "details = on", qos=1, retain=True).wait_for_publish(_LIMIT)
        self._client.subscribe([(EDGECAM, 1), (WATSOR, 1)])
        _wait_for(lambda: self._subscribed, "the broker does not take subscriptions")

    def stop(self) -> None:
        """Hang up."""
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, *_rest: object) -> None:
        self._subscribed = True

    def _hear(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        came = time.time()
        self.told.append(Told(came, frame_time(message.topic, message.payload)))


def frame_time(topic: str, payload: bytes | bytearray) -> float:
    """The time of the frame that a message tells of: edgecam's is that of its capture, Watsor's of its arrival."""
    said: dict[str, Any] = json.loads(payload)
    if topic == EDGECAM:
        return float(said["after"]["frame_time"])
    return datetime.fromisoformat(said["t"]).timestamp()  # Watsor's has no zone: this machine's


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _wait_for(condition: Callable[[], bool], otherwise: str) -> None:
    ends = time.monotonic() + _LIMIT
    while not condition():
        if time.monotonic() > ends:
            raise Unavailable(otherwise)
        time.sleep(0.05)
