"""Retained topics on their way: each until the broker has taken what it says last."""

from __future__ import annotations

import logging

from edgecam.backoff import Backoff
from edgecam.mqtt.retained import RetainedTopics

log = logging.getLogger(__name__)

_FIRST_WAIT = 2.0
_LIMIT = 60.0


class TopicDelivery:
    """Sends what RetainedTopics has to say, one message of a topic at a time, so that the last one stands.

    What the broker refuses is sent again after a back-off, unless the topic says something else by then. `refusal`
    says why, "" where nothing is refused.
    """

    def __init__(self, retained: RetainedTopics) -> None:
        self.refusal = ""
        self._retained = retained
        self._unsent: dict[str, bytes] = {}
        self._under_way: dict[str, bytes] = {}
        self._refused: dict[str, bytes] = {}
        self._refusals = Backoff(_FIRST_WAIT, _LIMIT)

    @property
    def idle(self) -> bool:
        """Whether nothing is left to send."""
        return not self._unsent and not self._under_way

    def begin(self) -> None:
        """A new connection: everything is to be sent again."""
        for waiting in (self._unsent, self._under_way, self._refused):
            waiting.clear()
        self._refusals.succeeded(0.0)
        self.refusal = ""
        self._retained.send_all_again()

    def due(self, now: float, room: int) -> list[tuple[str, bytes]]:
        """What is to be sent now, at most `room` messages; they count as under way from now on."""
        if self._refused and self._refusals.remaining(now) <= 0:
            self._unsent = self._refused | self._unsent
            self._refused = {}
        for topic, payload in self._retained.take():
            self._refused.pop(topic, None)
            self._unsent[topic] = payload
        chosen = [topic for topic in self._unsent if topic not in self._under_way][: max(0, room)]
        found = [(topic, self._unsent.pop(topic)) for topic in chosen]
        self._under_way.update(found)
        return found

    def acknowledged(self, topic: str, now: float) -> None:
        """The broker has taken what a topic says."""
        del self._under_way[topic]
        if self.refusal and not self._refused:
            log.warning("all retained topics are taken again, after %.0f s", self._refusals.succeeded(now))
            self.refusal = ""

    def refused(self, topic: str, why: str, now: float) -> None:
        """The broker has refused what a topic says."""
        payload = self._under_way.pop(topic)
        if topic not in self._unsent:
            self._refused[topic] = payload
        if not self.refusal:
            log.error("%s", why)
        if not self.refusal or self._refusals.remaining(now) <= 0:
            self._refusals.failed(now)
        self.refusal = why
