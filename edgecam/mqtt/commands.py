"""What can be asked of edgecam over MQTT, and what is not understood."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from threading import Lock

from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.topics import SWITCHES, Topics
from edgecam.ports import Clock
from edgecam.switches import Switches

log = logging.getLogger(__name__)

ON, OFF = b"ON", b"OFF"
PRESS = b"PRESS"
"""What takes a picture."""
LONGEST = 5
"""Bytes of the longest command."""
QUIET = 10.0
"""Seconds between two lines about commands that were not understood: whoever sends junk fills no log."""
_SHOWN = 60
"""Characters of a topic or a payload that are worth showing."""


class Commands:
    """Obeys `ON` and `OFF` for each camera's switches and `PRESS` for a picture, in upper or lower case.

    Each switch's state is retained, and told again after every command for it: that is the answer. A command that the
    broker has kept from before (the retain flag is set) is not obeyed: it would undo, with each new connection, what
    was commanded since. Anything else is refused, with a line in the log.
    """

    def __init__(
        self,
        topics: Topics,
        switches: Mapping[str, Switches],
        retained: RetainedTopics,
        take_snapshot: Callable[[str], None],
        clock: Clock,
    ) -> None:
        """`switches` are those of each camera by its name, which `take_snapshot` is given."""
        self._clock = clock
        self._settings = {
            topics.set(camera, name): (own, name) for camera, own in switches.items() for name in SWITCHES
        }
        self._pictures = {topics.take_snapshot(camera): camera for camera in switches}
        self._take_snapshot = take_snapshot
        self._lock = Lock()
        self._refused = 0
        self._quiet_until = float("-inf")
        for camera, own in switches.items():
            own.listen(_teller(topics, retained, camera))

    def subscriptions(self) -> list[str]:
        """The topics of all commands."""
        return [*self._settings, *self._pictures]

    def handle(self, topic: str, payload: bytes, retained: bool = False) -> None:  # noqa: FBT001 (MQTT's flag)
        """Do what a message asks for. From any thread; never raises and never waits."""
        word = payload.upper() if len(payload) <= LONGEST else b""
        if retained:
            self._refuse(topic, payload, "kept by the broker from before, not obeyed: send commands without retain")
        elif topic in self._settings and word in (ON, OFF):
            own, name = self._settings[topic]
            own.set(name, word == ON)
        elif topic in self._pictures and word == PRESS:
            self._take_snapshot(self._pictures[topic])
        else:
            allowed = (
                "ON or OFF" if topic in self._settings else "PRESS" if topic in self._pictures else "another topic"
            )
            self._refuse(topic, payload, f"not understood: allowed is {allowed}")

    def _refuse(self, topic: str, payload: bytes, reason: str) -> None:
        with self._lock:
            now = self._clock.monotonic()
            self._refused += 1
            if now < self._quiet_until:
                return
            self._quiet_until = now + QUIET
            others, self._refused = self._refused - 1, 0
        more = f" ({others} more before it)" if others else ""
        shown = repr(bytes(payload[:_SHOWN])) + ("…" if len(payload) > _SHOWN else "")
        log.warning("mqtt: %s on %s: %s%s", shown, ascii(topic[:_SHOWN]), reason, more)


def _teller(topics: Topics, retained: RetainedTopics, camera: str) -> Callable[[str, bool], None]:
    """What tells on its topic how a switch stands."""

    def tell(name: str, on: bool) -> None:  # noqa: FBT001 (a switch is what a boolean is)
        retained.put(topics.state(camera, name), ON if on else OFF, again=True)

    return tell
