"""What stands between edgecam and its broker, found out by trying."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
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


Said = tuple[bool, str]
"""Whether it is well, and what there is to say."""


def check(config: MqttSection, environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Connect and try what edgecam does there, on a topic that nobody reads and without anything that stays.

    Ends at the first thing without which the others cannot be tried. `environment` says where credentials are. Raises
    ConfigError for files that cannot be used.
    """
    broker = broker_of(config, environment)
    yield Finding("enabled", *_enabled(config))
    tried = "connection"
    try:
        with BrokerVisit(broker) as visit:
            yield Finding(tried, True, f"{broker.address} {_manner(config)}")
            for tried, look in _LOOKS.items():
                yield Finding(tried, *look(visit, config))
    except BrokerError as error:
        yield Finding(tried, False, str(error))


def check_topic(config: MqttSection) -> str:
    """What `check` writes and reads."""
    return f"{config.prefix}/{_PROBE}"


def _enabled(config: MqttSection) -> Said:
    off = "false: nothing is sent; set mqtt.enabled = true"
    return config.enabled, "true" if config.enabled else off


def _manner(config: MqttSection) -> str:
    who = f"as {config.username}" if config.username else "without a user"
    return f"speaks MQTT {config.version}{' over TLS' if config.tls else ''}, {who}"


def _events(visit: BrokerVisit, config: MqttSection) -> Said:
    """Writing and reading below the prefix; a broker that refuses says so in MQTT 5 only, and for writing only."""
    topic = check_topic(config)
    everything = f"{config.prefix}/#"
    if not visit.may_publish(topic):
        return False, f"{everything} may not be written: allow it in the broker's rules (ACL)"
    if not visit.hears_itself(topic):
        may_not = "may not be read" if config.version == "5" else "may not be written or not be read"
        text = f"{everything} {may_not}: commands and forget need it; allow it in the broker's rules (ACL)"
        return False, text
    return True, f"{everything} may be written and read"


def _discovery(visit: BrokerVisit, config: MqttSection) -> Said:
    """Writing where Home Assistant looks: an empty message about a device that there is not, for no camera's name has
    brackets."""
    if not config.discovery:
        return True, "mqtt.discovery is false"
    topic = discovery_topic(config.discovery_prefix, identity(config.prefix, f"({_PROBE})"))
    everything = discovery_topic(config.discovery_prefix, "+")
    if not visit.may_publish(topic):
        text = f"{everything} may not be written: allow it in the broker's rules (ACL), or set mqtt.discovery = false"
        return False, text
    if config.version != "5":
        return True, f"{everything}: whether it may be written, the broker tells in MQTT 5 only"
    return True, f"{everything} may be written"


def _appliance(visit: BrokerVisit, config: MqttSection) -> Said:
    """Whether an edgecam is there under this prefix; none is no fault."""
    topic = Topics(config.prefix).available
    said = visit.retained(topic).get(topic)
    known = {
        b"online": "edgecam is connected",
        b"stopped": "edgecam was stopped",
        b"offline": "edgecam has lost its connection",
    }
    return True, known.get(said or b"", "no edgecam has been here")


_LOOKS: dict[str, Callable[[BrokerVisit, MqttSection], Said]] = {
    "topics": _events,
    "discovery": _discovery,
    "edgecam": _appliance,
}
