"""The directory of all topics: who says what on each of them, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgecam.config import Config
from edgecam.mqtt.topics import SWITCHES, Topics

ANY_LABEL = "LABEL"
"""Stands for the labels that the model knows, where the configuration names none."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of topic, by the name it has in `Topics` and `edgecam mqtt schema`.

    `command`: others write it and edgecam reads it. All are of QoS 1.
    """

    name: str
    says: str
    retained: bool = True
    command: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One topic."""

    topic: str
    kind: Kind


KINDS = {
    kind.name: kind
    for kind in (
        Kind("available", "online, stopped, or by the will offline"),
        Kind("status", "how edgecam is, JSON"),
        Kind("stats", "rates, counts and latencies, JSON"),
        Kind("events", "each message of each event, JSON", retained=False),
        Kind("count", "how many objects of the label are there"),
        Kind("active", "how many of them are not stationary"),
        Kind("total", "how many objects are there"),
        Kind("total_active", "how many of them are not stationary"),
        Kind("snapshot", "the picture of the label's last event, or where it lies"),
        Kind("picture", "the camera's last picture, JPEG"),
        Kind("take_snapshot", "PRESS: take a picture now", retained=False, command=True),
        Kind("snapshot_taken", "when that was, and where the picture lies, JSON"),
        Kind("crossed", "how many objects went over the line that way since edgecam started"),
        Kind("set", "ON or OFF: set the switch", retained=False, command=True),
        Kind("state", "ON or OFF: how the switch stands"),
    )
}


def directory(config: Config) -> Iterator[Entry]:
    """Every topic of this configuration; labels are those that it names."""
    topics = Topics(config.mqtt.prefix)
    for name in ("available", "status", "stats", "events"):
        yield Entry(getattr(topics, name), KINDS[name])
    for name, camera in config.enabled_cameras.items():
        labels = config.events.labels or (ANY_LABEL,)
        yield from _place(topics, name, labels)
        if config.mqtt.snapshots != "off":
            yield from (Entry(topics.snapshot(name, label), KINDS["snapshot"]) for label in labels)
        if config.mqtt.snapshots == "bytes":
            yield Entry(topics.picture(name), KINDS["picture"])
        for zone, options in camera.zones.items():
            yield from _place(topics, zone, options.labels or labels)
        for line, ways in camera.lines.items():
            yield from (Entry(topics.crossed(name, line, way), KINDS["crossed"]) for way in ways.directions)
        yield from _controls(topics, name)


def _place(topics: Topics, place: str, labels: Sequence[str]) -> Iterator[Entry]:
    for label in labels:
        yield Entry(topics.count(place, label), KINDS["count"])
        yield Entry(topics.active(place, label), KINDS["active"])
    yield Entry(topics.total(place), KINDS["total"])
    yield Entry(topics.total_active(place), KINDS["total_active"])


def _controls(topics: Topics, camera: str) -> Iterator[Entry]:
    for switch in SWITCHES:
        yield Entry(topics.set(camera, switch), KINDS["set"])
        yield Entry(topics.state(camera, switch), KINDS["state"])
    yield Entry(topics.take_snapshot(camera), KINDS["take_snapshot"])
    yield Entry(topics.snapshot_taken(camera), KINDS["snapshot_taken"])
