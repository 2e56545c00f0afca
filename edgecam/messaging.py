"""MQTT put together: the publisher, what each camera says and takes, Home Assistant, and the status."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecam import __version__
from edgecam.config import Config
from edgecam.health.facts import Facts, MqttFacts
from edgecam.mqtt.commands import Commands
from edgecam.mqtt.credentials import broker_of
from edgecam.mqtt.discovery import HomeAssistant, camera_info, discovery_messages
from edgecam.mqtt.reporter import Reporter
from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.topics import Topics
from edgecam.outbox import Outbox
from edgecam.patient_outbox import PatientOutbox
from edgecam.ports import Clock
from edgecam.publisher import ACKNOWLEDGED, PublishWorker
from edgecam.sinks.mqtt import MqttSink
from edgecam.sinks.requested import RequestedSnapshotSink
from edgecam.spool import Spool
from edgecam.switches import Switches


class Messaging:
    """All that edgecam says over MQTT and hears there; one for all cameras. The main thread owns it.

    `known` are the labels of the model, `switches` those of each camera that runs. Raises ConfigError where a secret
    or a certificate cannot be read.
    """

    def __init__(
        self,
        config: Config,
        journal: Path,
        known: Sequence[str],
        switches: Mapping[str, Switches],
        clock: Clock,
        on_exit: Callable[[], None],
    ) -> None:
        options = config.mqtt
        topics, self._retained = Topics(options.prefix), RetainedTopics()
        self._cameras = {
            name: camera_info(camera, config.events, known) for name, camera in config.enabled_cameras.items()
        }
        self._config = config
        self._topics = topics
        self._clock = clock
        self._pictures: dict[str, RequestedSnapshotSink] = {}
        self._reporter = Reporter(self._retained, topics, clock, interval=options.stats_interval)
        self._commands = Commands(topics, switches, self._retained, self._take_snapshot, clock)
        devices = discovery_messages(options, topics, self._cameras, __version__)
        self._home_assistant = HomeAssistant(options, self._retained, devices)
        self._home_assistant.announce()
        self.publisher = PublishWorker(
            broker_of(options),
            Spool(PatientOutbox(Outbox(journal)), messages=options.spool_messages, age=options.spool_age),
            self._retained,
            topics,
            clock,
            on_exit,
            commands=self._hear,
            subscriptions=[*self._commands.subscriptions(), *self._home_assistant.subscriptions()],
        )

    def sink(self, camera: str) -> MqttSink:
        """What keeps a camera's counts and pictures on their topics."""
        info = self._cameras[camera]
        return MqttSink(
            self._retained,
            self._topics,
            camera,
            labels=info.labels,
            zones=info.zones,
            lines=info.lines,
            snapshots=self._config.mqtt.snapshots,
        )

    def takes_pictures(self, camera: str, pictures: RequestedSnapshotSink) -> None:
        """Have a camera's pictures, when somebody asks for one, taken by this sink."""
        self._pictures[camera] = pictures

    def tick(self, gather: Callable[[], Facts]) -> None:
        """Tell how everything is, where that is due; only then is `gather` called. To be called often."""
        self._reporter.tick(gather)

    def facts(self) -> MqttFacts:
        """What waits for the broker, was lost waiting, and went there."""
        publisher = self.publisher
        return MqttFacts(
            waiting=publisher.spool,
            lost=publisher.lost,
            oldest_age=publisher.oldest_age,
            sent=publisher.sent,
            acknowledged=publisher.acknowledged,
            publish=publisher.latencies.summary()[ACKNOWLEDGED],
        )

    def summary(self) -> dict[str, Any]:
        """What was sent, what is left and what is wrong, for the end of a run."""
        publisher = self.publisher
        return {
            "acknowledged": publisher.acknowledged,
            "spool": publisher.spool,
            "lost": publisher.lost,
            "trouble": publisher.trouble,
        }

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 (MQTT's flag)
        if not self._home_assistant.handle(topic, payload):
            self._commands.handle(topic, payload, retained)

    def _take_snapshot(self, camera: str) -> None:
        self._pictures[camera].request()
