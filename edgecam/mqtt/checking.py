"""What stands between edgecam and its broker, found out by trying."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgecam.config.mqtt import MqttSection
from edgecam.mqtt.credentials import broker_of
from edgecam.mqtt.discovery import discovery_topic, identity
from edgecam.mqtt.topics import Topics
from edgecam.mqtt.visit import BrokerError, BrokerVisit

_PROBE = "check"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, whether it is well, and what there is to say; the remedy where it is not."""

    name: str
    fine: bool
    text: str


def check(config: MqttSection) -> Iterator[Finding]:
    """Connect and try what edgecam does there, on a topic that nobody reads and without anything that stays.

    Ends at the first thing without which the others cannot be tried. Raises ConfigError for files that cannot be used.
    """
    broker = broker_of(config)
    yield _enabled(config)
    try:
        with BrokerVisit(broker) as visit:
            yield Finding("connection", True, f"{broker.address} {_manner(config)}")
            yield _events(visit, config)
            if config.discovery:
                yield _discovery(visit, config)
            yield _appliance(visit, config)
    except BrokerError as error:
        yield Finding("connection", False, str(error))


def check_topic(config: MqttSection) -> str:
    """What `check` writes and reads."""
    return f"{config.prefix}/{_PROBE}"


def _enabled(config: MqttSection) -> Finding:
    off = "false: nothing is sent; set [mqtt] enabled = true, and what follows holds"
    return Finding("enabled", config.enabled, "true" if config.enabled else off)


def _manner(config: MqttSection) -> str:
    who = f"as {config.username}" if config.username else "without a user"
    return f"speaks MQTT {config.version}{' over TLS' if config.tls else ''}, {who}"


def _events(visit: BrokerVisit, config: MqttSection) -> Finding:
    """Writing and reading below the prefix; a broker that refuses says so in MQTT 5 only, and for writing only."""
    topic = check_topic(config)
    everything = f"{config.prefix}/#"
    if not visit.may_publish(topic):
        return Finding("topics", False, f"{everything} may not be written: allow it in the broker's rules (ACL)")
    if not visit.hears_itself(topic):
        may_not = "may not be read" if config.version == "5" else "may not be written or not be read"
        text = f"{everything} {may_not}: commands and forget need it; allow it in the broker's rules (ACL)"
        return Finding("topics", False, text)
    return Finding("topics", True, f"{everything} may be written and read")


def _discovery(visit: BrokerVisit, config: MqttSection) -> Finding:
    """Writing where Home Assistant looks: an empty message about a device that there is not, for no camera's name has
    brackets."""
    topic = discovery_topic(config.discovery_prefix, identity(config.prefix, f"({_PROBE})"))
    everything = discovery_topic(config.discovery_prefix, "+")
    if not visit.may_publish(topic):
        text = f"{everything} may not be written: allow it in the broker's rules (ACL), or set [mqtt] discovery = false"
        return Finding("discovery", False, text)
    if config.version != "5":
        return Finding("discovery", True, f"{everything}: whether it may be written, the broker tells in MQTT 5 only")
    return Finding("discovery", True, f"{everything} may be written")


def _appliance(visit: BrokerVisit, config: MqttSection) -> Finding:
    """Whether an edgecam is there under this prefix; none is no fault."""
    topic = Topics(config.prefix).available
    said = visit.retained(topic).get(topic)
    known = {
        b"online": "edgecam is connected",
        b"stopped": "edgecam was stopped",
        b"offline": "edgecam has lost its connection",
    }
    return Finding("edgecam", True, known.get(said or b"", "no edgecam has been here"))
