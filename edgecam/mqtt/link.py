"""The link to the broker: one connection after the other, for as long as edgecam runs."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import nullcontext
from random import Random

from edgecam.backoff import Backoff
from edgecam.mqtt.connection import Connection, Resting, Stage, wait_for
from edgecam.mqtt.credentials import Broker
from edgecam.mqtt.reasons import clash, silent, suspicion

log = logging.getLogger(__name__)

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
"""Seconds until the first try after a connection was lost, and until any other; give or take a quarter."""
GREETING_TIMEOUT = 10.0
"""Seconds for the broker to say whether it lets us in."""
STEADY = 10.0
"""Seconds after which a connection counts as good, and the next one is tried soon if it breaks."""
UNCONTESTED = 60.0
"""Seconds of a connection after which nobody else can be using our client id."""
#: Connections that were not good after which a broker that gives no reasons is suspected of a clash of ids.
_SHORT_LIVES = 3


class Link:
    """Connects, and connects again whenever the connection is lost or refused: after 1 s, doubling to 60 s, give or
    take a quarter, so that not all come at once when the broker is back.

    `connection` is the one that is open, None while there is none; `since` the monotonic time of the last change.
    `outage` says why there is none, `clash` that somebody else seems to use our client id; "" where that is not so.
    Time is an argument, monotonic seconds.
    """

    def __init__(self, broker: Broker, available: str, wake: Callable[[], None], now: float) -> None:
        self.connection: Connection | None = None
        self.since = now
        self.outage = ""
        self.clash = ""
        self._broker = broker
        self._available = available
        self._wake = wake
        self._random = Random()
        self._backoff = Backoff(FIRST_WAIT, LONGEST_WAIT)
        self._next_try = float("-inf")
        self._current: Connection | None = None
        self._started = 0.0
        self._short_lives = 0

    def tend(self, now: float) -> bool:
        """Do what is to be done about the connection; True where a new one has just been opened."""
        current = self._current
        if current is None:
            if now >= self._next_try:
                self._try(now)
        elif current.stage is Stage.OVER:
            self._ended(current, now)
        elif current.stage is Stage.OPEN:
            if self.connection is None:
                self._opened(current, now)
                return True
            self._judge(now)
        elif current.stage is Stage.GREETING and now - self._started > GREETING_TIMEOUT:
            current.close(silent(self._broker))
        return False

    def turn(self, wake: socket.socket, timeout: float, now: float, resting: Resting = nullcontext) -> None:
        """Wait for the network, for the next try, or for somebody who writes to `wake`'s other end."""
        if self._current is None:
            wait_for(wake, max(0.0, min(timeout, self._next_try - now)), resting)
        else:
            self._current.turn(wake, timeout, resting)

    def close(self, *, orderly: bool = False) -> None:
        """End it; an orderly end takes the will back."""
        if self._current is not None:
            self._current.close(orderly=orderly)
        self._current = self.connection = None

    def _try(self, now: float) -> None:
        self._started = now
        self._current = Connection(self._broker, self._available, self._wake)
        self._current.start()

    def _opened(self, connection: Connection, now: float) -> None:
        if self.outage:
            log.warning("MQTT broker %s: connected, after %.0f s", self._broker.address, now - self.since)
        else:
            log.info("MQTT broker %s: connected", self._broker.address)
        self.connection = connection
        self.since = now
        self.outage = ""

    def _judge(self, now: float) -> None:
        """What only time tells of a connection: whether it is good."""
        if now - self.since > STEADY:
            self._backoff.succeeded(now)
            self._short_lives = 0
        if now - self.since > UNCONTESTED:
            self.clash = ""

    def _ended(self, connection: Connection, now: float) -> None:
        if self.connection is not None:
            self._short_lives += now - self.since < STEADY
            self.since = now
        if connection.taken_over or self._short_lives >= _SHORT_LIVES:
            if not self.clash:
                log.error("%s", (clash if connection.taken_over else suspicion)(self._broker))
            self.clash = (clash if connection.taken_over else suspicion)(self._broker)
        if connection.reason != self.outage:
            log.warning("%s; events are kept", connection.reason)
        self.outage = connection.reason
        self._current = self.connection = None
        # Not held within the bounds: half of a fleet would come at the same moment, the first second and each minute.
        self._next_try = now + self._backoff.failed(now) * self._random.uniform(0.75, 1.25)
