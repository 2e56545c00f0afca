"""Home Assistant's MQTT discovery: what makes it show edgecam and each of its cameras as devices.

The keys are those of https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery, device-based, which Home
Assistant has had since 2024.11. A key that it does not know it drops without a word, so a test compares them with its
own schemas.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgecam.config.events import EventsSection
from edgecam.config.mqtt import MqttSection
from edgecam.config.zones import MarkedSection
from edgecam.mqtt.diagnostics import Diagnostic, appliance_diagnostics, camera_diagnostics, camera_sees
from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.topics import SWITCHES, Topics

ORIGIN = "edgecam"
"""Who speaks, in every discovery message."""
PREFERRED = ("person", "bicycle", "car", "bus", "truck", "bird", "cat", "dog")
"""The labels that get entities where [events] labels names none: a model knows far more than anybody wants to see."""
_MOST = 8

_AT_LEAST_ONE = "{{ 'ON' if value | int(0) > 0 else 'OFF' }}"
_SWITCH_ICONS = {"detect": "mdi:motion-sensor", "recordings": "mdi:record-rec", "snapshots": "mdi:image-multiple"}

Document = dict[str, Any]
Part = tuple[tuple[str, ...], Document]
"""A component and what makes its id."""


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What a camera can tell: its labels, its zones with the labels of each (none: the camera's), and its lines with
    the names of their directions."""

    labels: Sequence[str]
    zones: Mapping[str, Sequence[str]] = field(default_factory=dict)
    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)


def camera_info(camera: MarkedSection, events: EventsSection, known: Sequence[str]) -> CameraInfo:
    """What a configured camera can tell; `known` are the labels of the model."""
    return CameraInfo(
        shown_labels(events, known),
        {name: zone.labels for name, zone in camera.zones.items()},
        {name: line.directions for name, line in camera.lines.items()},
    )


def shown_labels(events: EventsSection, known: Sequence[str]) -> tuple[str, ...]:
    """The labels that get entities: those of [events] labels; without any, the usual ones that the model knows, or its
    first eight where it knows none of them. Never those of exclude_labels."""
    if events.labels:
        return tuple(dict.fromkeys(events.labels))
    counting = dict.fromkeys(label for label in known if label and label not in events.exclude_labels)
    return tuple(label for label in PREFERRED if label in counting) or tuple(counting)[:_MOST]


def identity(*parts: str) -> str:
    """An id from names, of letters, digits, `-` and `_` only. Different names give different ids.

    Parts are joined by `-`; what is neither letter nor digit stands as its code between two `_`, and `_` as `__`.
    """

    def escaped(sign: re.Match[str]) -> str:
        return "__" if sign[0] == "_" else f"_{ord(sign[0]):x}_"

    return "-".join(re.sub(r"[^a-zA-Z0-9]", escaped, part) for part in parts)


def discovery_topic(discovery_prefix: str, object_id: str) -> str:
    """Where the message of a device stands."""
    return f"{discovery_prefix}/device/{object_id}/config"


def discovery_messages(
    config: MqttSection, topics: Topics, cameras: Mapping[str, CameraInfo], version: str
) -> list[tuple[str, bytes]]:
    """Topic and payload of each device: edgecam itself, then its cameras. To be retained. None where it is not wanted.

    `version` is edgecam's own.
    """
    if not config.discovery:
        return []
    documents = {identity(topics.prefix): _appliance(topics, version)}
    for name, camera in cameras.items():
        documents[identity(topics.prefix, name)] = _camera(config, topics, name, camera, version)
    return [
        (discovery_topic(config.discovery_prefix, object_id), json.dumps(document, separators=(",", ":")).encode())
        for object_id, document in documents.items()
    ]


def speaks_of(payload: bytes, topics: Topics) -> bool:
    """Whether a message found on a discovery topic is one of ours, also of a camera that is no longer configured."""
    try:
        document = json.loads(payload)
        return bool(
            document["origin"]["name"] == ORIGIN
            and any(place["topic"] == topics.available for place in document["availability"])
        )
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


class HomeAssistant:
    """Tells Home Assistant of the devices, and again whenever it says that it has started."""

    def __init__(self, config: MqttSection, retained: RetainedTopics, messages: Sequence[tuple[str, bytes]]) -> None:
        """`messages` are those of `discovery_messages`."""
        self._birth = f"{config.discovery_prefix}/status"
        self._wanted = config.discovery
        self._retained = retained
        self._messages = tuple(messages)

    def announce(self) -> None:
        """Say it, also where it was said before."""
        for topic, payload in self._messages:
            self._retained.put(topic, payload, again=True)

    def subscriptions(self) -> list[str]:
        """What to listen to; nothing without discovery."""
        return [self._birth] if self._wanted else []

    def handle(self, topic: str, payload: bytes) -> bool:
        """Take a message; returns whether it was Home Assistant's. Never raises."""
        if not self._wanted or topic != self._birth:
            return False
        if payload == b"online":
            self.announce()
        return True


def _device(
    object_id: str,
    name: str,
    availability: list[Document],
    components: Mapping[tuple[str, ...], Document],
    version: str,
) -> Document:
    """What is common to all devices; `availability` is that of the components that have none of their own."""
    return {
        "device": {"identifiers": [object_id], "name": name, "manufacturer": ORIGIN, "sw_version": version},
        "origin": {"name": ORIGIN, "sw_version": version},
        "availability": availability,
        "availability_mode": "all",
        "qos": 1,
        "components": {
            identity(*key): {**component, "unique_id": f"{object_id}-{identity(*key)}"}
            for key, component in components.items()
        },
    }


def _running(topics: Topics) -> Document:
    """Whether edgecam runs; `stopped` is as good as `offline`."""
    return _availability(topics.available, "{{ 'online' if value == 'online' else 'offline' }}")


def _availability(topic: str, template: str) -> Document:
    return {
        "topic": topic,
        "payload_available": "online",
        "payload_not_available": "offline",
        "value_template": template,
    }


def _appliance(topics: Topics, version: str) -> Document:
    """edgecam as a whole, which the cameras are reached through."""
    components = dict(_diagnostics(topics, appliance_diagnostics()))
    document = _device(identity(topics.prefix), topics.prefix, [_running(topics)], components, version)
    document["device"]["model"] = "Appliance"
    return document


def _camera(config: MqttSection, topics: Topics, name: str, camera: CameraInfo, version: str) -> Document:
    """One camera: what it sees, what can be asked of it, how it is. What it sees is available only while it can see."""
    seen: dict[tuple[str, ...], Document] = dict(_labels(config, topics, name, camera))
    for zone, labels in camera.zones.items():
        seen.update(_zone(topics, zone, labels or camera.labels))
    for line, directions in camera.lines.items():
        seen.update(_line(topics, name, line, directions))
    others = dict([*_controls(topics, name), *_diagnostics(topics, camera_diagnostics(name))])
    if config.snapshots == "bytes":
        others["picture",] = {"platform": "camera", "name": "Picture", "topic": topics.picture(name)}
    running = _running(topics)
    components = seen | {key: {**component, "availability": [running]} for key, component in others.items()}
    availability = [running, _availability(topics.status, camera_sees(name))]
    document = _device(identity(topics.prefix, name), _words(name), availability, components, version)
    document["device"] |= {"model": "Camera", "via_device": identity(topics.prefix)}
    return document


def _labels(config: MqttSection, topics: Topics, name: str, camera: CameraInfo) -> Iterator[Part]:
    yield ("all", "count"), _count("Objects", topics.total(name))
    for label in camera.labels:
        words = _words(label)
        yield ("label", label, "occupancy"), _occupancy(words, topics.count(name, label))
        yield ("label", label, "count"), _count(f"{words} count", topics.count(name, label))
        moving = _occupancy(f"{words} moving", topics.active(name, label)) | {"device_class": "moving"}
        yield ("label", label, "moving"), _hidden(moving)
        if config.snapshots == "bytes":
            image = {"platform": "image", "name": f"Last {words.lower()}", "image_topic": topics.snapshot(name, label)}
            yield ("label", label, "snapshot"), _hidden(image | {"content_type": "image/jpeg"})


def _zone(topics: Topics, zone: str, labels: Sequence[str]) -> Iterator[Part]:
    words = _words(zone)
    yield ("zone", zone, "occupancy"), _occupancy(f"{words} occupancy", topics.total(zone))
    yield ("zone", zone, "count"), _hidden(_count(f"{words} objects", topics.total(zone)))
    for label in labels:
        named = f"{words} {_words(label).lower()}"
        yield ("zone", zone, "label", label, "occupancy"), _occupancy(named, topics.count(zone, label))
        yield ("zone", zone, "label", label, "count"), _hidden(_count(f"{named} count", topics.count(zone, label)))


def _line(topics: Topics, name: str, line: str, directions: Sequence[str]) -> Iterator[Part]:
    for direction in directions:
        crossed = _count(f"{_words(line)} {_words(direction).lower()}", topics.crossed(name, line, direction))
        yield ("line", line, direction), crossed | {"state_class": "total_increasing", "icon": "mdi:swap-horizontal"}


def _controls(topics: Topics, name: str) -> Iterator[Part]:
    for switch in SWITCHES:
        yield (
            ("switch", switch),
            {
                "platform": "switch",
                "name": _words(switch),
                "icon": _SWITCH_ICONS[switch],
                "entity_category": "config",
                "state_topic": topics.state(name, switch),
                "command_topic": topics.set(name, switch),
            },
        )
    button = {"platform": "button", "name": "Take snapshot", "icon": "mdi:camera"}
    yield ("take", "snapshot"), button | {"command_topic": topics.take_snapshot(name)}


def _diagnostics(topics: Topics, diagnostics: Sequence[Diagnostic]) -> Iterator[Part]:
    for diagnostic in diagnostics:
        component = {
            "platform": diagnostic.platform,
            "name": diagnostic.name,
            "entity_category": "diagnostic",
            "state_topic": topics.status if diagnostic.source == "status" else topics.stats,
            "value_template": diagnostic.template,
            **diagnostic.keys,
        }
        yield ("diagnostic", diagnostic.key), component


def _occupancy(name: str, topic: str) -> Document:
    return {
        "platform": "binary_sensor",
        "name": name,
        "device_class": "occupancy",
        "state_topic": topic,
        "value_template": _AT_LEAST_ONE,
    }


def _count(name: str, topic: str) -> Document:
    return {
        "platform": "sensor",
        "name": name,
        "icon": "mdi:counter",
        "state_class": "measurement",
        "state_topic": topic,
    }


def _hidden(component: Document) -> Document:
    """Of use to few: there, but off until somebody switches it on in Home Assistant."""
    return component | {"enabled_by_default": False}


def _words(name: str) -> str:
    """A name of the configuration as people write it: `front_door` is Front door."""
    plain = re.sub(r"[_-]+", " ", name).strip() or name
    return plain[:1].upper() + plain[1:]
