"""The broker of the tests does what the tests count on."""

from __future__ import annotations

from mqtt_broker import CONSUMER, Listener, Mosquitto
from paho.mqtt.enums import MQTTProtocolVersion


def test_a_listener_gets_what_was_said_while_it_was_away(broker: Mosquitto) -> None:
    for version in (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311):
        with Listener(broker, "x/#", client_id=f"reader-{version}", version=version):
            pass
    with Listener(broker, client_id="writer") as writer:
        writer.publish("x/1", b"one")
    broker.stop()
    broker.start()
    for version in (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311):
        with Listener(broker, "x/#", client_id=f"reader-{version}", version=version) as reader:
            reader.wait_for("x/1", b"one")


def test_a_listener_survives_a_killed_broker(broker: Mosquitto) -> None:
    with Listener(broker) as listener:
        broker.kill()
        broker.start()
        with Listener(broker, client_id="writer") as writer:
            writer.publish("x", b"retained", retain=True)
        listener.wait_for("x", b"retained")


def test_the_secure_broker_lets_the_consumer_in(secure_broker: Mosquitto) -> None:
    with Listener(secure_broker, login=CONSUMER) as consumer:
        consumer.publish("edgecam/x", b"1")
        consumer.wait_for("edgecam/x", b"1")
