"""One connection to the broker, from the first try to its end: paho-mqtt without threads of its own."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Any

from paho.mqtt import MQTTException
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edgecam.mqtt.credentials import Broker
from edgecam.mqtt.reasons import TAKEN_OVER, hung_up, nonsense, refused, unreachable

REACH_TIMEOUT = 10.0
"""Seconds for the network, and again for TLS."""
LARGEST_COMMAND_BYTES = 65_536
"""A broker of version 5 does not send us more than this."""
_HEADER_BYTES = 32
#: More than any window: paho is never given more than it may send, so it never keeps anything back.
_PAHO_WINDOW = 65_535
#: What paho raises where the other side does not speak MQTT, and on an answer that makes no sense.
_NONSENSE = (MQTTException, ValueError, LookupError, AssertionError, struct.error)


Resting = Callable[[], AbstractContextManager[None]]
"""What is entered while a thread waits and does nothing else."""


class Stage(Enum):
    """How far a connection has come."""

    REACHING = "reaching"
    GREETING = "greeting"
    OPEN = "open"
    OVER = "over"


class Connection:
    """Connects in the background; all else happens in the thread that calls `turn`, which waits for the network.

    One object for each try. A connection that is OVER says why in `reason`; `taken_over` where another client came
    with the same id. What came in is collected in `messages` (topic, payload, whether the broker had kept it) and
    `answers` (number of what was published, why it was refused or ""), for the caller to take away. A `close` that is
    not orderly, like the end of the process, lets the broker speak the will: `offline` on the topic `available`.
    """

    def __init__(self, broker: Broker, available: str, wake: Callable[[], None]) -> None:
        """`wake` is called from another thread when the network was reached, or could not be."""
        self.stage = Stage.REACHING
        self.reason = ""
        self.taken_over = False
        self.window = _PAHO_WINDOW
        self.messages: list[tuple[str, bytes, bool]] = []
        self.answers: list[tuple[int, str]] = []
        self.refused_topics: list[str] = []
        self._broker = broker
        self._wake = wake
        self._largest_bytes = 0
        self._subscribed: Sequence[str] = ()
        self._last_error = ""
        self._lock = threading.Lock()
        self._client = self._make_client(available)

    def start(self) -> None:
        """Begin to connect, in a thread of its own: a host's name may take longer to find than anybody can wait."""
        threading.Thread(target=self._reach, name="mqtt-reach", daemon=True).start()

    def turn(self, wake: socket.socket, timeout: float, resting: Resting = nullcontext) -> None:
        """Wait until there is something to do, or somebody writes to `wake`'s other end, and do it."""
        own = self._client.socket() if self.stage in (Stage.GREETING, Stage.OPEN) else None
        if own is None:
            wait_for(wake, timeout, resting)
            return
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        writing = select.POLLOUT if self._client.want_write() else 0
        poll.register(own, select.POLLIN | writing)
        pending = getattr(own, "pending", int)()
        with resting():
            ready = dict(poll.poll(0 if pending else timeout * 1000))
        events = ready.get(own.fileno(), 0)
        self._exchange(read=bool(pending or events & ~select.POLLOUT), write=bool(events & select.POLLOUT))

    @property
    def wants_attention(self) -> bool:
        """Whether there is something to do for whoever calls `turn`."""
        return self.stage is not Stage.OPEN or bool(self._client.want_write())

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Send a message, QoS 1, without waiting; returns the number that its answer will have."""
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    def takes(self, topic: str, payload: bytes) -> bool:
        """Whether the broker takes a message as large as this one."""
        size = len(topic.encode()) + len(payload) + _HEADER_BYTES
        return not self._largest_bytes or size <= self._largest_bytes

    def subscribe(self, topics: Sequence[str]) -> None:
        """Ask for topics, QoS 1; those that the broker refuses are in `refused_topics`."""
        self._subscribed = topics
        if topics:
            self._client.subscribe([(topic, 1) for topic in topics])

    def close(self, reason: str = "closed", *, orderly: bool = False) -> None:
        """End the connection, in whatever stage; an orderly end takes the will back."""
        with self._lock:
            if self.stage is Stage.OVER:
                return
            if orderly and self.stage is Stage.OPEN:
                self._client.disconnect()
            self._over(reason)
            own = self._client.socket()
        if own is not None:
            own.close()

    def _make_client(self, available: str) -> Client:
        modern = self._broker.version == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            self._broker.client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if modern else MQTTProtocolVersion.MQTTv311,
            clean_session=None if modern else True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = REACH_TIMEOUT
        client.max_inflight_messages_set(_PAHO_WINDOW)
        client.will_set(available, b"offline", qos=1, retain=True)
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.tls is not None:
            client.tls_set_context(self._broker.tls)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_log = self._on_log
        return client

    def _reach(self) -> None:
        """Runs in the thread that `start` makes."""
        keywords: dict[str, Any] = {}
        if self._broker.version == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = LARGEST_COMMAND_BYTES
            keywords = {"clean_start": True, "properties": properties}
        try:
            self._client.connect(self._broker.host, self._broker.port, self._broker.keepalive, **keywords)
        except (OSError, ValueError) as error:
            self._over(unreachable(error, self._broker))
        with self._lock:
            own = self._client.socket()
            if self.stage is Stage.REACHING:
                self.stage = Stage.GREETING
            elif own is not None:
                own.close()
        self._wake()

    def _exchange(self, *, read: bool, write: bool) -> None:
        try:
            if read:
                self._client.loop_read()
            if write or self._client.want_write():
                self._client.loop_write()
            self._client.loop_misc()
        except _NONSENSE as error:
            self.close(nonsense(str(error), self._broker))

    def _over(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.stage = Stage.OVER

    def _on_connect(
        self, client: Client, data: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self.reason = refused(reason.getName(), self._broker)
            return
        self.window = getattr(properties, "ReceiveMaximum", _PAHO_WINDOW)
        self._largest_bytes = getattr(properties, "MaximumPacketSize", 0)
        self.stage = Stage.OPEN

    def _on_disconnect(
        self, client: Client, data: object, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        name = reason.getName()
        if self.stage is Stage.OVER:  # paho may say so twice: first what the broker said, then that it hung up
            return
        if name in ("Protocol error", "Malformed packet"):
            self._over(nonsense(name, self._broker))
        if self.stage in (Stage.REACHING, Stage.GREETING):
            self._over(hung_up(self._last_error, self._broker))
            return
        self.taken_over = flags.is_disconnect_packet_from_server and name == TAKEN_OVER
        said = "the connection was lost" if name == "Unspecified error" else f"the connection has ended: {name}"
        self._over(f"MQTT broker {self._broker.address}: {said}")

    def _on_publish(
        self, client: Client, data: object, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self.answers.append((mid, reason.getName() if reason.is_failure else ""))

    def _on_subscribe(
        self, client: Client, data: object, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        answers = zip(self._subscribed, reasons, strict=False)
        self.refused_topics = [topic for topic, reason in answers if reason.is_failure]

    def _on_message(self, client: Client, data: object, message: MQTTMessage) -> None:
        try:
            self.messages.append((message.topic, bytes(message.payload), message.retain))
        except UnicodeDecodeError:
            return  # no topic of ours

    def _on_log(self, client: Client, data: object, level: int, said: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._last_error = said


def wait_for(wake: socket.socket, timeout: float, resting: Resting = nullcontext) -> None:
    """Wait until somebody writes to `wake`'s other end, at most `timeout` seconds."""
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    with resting():
        poll.poll(timeout * 1000)
