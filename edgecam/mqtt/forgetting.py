"""Which retained topics of a broker are an edgecam's own, and taking them from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from edgecam.config.mqtt import MqttSection
from edgecam.mqtt.discovery import discovery_topic, speaks_of
from edgecam.mqtt.topics import SWITCHES, Topics
from edgecam.mqtt.visit import BrokerError, BrokerVisit

_NAME = "[^/]+"
_BELOW = re.compile(
    "available|events|status|stats"
    f"|{_NAME}/{_NAME}"
    f"|{_NAME}/{_NAME}/(active|snapshot)"
    f"|{_NAME}/({'|'.join(SWITCHES)})/(set|state)"
    f"|{_NAME}/snapshot/state"
    f"|{_NAME}/lines/{_NAME}/{_NAME}"
)
"""What `Topics` has below its prefix; labels, zones, lines and cameras may have been others than now."""
_STATES = {b"online", b"stopped", b"offline"}


def found_on(visit: BrokerVisit, config: MqttSection) -> dict[str, bytes]:
    """What is retained on the topics of this configuration's edgecam. Raises BrokerError."""
    everywhere = visit.retained(f"{config.prefix}/#", discovery_topic(config.discovery_prefix, "+"))
    return dict(own(everywhere, config))


def own(retained: Mapping[str, bytes], config: MqttSection) -> Iterator[tuple[str, bytes]]:
    """Those of the retained topics that this configuration's edgecam has said, however it was configured then.

    Others are left out: what has no form of ours, and what stands below the prefix of another edgecam that lies within
    this one's.
    """
    topics = Topics(config.prefix)
    others = [
        topic.removesuffix("available") for topic, payload in retained.items() if _is_another(topic, payload, topics)
    ]
    for topic, payload in retained.items():
        below = topic.removeprefix(f"{topics.prefix}/")
        if below == topic:
            if speaks_of(payload, topics):
                yield topic, payload
        elif _BELOW.fullmatch(below) and not topic.startswith(tuple(others)):
            yield topic, payload


def forget(visit: BrokerVisit, config: MqttSection) -> list[str]:
    """Have the broker forget all of them; returns their names. Raises BrokerError where it does not."""
    gone = list(found_on(visit, config))
    refused = visit.clear(gone)
    left = refused or list(found_on(visit, config))
    if left:
        raise BrokerError(
            f"MQTT broker {config.host}:{config.effective_port}: still keeps {len(left)} of {len(gone)} topics, such as"
            f" {left[0]}: let this user write them in the broker's rules, and stop edgecam while forgetting"
        )
    return gone


def _is_another(topic: str, payload: bytes, topics: Topics) -> bool:
    return topic.endswith("/available") and topic != topics.available and payload in _STATES
