"""Which events are to be on film, and until when; pure."""

from __future__ import annotations

from edgecam.types import Event, EventType

SILENT_AFTER = 150.0
"""Seconds without a word after which an event is taken to be over: one that goes on says so every 60. Its end was told
while nobody listened."""


class Interest:
    """What the events' messages mean for recording. All times are monotonic seconds.

    An event is of interest from its start until `post_roll` seconds after its end, or after its object has become
    stationary: a car that is parked all day is not filmed all day. It is of interest again from the moment it moves.
    """

    def __init__(self, post_roll: float) -> None:
        self._post_roll = post_roll
        self._heard: dict[str, float] = {}
        self._until: dict[str, float] = {}

    @property
    def events(self) -> tuple[str, ...]:
        """The ids of the events of interest: those that go on, and those in their post-roll when last asked."""
        return *self._heard, *self._until

    def take(self, event: Event) -> float | None:
        """Hear of an event; returns since when it is of interest where it has become so now, else None.

        An event that was not announced, because nobody listened, counts from now on. Told twice is no harm.
        """
        known = event.event_id in self._heard
        is_new = event.type is EventType.NEW
        if event.type is EventType.END or event.stationary:
            self._heard.pop(event.event_id, None)
            if known or is_new:
                last = event.timestamp if event.end is None else event.end
                self._until[event.event_id] = last + self._post_roll
            return event.start if is_new else None
        self._until.pop(event.event_id, None)
        self._heard[event.event_id] = event.timestamp
        if is_new:
            return event.start
        return None if known else event.timestamp

    def wants(self, timestamp: float) -> bool:
        """Whether a frame of this time is to be recorded."""
        for event_id in [each for each, heard in self._heard.items() if timestamp - heard > SILENT_AFTER]:
            del self._heard[event_id]
        for event_id in [each for each, until in self._until.items() if timestamp >= until]:
            del self._until[event_id]
        return bool(self._heard or self._until)

    def limit(self, timestamp: float) -> None:
        """The camera's time begins anew here: what was wanted of another time is not wanted for ever."""
        most = timestamp + self._post_roll
        self._until = {event_id: min(until, most) for event_id, until in self._until.items()}

    def forget(self) -> None:
        """Nobody is interested in anything any more."""
        self._heard.clear()
        self._until.clear()
