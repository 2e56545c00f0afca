"""What was written for Frigate understands edgecam: a foreign consumer, a real broker, the truth of a scene."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest
from frigate_consumer import FrigateConsumer, TrackedObject
from jsonschema import Draft202012Validator
from mqtt_broker import CONSUMER, EDGECAM, Listener, Mosquitto

from edgecam.clock import SystemClock
from edgecam.events import EventRules, frigate_event_id
from edgecam.marks import Marks
from edgecam.mqtt.commands import Commands
from edgecam.mqtt.credentials import Broker
from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.schemas import payload_value, schema_for
from edgecam.mqtt.topics import Topics
from edgecam.outbox import Outbox
from edgecam.publisher import PublishWorker
from edgecam.sinks.journal import JournalSink
from edgecam.sinks.mqtt import MqttSink
from edgecam.sinks.snapshot import SnapshotSink
from edgecam.spool import Spool
from edgecam.switches import Switches
from edgecam.testing import ManualClock
from edgecam.tracker import Tracker
from edgecam.types import AnnotatedFrame, BBox, Detection, Frame
from edgecam.zones import Zone

pytestmark = pytest.mark.any_runtime

PREFIX = "edgecam/at-home"
SIZE = WIDTH, HEIGHT = 640, 360
RATE = 10
WALL = 1767225600.0
"""Wall time of the scene's beginning."""
STREET, DRIVE = (0.0, 0.4), (0.35, 1.0)
"""The zones, from left to right; both over the whole height."""
INERTIA = 3 / RATE + 0.001
MEMORY = 20.0
"""How long a stationary object is waited for."""


@dataclass(frozen=True)
class Actor:
    """A plain rectangle that comes, moves evenly from one place to another, stands there, and goes."""

    label: str
    colour: tuple[int, int, int]
    comes: float
    stands: float
    goes: float
    start: BBox
    place: BBox

    def box(self, t: float) -> BBox:
        return self.start.toward(self.place, min(1.0, (t - self.comes) / (self.stands - self.comes)))

    def times(self) -> list[float]:
        """The seconds at which it is seen."""
        return [n / RATE for n in range(400) if self.comes <= n / RATE < self.goes]


PERSON = Actor("person", (40, 40, 220), 1.0, 9.0, 9.0, BBox(0.05, 0.5, 0.15, 0.8), BBox(0.75, 0.5, 0.85, 0.8))
CAR = Actor("car", (220, 60, 40), 3.0, 6.0, 24.0, BBox(0.72, 0.1, 0.97, 0.35), BBox(0.45, 0.1, 0.7, 0.35))
DOG = Actor("dog", (40, 200, 40), 12.0, 15.0, 16.0, BBox(0.8, 0.8, 0.9, 0.95), BBox(0.1, 0.8, 0.2, 0.95))
ACTORS = (PERSON, CAR, DOG)


class Appliance:
    """Tracker, rules, sinks and publisher of one camera, played through the scene."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.clock = ManualClock(wall_at_zero=datetime.fromtimestamp(WALL, UTC))
        self.topics = Topics(PREFIX)
        self.retained = RetainedTopics()
        self._n = 0
        self._tracker = Tracker()
        random = Random(1)
        zones = tuple(
            Zone(name, ((left, 0.0), (right, 0.0), (right, 1.0), (left, 1.0)))
            for name, (left, right) in {"street": STREET, "drive": DRIVE}.items()
        )
        self._rules = EventRules(
            "front",
            marks=Marks(zones=zones),
            clock=self.clock,
            new_id=lambda wall: frigate_event_id(wall, random),
            stationary_after=5.0,
            stationary_memory=MEMORY,
        )
        journal = folder / "edgecam.db"
        self.switches = Switches()
        commands = Commands(self.topics, {"front": self.switches}, self.retained, lambda _camera: None, self.clock)
        self._publisher = PublishWorker(
            broker,
            Spool(Outbox(journal), messages=1000, age=3600.0),
            self.retained,
            self.topics,
            SystemClock(),
            lambda: None,
            commands=commands.handle,
            subscriptions=commands.subscriptions(),
        )
        counts = MqttSink(
            self.retained, self.topics, "front", labels=("person", "car", "dog"), zones={"street": (), "drive": ()}
        )
        snapshots = folder / "snapshots"
        self._sinks = (
            SnapshotSink(snapshots, quality=95, on_saved=counts.saved),
            JournalSink(journal, snapshots=snapshots, outbox=True, on_record=self._publisher.recorded),
            counts,
        )
        for sink in self._sinks:
            sink.open()
        self._publisher.start()

    def play_until(self, t: float) -> None:
        """Go on with the scene."""
        while self._n / RATE < t:
            self._look(self._n)
            self._n += 1

    def stop(self) -> None:
        """Publish what is left, and end. May be called twice."""
        self._publisher.stopping.set()
        self._publisher.join_within(30.0)
        assert self._publisher.fault is None
        for sink in self._sinks:
            sink.close()

    def _look(self, n: int) -> None:
        now = n / RATE
        self.clock.advance(now - self.clock.monotonic())
        seen = [(actor, actor.box(now)) for actor in ACTORS if now in actor.times()]
        found = [Detection(actor.label, 0.8, box) for actor, box in seen]
        frame = Frame(n, now, painted(seen), np.zeros((2, 2, 3), np.uint8))
        events = self._rules.update(n, now, self._tracker.update(now, self._rules.accept(found)), SIZE)
        for sink in self._sinks:
            sink.write(AnnotatedFrame(frame, frame.main, (), None))
            for event in events:
                sink.publish(event)


def painted(seen: list[tuple[Actor, BBox]]) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """The picture, I420: a grey ground and who is there."""
    picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for actor, box in seen:
        left, top, right, bottom = in_pixels(box)
        picture[top:bottom, left:right] = actor.colour
    return np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)


def in_pixels(box: BBox) -> tuple[int, int, int, int]:
    return round(box.xmin * WIDTH), round(box.ymin * HEIGHT), round(box.xmax * WIDTH), round(box.ymax * HEIGHT)


@pytest.fixture
def consumer(secure_broker: Mosquitto) -> Iterator[FrigateConsumer]:
    with FrigateConsumer(PREFIX) as foreign:
        yield foreign.connect(secure_broker.port, tls=trusting(secure_broker), login=CONSUMER)


@pytest.fixture
def listener(secure_broker: Mosquitto) -> Iterator[Listener]:
    with Listener(secure_broker, f"{PREFIX}/#", login=CONSUMER) as everything:
        yield everything


@pytest.fixture
def appliance(secure_broker: Mosquitto, tmp_path: Path) -> Iterator[Appliance]:
    user, password = EDGECAM
    made = Appliance(
        tmp_path,
        Broker(port=secure_broker.port, username=user, password=password, tls=trusting(secure_broker)),
    )
    yield made
    made.stop()


def trusting(broker: Mosquitto) -> ssl.SSLContext:
    assert broker.certificates
    return ssl.create_default_context(cafile=broker.certificates.file("ca.crt"))


def test_a_consumer_written_for_frigate_understands_the_scene(
    consumer: FrigateConsumer, listener: Listener, appliance: Appliance
) -> None:
    consumer.wait_until(lambda: consumer.available == "online")
    appliance.play_until(8.0)
    consumer.wait_until(lambda: places(consumer, "all") == {"front": 2, "street": 0, "drive": 2})
    consumer.wait_until(lambda: places(consumer, "dog") == {"front": 0, "street": 0, "drive": 0})
    appliance.play_until(11.5)
    consumer.wait_until(lambda: places(consumer, "all") == {"front": 1, "street": 0, "drive": 1})
    consumer.wait_until(lambda: consumer.active_counts["drive", "car"] == 0)
    assert consumer.counts["drive", "car"] == 1
    appliance.play_until(CAR.goes + MEMORY + 1)
    appliance.stop()
    consumer.wait_until(lambda: consumer.available == "stopped")
    assert set(consumer.counts.values()) == {0}
    assert consumer.puzzled == []
    assert [each.label for each in consumer.objects.values()] == ["person", "car", "dog"]
    for actor, known in zip(ACTORS, consumer.objects.values(), strict=True):
        check(actor, known)
        check_picture(actor, known, consumer)
    listener.wait_for(appliance.topics.available, b"stopped")
    check_payloads(appliance.topics, listener)


def test_it_can_use_the_switches_as_frigate_documents_them(consumer: FrigateConsumer, appliance: Appliance) -> None:
    names = [(("front", name), True) for name in ("detect", "recordings", "snapshots")]
    consumer.wait_until(lambda: sorted(consumer.switches.items()) == names)
    consumer.switch("front", "detect", on=False)
    consumer.wait_until(lambda: not consumer.switches["front", "detect"])
    assert [appliance.switches[name] for name in ("detect", "recordings", "snapshots")] == [False, True, True]
    consumer.switch("front", "detect", on=True)
    consumer.wait_until(lambda: consumer.switches["front", "detect"])
    assert consumer.puzzled == []


def places(consumer: FrigateConsumer, label: str) -> dict[str, int]:
    """The counts of one label at each place."""
    return {place: count for (place, each), count in consumer.counts.items() if each == label}


def check(actor: Actor, known: TrackedObject) -> None:
    """What the consumer knows is what was."""
    seen = actor.times()
    assert known.camera == "front"
    assert known.types == ["new", *["update"] * (len(known.types) - 2), "end"]
    assert known.start_time == pytest.approx(WALL + seen[0], abs=1e-5)
    assert known.end_time == pytest.approx(WALL + seen[-1], abs=1e-5)
    assert known.id.startswith(f"{known.start_time:.6f}-")
    *moving, last = known.boxes.items()
    for when, box in moving:
        assert np.abs(np.subtract(box, in_pixels(actor.box(when - WALL)))).max() <= 1
    assert np.abs(np.subtract(last[1], in_pixels(actor.box(seen[-1])))).max() <= 1, "the end shows where it last was"
    assert known.scores == [0.8] * len(known.scores)
    assert known.stationary is (actor is CAR)
    check_zones(actor, known)


def check_zones(actor: Actor, known: TrackedObject) -> None:
    """It has entered and left the zones in which it was, when it did, but for the inertia."""
    inside = {
        zone: [t for t in actor.times() if left <= actor.box(t).center[0] <= right]
        for zone, (left, right) in {"street": STREET, "drive": DRIVE}.items()
    }
    entered = {zone: times[0] for zone, times in inside.items() if times}
    left = {zone: times[-1] for zone, times in inside.items() if times and times[-1] < actor.times()[-1]}
    assert {zone for zone, _ in known.entered} == entered.keys()
    assert [zone for zone, _ in known.entered] == sorted(entered, key=lambda zone: entered[zone])
    assert {zone for zone, _ in known.left} == left.keys()
    for zone, when in known.entered:
        assert -1e-5 < when - WALL - entered[zone] <= INERTIA
    for zone, when in known.left:
        assert -1e-5 < when - WALL - left[zone] <= INERTIA


def check_picture(actor: Actor, known: TrackedObject, consumer: FrigateConsumer) -> None:
    """The picture is of the stated size, and what is in the stated box is the object, to the pixel."""
    assert known.has_snapshot
    picture = consumer.pictures["front", actor.label]
    last = next(message["after"] for message in consumer.messages[::-1] if message["after"]["id"] == known.id)
    assert list(picture.shape[1::-1]) == last["frame_size"] == last["region"][2:]
    assert any(abs(known.best_time - WALL - t) < 1e-5 for t in actor.times())
    left, top, right, bottom = known.best_box
    inner = picture[top + 3 : bottom - 3, left + 3 : right - 3].reshape(-1, 3).astype(int)
    assert np.abs(inner - actor.colour).max() < 30
    outer = picture[max(0, top - 4) : bottom + 4, max(0, left - 4) : right + 4].copy()
    outer[4:-4, 4:-4] = 128
    assert np.median(np.abs(outer.astype(int) - 128)) < 10, "all around it is ground"


def check_payloads(topics: Topics, listener: Listener) -> None:
    """All that was said has a schema and keeps to it."""
    kinds = {topics.events: "events", topics.available: "available", topics.picture("front"): "picture"}
    for place in ("front", "street", "drive"):
        kinds |= {topics.total(place): "total", topics.total_active(place): "total_active"}
        for actor in ACTORS:
            kinds |= {topics.count(place, actor.label): "count", topics.active(place, actor.label): "active"}
            kinds |= {topics.snapshot(place, actor.label): "snapshot"}
    kinds |= {topics.state("front", name): "state" for name in ("detect", "recordings", "snapshots")}
    assert {kinds[each.topic] for each in listener.received} == {*kinds.values()}
    for each in listener.received:
        Draft202012Validator(schema_for(kinds[each.topic])).validate(payload_value(each.payload))
    assert all(each.qos == 1 for each in listener.on(topics.events))
