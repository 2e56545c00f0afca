"""What a camera sees now, onto retained topics: counts, line crossings and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from edgecam.mqtt.pictures import SnapshotReference, SnapshotState
from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.topics import Topics
from edgecam.ports import Sink
from edgecam.sinks.jpeg import Snapshot
from edgecam.types import Crossing, Event, EventType

SnapshotPayload = Literal["bytes", "reference", "off"]
_NONE: Mapping[str, Sequence[str]] = MappingProxyType({})


class MqttSink(Sink):
    """Keeps a camera's retained topics up to date; the events themselves go out by way of the journal. Never fails.

    Counts are of the events that are open: by label, and all together, at the camera and in each zone; `active` are
    those that are not stationary. Each crossing of a line counts once, however many messages tell of it.

    `labels` are those to expect at the camera, `zones` those in each zone (none: as at the camera), `lines` the
    directions of each line: they are announced with 0. What else turns up is told when it does. A zone belongs to one
    camera.
    """

    name = "MQTT"

    def __init__(
        self,
        retained: RetainedTopics,
        topics: Topics,
        camera: str,
        *,
        labels: Sequence[str] = (),
        zones: Mapping[str, Sequence[str]] = _NONE,
        lines: Mapping[str, Sequence[str]] = _NONE,
        snapshots: SnapshotPayload = "bytes",
    ) -> None:
        self._retained = retained
        self._topics = topics
        self._camera = camera
        self._expected = {camera: tuple(labels)} | {zone: tuple(own or labels) for zone, own in zones.items()}
        self._snapshots = snapshots
        self._open: dict[str, Event] = {}
        self._crossings = {(line, direction): 0 for line, directions in lines.items() for direction in directions}

    def open(self) -> None:
        for place, labels in self._expected.items():
            self._tell_counts(place, labels)
        for line, direction in self._crossings:
            self._tell_crossings(line, direction)

    def publish(self, event: Event) -> None:
        before = self._open.pop(event.event_id, None)
        if event.type is not EventType.END:
            self._open[event.event_id] = event
        known = [event] if before is None else [before, event]
        for place in {self._camera}.union(*(each.current_zones for each in known)):
            self._tell_counts(place, {each.label for each in known})
        self._count(event.crossings, () if before is None else before.crossings)

    def saved(self, snapshot: Snapshot) -> None:
        """Show a picture that was just saved."""
        if not snapshot.event_id:
            self._answer(SnapshotState(time=snapshot.taken, path=str(snapshot.path), frame=snapshot.sequence, error=""))
        if self._snapshots == "bytes":
            self._retained.put(self._topics.picture(self._camera), snapshot.jpeg)
        if self._snapshots != "off" and snapshot.event_id:
            topic = self._topics.snapshot(self._camera, snapshot.label)
            self._retained.put(topic, snapshot.jpeg if self._snapshots == "bytes" else _reference(snapshot))

    def failed(self, reason: str) -> None:
        """Say why there is no picture, to whoever asked for one."""
        self._answer(SnapshotState(time=None, path=None, frame=None, error=reason))

    def _tell_counts(self, place: str, labels: Iterable[str]) -> None:
        here = [each for each in self._open.values() if place == self._camera or place in each.current_zones]
        for label in labels:
            self._tell(self._topics.count(place, label), sum(each.label == label for each in here))
            active = sum(each.label == label and not each.stationary for each in here)
            self._tell(self._topics.active(place, label), active)
        self._tell(self._topics.total(place), len(here))
        self._tell(self._topics.total_active(place), sum(not each.stationary for each in here))

    def _count(self, crossings: Sequence[Crossing], before: Sequence[Crossing]) -> None:
        for crossing in crossings:
            if crossing not in before:
                way = crossing.line, crossing.direction
                self._crossings[way] = self._crossings.get(way, 0) + 1
                self._tell_crossings(*way)

    def _tell_crossings(self, line: str, direction: str) -> None:
        self._tell(self._topics.crossed(self._camera, line, direction), self._crossings[line, direction])

    def _tell(self, topic: str, count: int) -> None:
        self._retained.put(topic, b"%d" % count)

    def _answer(self, state: SnapshotState) -> None:
        self._retained.put(self._topics.snapshot_taken(self._camera), state.model_dump_json().encode(), again=True)


def _reference(snapshot: Snapshot) -> bytes:
    return (
        SnapshotReference(
            id=snapshot.event_id,
            camera=snapshot.camera,
            label=snapshot.label,
            path=str(snapshot.path),
            time=snapshot.taken,
            frame=snapshot.sequence,
        )
        .model_dump_json()
        .encode()
    )
