"""Commands, counts and pictures through a real broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from mqtt_broker import Listener, Mosquitto
from publishing import Publishing, plain, publishing
from sink_stories import annotated, event, tell

from edgecam.mqtt.commands import Commands
from edgecam.mqtt.topics import SWITCHES, Topics
from edgecam.sinks.mqtt import MqttSink
from edgecam.sinks.requested import RequestedSnapshotSink
from edgecam.switches import Switches
from edgecam.testing import ManualClock
from edgecam.types import EventType

pytestmark = pytest.mark.any_runtime

TOPICS = Topics()


@dataclass(frozen=True)
class Appliance:
    """What a camera has to do with MQTT, at work."""

    publishing: Publishing
    switches: Switches
    sink: MqttSink
    pictures: RequestedSnapshotSink


@contextmanager
def appliance(folder: Path, broker: Mosquitto, version: str = "5") -> Iterator[Appliance]:
    """One camera, `front`, whose commands and topics go through the broker."""
    held: list[Commands] = []

    def handle(topic: str, payload: bytes, *retained: bool) -> None:
        held[0].handle(topic, payload, *retained)

    topics = [TOPICS.set("front", name) for name in SWITCHES] + [TOPICS.take_snapshot("front")]
    with publishing(
        folder / "edgecam.db",
        plain(broker, version=version),
        commands=handle,
        subscriptions=topics,
    ) as pair:
        switches, sink = Switches(), MqttSink(pair.retained, TOPICS, "front", labels=("person",))
        pictures = RequestedSnapshotSink(
            folder / "snapshots", "front", ManualClock(), on_saved=sink.saved, on_failed=sink.failed
        )
        held.append(
            Commands(TOPICS, {"front": switches}, pair.retained, lambda _camera: pictures.request(), ManualClock())
        )
        assert held[0].subscriptions() == topics
        sink.open()
        pair.wait_until(lambda: pair.worker.connected)
        yield Appliance(pair, switches, sink, pictures)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_switch_is_set_and_answers_over_the_broker(tmp_path: Path, broker: Mosquitto, version: str) -> None:
    with appliance(tmp_path, broker, version) as camera, Listener(broker) as listener:
        listener.wait_for("edgecam/front/detect/state", b"ON")
        for payload in (b"OFF", b"junk\xff", b"", b"ON\n"):
            listener.publish("edgecam/front/detect/set", payload)
        listener.wait_for("edgecam/front/detect/state", b"OFF")
        listener.publish("edgecam/front/recordings/set", b"OFF")
        listener.wait_for("edgecam/front/recordings/state", b"OFF")
        assert [camera.switches[name] for name in SWITCHES] == [False, False, True]


def test_a_command_that_the_broker_kept_does_not_come_back_with_each_connection(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with appliance(tmp_path, broker) as camera, Listener(broker) as listener:
        listener.publish("edgecam/front/detect/set", b"OFF", retain=True)
        listener.wait_for("edgecam/front/detect/state", b"OFF")
        listener.publish("edgecam/front/detect/set", b"ON")
        listener.wait_for("edgecam/front/detect/state", b"ON", count=2)
        since = camera.publishing.worker.since
        broker.stop()
        broker.start()
        camera.publishing.wait_until(
            lambda: camera.publishing.worker.connected and camera.publishing.worker.since > since
        )
        listener.publish("edgecam/front/recordings/set", b"OFF")
        listener.wait_for("edgecam/front/recordings/state", b"OFF")
        assert camera.switches["detect"], "what was commanded last holds"


def test_counts_and_pictures_lie_on_the_broker_for_who_comes_later(tmp_path: Path, broker: Mosquitto) -> None:
    with appliance(tmp_path, broker) as camera:
        with Listener(broker, client_id="first") as listener:
            camera.sink.publish(event(EventType.NEW, 3))
            listener.wait_for("edgecam/front/person", b"1")
            listener.publish("edgecam/front/snapshot", b"PRESS")
            camera.publishing.wait_until(camera.pictures._wanted.is_set)
            tell(camera.pictures, annotated(4))
            listener.wait_for("edgecam/front/picture")
        with Listener(broker, client_id="second") as later:
            later.wait_for("edgecam/front/picture")
            later.wait_for("edgecam/front/snapshot/state")
            (number,), (state,), (picture,) = (
                later.payloads(f"edgecam/front/{topic}") for topic in ("person", "snapshot/state", "picture")
            )
            assert number == b"1"
            assert Path(json.loads(state)["path"]).read_bytes() == picture
