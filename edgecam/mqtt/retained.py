"""The retained topics: what each one says now, for any thread to change and the publisher to send."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class RetainedTopics:
    """The newest payload of each topic. One that is overtaken before it was sent is never sent: only the state counts.

    Bounded by the number of topics, which the configuration and the model's labels bound. `put` never waits.
    """

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._lock = Lock()
        self._payloads: dict[str, bytes] = {}
        self._unsent: dict[str, None] = {}

    def put(self, topic: str, payload: bytes, *, again: bool = False) -> None:
        """Say something on a topic; nothing happens where that is what it says already, but with `again`: whoever
        waits for an answer is to hear it."""
        with self._lock:
            if self._payloads.get(topic) == payload and not again:
                return
            self._payloads[topic] = payload
            self._unsent[topic] = None
        self.on_change()

    def take(self) -> list[tuple[str, bytes]]:
        """What was not sent yet, in the order of the changes; it counts as sent from now on."""
        with self._lock:
            unsent, self._unsent = self._unsent, {}
            return [(topic, self._payloads[topic]) for topic in unsent]

    def send_all_again(self) -> None:
        """Let everything count as not sent, for a broker that may have forgotten it."""
        with self._lock:
            self._unsent = dict.fromkeys(self._payloads)
        self.on_change()

    def topics(self) -> list[str]:
        """All topics that say something."""
        with self._lock:
            return list(self._payloads)
