"""A consumer of Frigate's MQTT messages: it knows https://docs.frigate.video/integrations/mqtt/ and a prefix, no more.

It reads as Home Assistant's integration and automations, and double-take, read: counts by `int(payload)`, switches by
`ON`, pictures as JPEG, and events by comparing `before` and `after`.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

LIMIT = 30.0
"""Seconds to wait for anything."""

Object = dict[str, Any]


@dataclass
class TrackedObject:
    """What the consumer has understood of one tracked object."""

    id: str
    camera: str
    label: str
    start_time: float
    end_time: float | None = None
    types: list[str] = field(default_factory=list)
    boxes: dict[float, tuple[int, int, int, int]] = field(default_factory=dict)
    """In pixels, by the time of their frame."""
    scores: list[float] = field(default_factory=list)
    entered: list[tuple[str, float]] = field(default_factory=list)
    """Zones with the time of the frame in which it entered them; `left` alike."""
    left: list[tuple[str, float]] = field(default_factory=list)
    best_time: float = 0.0
    best_box: tuple[int, int, int, int] = (0, 0, 0, 0)
    has_snapshot: bool = False
    stationary: bool = False


class FrigateConsumer:
    """Subscribes to all below the prefix, and keeps what it has understood; `puzzled` holds what it has not."""

    def __init__(self, prefix: str) -> None:
        self.available: str | None = None
        self.objects: dict[str, TrackedObject] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.active_counts: dict[tuple[str, str], int] = {}
        self.pictures: dict[tuple[str, str], NDArray[np.uint8]] = {}
        self.switches: dict[tuple[str, str], bool] = {}
        self.messages: list[Object] = []
        self.puzzled: list[str] = []
        self._prefix = prefix
        self._news = threading.Condition()
        self._subscribed = False
        self._client = Client(CallbackAPIVersion.VERSION2, "frigate-consumer")
        self._client.on_connect = lambda client, *_rest: client.subscribe(f"{prefix}/#", qos=1)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def connect(self, port: int, *, tls: ssl.SSLContext, login: tuple[str, str]) -> Self:
        """Connect to a broker on this machine; returns once subscribed."""
        self._client.tls_set_context(tls)
        self._client.username_pw_set(*login)
        self._client.connect("localhost", port)
        self._client.loop_start()
        self.wait_until(lambda: self._subscribed)
        return self

    def disconnect(self) -> None:
        """Go away."""
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.disconnect()

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait until what was understood fulfils a condition; fails after LIMIT."""
        with self._news:
            assert self._news.wait_for(condition, LIMIT), f"it does not come about; puzzled by {self.puzzled}"

    def switch(self, camera: str, name: str, *, on: bool) -> None:
        """Set one of a camera's switches."""
        self._client.publish(f"{self._prefix}/{camera}/{name}/set", "ON" if on else "OFF")

    def take(self, topic: str, payload: bytes) -> None:
        """Read one message."""
        levels = topic.removeprefix(f"{self._prefix}/").split("/")
        match levels:
            case ["available"]:
                self.available = payload.decode()
            case ["events"]:
                self._event(json.loads(payload))
            case [place, label, "active"]:
                self.active_counts[place, label] = int(payload)
            case [camera, label, "snapshot"]:
                self._picture(camera, label, payload)
            case [camera, switch, "state"] if payload in (b"ON", b"OFF"):
                self.switches[camera, switch] = payload == b"ON"
            case [place, label] if payload.isdigit():
                self.counts[place, label] = int(payload)
            case _:
                pass  # its subscription is a wide one; the documentation has many more topics

    def _event(self, message: Object) -> None:
        kind, before, after = message["type"], message["before"], message["after"]
        self.messages.append(message)
        if before["id"] != after["id"]:
            self.puzzled.append(f"before and after are not the same object: {message}")
        if kind == "new":
            self._new(before, after)
        known = self.objects.get(after["id"])
        if known is None:
            self.puzzled.append(f"{kind} of an object never announced: {after['id']}")
            return
        known.types.append(kind)
        self._understand(known, after)
        known.entered += _changed(after, before, "entered_zones")
        known.left += [(zone, after["frame_time"]) for zone, _ in _changed(before, after, "current_zones")]
        if kind == "end":
            known.end_time = after["end_time"]
        elif after["end_time"] is not None:
            self.puzzled.append(f"{kind} with an end: {after['id']}")

    def _new(self, before: Object, after: Object) -> None:
        if after["id"] in self.objects:
            self.puzzled.append(f"announced twice: {after['id']}")
        if not before["false_positive"] or after["false_positive"]:
            self.puzzled.append(f"announced, but no true positive just now: {after['id']}")
        self.objects[after["id"]] = TrackedObject(after["id"], after["camera"], after["label"], after["start_time"])

    def _understand(self, known: TrackedObject, after: Object) -> None:
        same = (after["camera"], after["label"], after["start_time"])
        if same != (known.camera, known.label, known.start_time):
            self.puzzled.append(f"another camera, label or start than before: {after}")
        left, top, right, bottom = after["box"]
        x1, y1, x2, y2 = after["region"]
        if not (x1 <= left < right <= x2 and y1 <= top < bottom <= y2):
            self.puzzled.append(f"a box that is none, or not in its region: {after['box']} in {after['region']}")
        if after["area"] != (right - left) * (bottom - top):
            self.puzzled.append(f"not the area of {after['box']}: {after['area']}")
        if abs(after["ratio"] - (right - left) / (bottom - top)) > 0.001:
            self.puzzled.append(f"not the ratio of {after['box']}: {after['ratio']}")
        if after["active"] == after["stationary"]:
            self.puzzled.append(f"active and stationary: {after['id']}")
        known.boxes[after["frame_time"]] = (left, top, right, bottom)
        known.scores.append(after["score"])
        known.best_time = after["snapshot"]["frame_time"]
        known.best_box = tuple(after["snapshot"]["box"])
        known.has_snapshot = after["has_snapshot"]
        known.stationary = after["stationary"]

    def _picture(self, camera: str, label: str, payload: bytes) -> None:
        picture = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            self.puzzled.append(f"no picture: {payload[:40]!r}")
            return
        self.pictures[camera, label] = picture.astype(np.uint8)

    def _on_subscribe(self, *_event: object) -> None:
        with self._news:
            self._subscribed = True
            self._news.notify_all()

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        with self._news:
            try:
                self.take(message.topic, bytes(message.payload))
            except (KeyError, TypeError, ValueError) as error:
                self.puzzled.append(f"{message.topic}: {error!r}")
            self._news.notify_all()


def _changed(now: Object, then: Object, key: str) -> list[tuple[str, float]]:
    """The zones that are there now and were not then, as an automation asks for them."""
    return [(zone, now["frame_time"]) for zone in now[key] if zone not in then[key]]
