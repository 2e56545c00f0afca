"""A short visit to the broker, for commands: connect, read what is retained, say something, hear it, and go.

Everything happens in the caller's thread, and nothing waits longer than its limit. The appliance itself connects
through `edgecam.mqtt.connection`.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Self

from paho.mqtt import MQTTException
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edgecam.errors import EdgecamError
from edgecam.mqtt.credentials import Broker
from edgecam.mqtt.reasons import hung_up, refused, silent, unreachable

LIMIT = 10.0
"""Seconds for the connection, and for each answer."""
_QUIET = 0.5
_WINDOW = 100
#: mosquitto, where it is to queue without limit, hangs up on who writes what its rules forbid.
_LOST = "see the broker's log, and whether its rules (ACL) allow this user what was tried"
#: What paho raises where the other side does not speak MQTT.
_NONSENSE = (MQTTException, ValueError, LookupError, AssertionError, struct.error)


class BrokerError(EdgecamError):
    """The broker cannot be reached, refuses, or does not answer; the message says what to do."""


class BrokerVisit:
    """A connection of a command, under a client id of its own so that it does not push the appliance's out.

    To be used as a context; entering it connects. Raises BrokerError from all methods.
    """

    def __init__(self, broker: Broker, *, limit: float = LIMIT) -> None:
        self._broker = broker
        self._limit = limit
        self._client: Client | None = None
        self._greeting: ReasonCode | None = None
        self._subscribed: list[ReasonCode] = []
        self._published: dict[int, ReasonCode] = {}
        self._messages: list[MQTTMessage] = []
        self._last_error = ""

    def __enter__(self) -> Self:
        self._client = client = self._new_client()
        try:
            client.connect(self._broker.host, self._broker.port, self._broker.keepalive)
            self._wait(lambda: self._greeting is not None)
            if self._greeting is not None and self._greeting.is_failure:
                raise BrokerError(refused(self._greeting.getName(), self._broker))
        except (OSError, ValueError) as error:
            self._close()
            raise BrokerError(unreachable(error, self._broker)) from error
        except BrokerError:
            self._close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._close()

    def retained(self, *filters: str) -> dict[str, bytes]:
        """What the broker keeps on the topics of these filters; of those that one may not read, nothing."""
        client = self._connected()
        self._messages.clear()
        self._subscribe(filters)
        self._listen_until_quiet()
        client.unsubscribe(list(filters))
        return {each.topic: bytes(each.payload) for each in self._messages if each.retain and each.payload}

    def clear(self, topics: Iterable[str]) -> list[str]:
        """Have the broker keep nothing on these topics; returns those on which it said that one may not write.

        A broker of MQTT 3.1.1 does not say.
        """
        refused = []
        waiting: dict[str, int] = {}
        for topic in topics:
            waiting[topic] = self._send(topic, b"", retain=True)
            if len(waiting) == _WINDOW:
                refused += self._refused(waiting)
                waiting = {}
        return refused + self._refused(waiting)

    def may_publish(self, topic: str, payload: bytes = b"") -> bool:
        """Say something that is not retained; whether the broker takes it, as far as it tells."""
        return not self._refused({topic: self._send(topic, payload, retain=False)})

    def hears_itself(self, topic: str) -> bool:
        """Whether what is said on a topic comes back; False where one may not write it, or not read it."""
        token = secrets.token_hex(8).encode()
        self._messages.clear()
        self._subscribe([topic])
        self.may_publish(topic, token)
        ends = monotonic() + 2 * _QUIET
        while monotonic() < ends and not self._heard(topic, token):
            self._turn()
        self._connected().unsubscribe(topic)
        return self._heard(topic, token)

    def _heard(self, topic: str, payload: bytes) -> bool:
        return any(each.topic == topic and each.payload == payload for each in self._messages)

    def _new_client(self) -> Client:
        modern = self._broker.version == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            f"edgecam-visit-{secrets.token_hex(4)}",
            protocol=MQTTProtocolVersion.MQTTv5 if modern else MQTTProtocolVersion.MQTTv311,
        )
        client.connect_timeout = self._limit
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.tls is not None:
            client.tls_set_context(self._broker.tls)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_log = self._on_log
        return client

    def _connected(self) -> Client:
        assert self._client is not None
        return self._client

    def _close(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client = None

    def _subscribe(self, filters: Sequence[str]) -> None:
        self._subscribed = []
        self._connected().subscribe([(each, 0) for each in filters])
        self._wait(lambda: self._subscribed)

    def _send(self, topic: str, payload: bytes, *, retain: bool) -> int:
        return self._connected().publish(topic, payload, qos=1, retain=retain).mid

    def _refused(self, sent: dict[str, int]) -> list[str]:
        self._wait(lambda: all(number in self._published for number in sent.values()))
        return [topic for topic, number in sent.items() if self._published[number].is_failure]

    def _wait(self, condition: Callable[[], object]) -> None:
        """Let the connection work until the condition is true. Raises BrokerError after the limit."""
        ends = monotonic() + self._limit
        while not condition():
            if monotonic() >= ends:
                raise BrokerError(silent(self._broker))
            self._turn()

    def _listen_until_quiet(self) -> None:
        heard, ends = 0, monotonic() + _QUIET
        while monotonic() < ends:
            self._turn()
            if len(self._messages) > heard:
                heard, ends = len(self._messages), monotonic() + _QUIET

    def _turn(self) -> None:
        """Send and receive what there is, for a moment."""
        try:
            failed = self._connected().loop(0.05) is not MQTTErrorCode.MQTT_ERR_SUCCESS
        except _NONSENSE as error:
            raise BrokerError(f"MQTT broker {self._broker.address}: what it says makes no sense ({error})") from error
        if not failed or (self._greeting and self._greeting.is_failure):
            return
        if self._greeting is None:
            raise BrokerError(hung_up(self._last_error, self._broker))
        raise BrokerError(f"MQTT broker {self._broker.address}: the connection was lost: {_LOST}")

    def _on_connect(
        self, client: Client, userdata: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._greeting = reason

    def _on_subscribe(
        self, client: Client, userdata: object, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        self._subscribed = reasons

    def _on_publish(
        self, client: Client, userdata: object, mid: int, reason: ReasonCode, properties: Properties
    ) -> None:
        self._published[mid] = reason

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        self._messages.append(message)

    def _on_log(self, client: Client, userdata: object, level: int, said: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._last_error = said
