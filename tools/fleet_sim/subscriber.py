"""Who listens to the whole fleet, in a process of its own: what comes, how late, and what is missing."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from multiprocessing.connection import Connection
from threading import Lock
from time import time
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fleet_sim.appliance import SITE
from fleet_sim.children import STOP, messages

SESSION = 3600
"""Seconds for which the broker keeps what comes while a subscriber is away."""
OTHERS = ("available", "status", "stats")
"""What the first subscriber hears of each appliance beside its events."""


@dataclass(slots=True)
class Received:
    """What has come since the last look: `events` messages of events and `others`, `size_bytes` in all.

    `delays` are the seconds from an event message's frame time to its arrival, of those that were sent at once; `late`
    is how many were sent later, after an outage. `sequences` are those of all event messages, by topic.
    """

    events: int = 0
    others: int = 0
    size_bytes: int = 0
    late: int = 0
    delays: list[float] = field(default_factory=list)
    sequences: dict[str, list[int]] = field(default_factory=dict)

    def take(self, topic: str, payload: bytes, now: float) -> None:
        """Note one message; `now` is in Unix seconds."""
        self.size_bytes += len(payload)
        if not topic.endswith("/events"):
            self.others += 1
            return
        self.events += 1
        document = json.loads(payload)
        self.sequences.setdefault(topic, []).append(document["sequence"])
        if document["late"]:
            self.late += 1
        else:
            self.delays.append(now - document["after"]["frame_time"])

    def __add__(self, other: Received) -> Received:
        sequences = {topic: list(numbers) for topic, numbers in self.sequences.items()}
        for topic, numbers in other.sequences.items():
            sequences.setdefault(topic, []).extend(numbers)
        return Received(
            self.events + other.events,
            self.others + other.others,
            self.size_bytes + other.size_bytes,
            self.late + other.late,
            self.delays + other.delays,
            sequences,
        )


def percentile(values: Sequence[float], share: float) -> float | None:
    """By nearest rank; None without values."""
    return sorted(values)[ceil(share * len(values)) - 1] if values else None


def missing(sequences: Sequence[int]) -> int:
    """How many numbers from 1 to the greatest are not there: each is an event message that was lost on its way."""
    return max(sequences, default=0) - len(set(sequences))


def topics(number: int, *, shared: bool) -> list[str]:
    """What subscriber `number` subscribes to; `shared`: each event goes to one of several."""
    events = f"{SITE}/+/events"
    return [f"$share/backend/{events}" if shared else events, *(f"{SITE}/+/{each}" for each in OTHERS if not number)]


class Subscriber:
    """One subscriber whose session the broker keeps, so that it misses nothing while the broker is away."""

    def __init__(self, port: int, number: int, *, shared: bool) -> None:
        self._topics = [(topic, 1) for topic in topics(number, shared=shared)]
        self._lock = Lock()
        self._received = Received()
        self._subscribed = False
        self._client = Client(CallbackAPIVersion.VERSION2, f"backend-{number}", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION
        properties.ReceiveMaximum = 1000
        self._client.connect_async("127.0.0.1", port, clean_start=False, properties=properties)
        self._client.loop_start()

    def heard(self, name: str) -> object:
        """The answer to a message: `subscribed` says whether it is, `taken` tells what has come since the last one."""
        if name == "subscribed":
            return self._subscribed
        with self._lock:
            received, self._received = self._received, Received()
        return received

    def stop(self) -> None:
        """Go away."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Client, *_arguments: Any) -> None:
        client.subscribe(self._topics)

    def _on_subscribe(self, *_arguments: Any) -> None:
        self._subscribed = True

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        now = time()
        with self._lock:
            self._received.take(message.topic, bytes(message.payload), now)


def main(pipe: Connection, port: int, number: int, shared: bool) -> None:  # noqa: FBT001 (of a process's arguments)
    """What the process runs."""
    logging.disable(logging.WARNING)
    subscriber = Subscriber(port, number, shared=shared)
    try:
        while True:
            for name, _argument in messages(pipe, 1.0):
                if name == STOP:
                    return
                pipe.send(subscriber.heard(name))
    except KeyboardInterrupt:
        return
    finally:
        subscriber.stop()
