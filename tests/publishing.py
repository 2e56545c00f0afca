"""A journal and its publisher, made of the real parts, for the tests of what reaches a subscriber."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from mqtt_broker import EDGECAM, Listener, Mosquitto
from test_journal import document

from edgecam.clock import SystemClock
from edgecam.config.mqtt import MqttSection
from edgecam.journal import Journal
from edgecam.mqtt.credentials import VARIABLE, Broker, broker_of
from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.topics import Topics
from edgecam.outbox import Outbox
from edgecam.patient_outbox import PatientOutbox
from edgecam.publisher import PublishWorker
from edgecam.spool import Spool

TOPICS = Topics()
LIMIT = 30.0


def plain(broker: Mosquitto, **changes: Any) -> Broker:
    """How to reach a broker that lets everybody in."""
    return replace(Broker("127.0.0.1", broker.port, "edgecam-test"), **changes)


def secured(broker: Mosquitto, **options: Any) -> Broker:
    """How to reach a broker that speaks TLS and wants a password, as the configuration says it."""
    assert broker.certificates is not None
    named = {"tls": True, "ca_file": str(broker.certificates.file("ca.crt")), "username": EDGECAM[0]}
    section = MqttSection.model_validate(named | {"port": broker.port} | options)
    return broker_of(section, {VARIABLE: EDGECAM[1]})


class Publishing:
    """A journal to record in, and a publisher at work. Use it as a context."""

    def __init__(
        self,
        path: Path,
        broker: Broker,
        *,
        messages: int = 100_000,
        age: float = 604_800.0,
        commands: Callable[[str, bytes, bool], None] = lambda _topic, _payload, _retained: None,
        subscriptions: Sequence[str] = (),
        outbox: Outbox | None = None,
    ) -> None:
        clock = SystemClock()
        self.retained = RetainedTopics()
        self.journal = Journal(path, outbox=True)
        spool = Spool(PatientOutbox(outbox or Outbox(path)), messages=messages, age=age)
        self.worker = PublishWorker(
            broker, spool, self.retained, TOPICS, clock, lambda: None, commands=commands, subscriptions=subscriptions
        )

    def record(self, *numbers: int, **changes: Any) -> None:
        """Record a message for each number, which is the id of its event, and bring it to the publisher."""
        for number in numbers:
            self.worker.recorded(
                self.journal.record_all([(document(f"{number}", at=number, frame=number, **changes), None)])
            )

    def wait_until(self, condition: Callable[[], object], limit: float = LIMIT) -> None:
        """Wait until something is so; fails after `limit` seconds."""
        ends = monotonic() + limit
        while not condition():
            assert self.worker.is_alive(), f"the publisher has ended: {self.worker.fault}"
            assert monotonic() < ends, f"not so after {limit:g} s; trouble: {self.worker.trouble}"
            sleep(0.005)

    def start(self) -> None:
        self.journal.open()
        self.worker.start()

    def stop(self) -> None:
        self.worker.stopping.set()
        self.worker.wake()
        self.worker.join_within(LIMIT)
        self.journal.close()
        assert self.worker.fault is None


@contextmanager
def publishing(path: Path, broker: Broker, **options: Any) -> Iterator[Publishing]:
    """A journal and its publisher, at work for as long as the context lasts."""
    pair = Publishing(path, broker, **options)
    pair.start()
    try:
        yield pair
    finally:
        pair.stop()


def events_of(listener: Listener) -> list[dict[str, Any]]:
    """The event messages that have come, in the order in which they came."""
    return [json.loads(payload) for payload in listener.payloads(TOPICS.events)]


def firsts(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each message once, where it came first; a second one with the same number must say the same."""
    found: dict[int, dict[str, Any]] = {}
    for message in messages:
        first = found.setdefault(message["sequence"], message)
        assert first["after"] == message["after"]
    return list(found.values())
