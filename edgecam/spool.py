"""The spool: the outbox as the publisher works it off, in order, whatever becomes of messages and of the file."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from edgecam.backoff import Backoff
from edgecam.errors import SinkError
from edgecam.outbox import Moment, Outbox, OutboxBusy, OutboxMessage, OutboxStalled
from edgecam.patient_outbox import PatientOutbox

log = logging.getLogger(__name__)

FLUSH_INTERVAL = 0.2
FLUSH_MESSAGES = 100
"""Acknowledged messages are deleted so many at once, or after so many seconds."""
OFFERED = 100
"""Messages kept in memory besides: a burst of more than that is read from the outbox."""
_COUNT_INTERVAL = 1.0
_TRIM_INTERVAL = 10.0
_HELD_TOO_LONG = 10.0
_REFUSED_WAIT = 2.0
_REFUSED_LIMIT = 60.0

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Spool:
    """Knows what is on its way and what comes next.

    A message leaves the outbox only when the broker has taken it. Those that are offered, having just been recorded,
    need not be read from there, as long as they are the very next; where one is missing the outbox says what comes.
    One that the broker refuses is sent again after a back-off, before any that comes after it and alone, until it is
    taken. While the file cannot be used nothing is sent; it is opened again after a back-off. `fault` and `refusal` say
    what is wrong, "" where nothing is. `length` is the number of messages waiting or under way, `lost` of those given
    up; `oldest_age` is for how many seconds the oldest has waited, None where nothing waits or the clock cannot tell.
    """

    def __init__(self, outbox: Outbox | PatientOutbox, *, messages: int, age: float) -> None:
        self.fault = ""
        self.refusal = ""
        self.length = 0
        self.lost = 0
        self.oldest_age: float | None = None
        self._outbox = outbox
        self._messages = messages
        self._age = age
        self._opened = False
        self._failed: Callable[..., object] | None = None
        self._file_backoff = Backoff()
        self._refusals = Backoff(_REFUSED_WAIT, _REFUSED_LIMIT)
        self._offered: deque[OutboxMessage] = deque(maxlen=OFFERED)
        self._under_way: dict[int, OutboxMessage] = {}
        self._acknowledged: dict[int, None] = {}
        self._sent_through = 0
        self._furthest = 0  # ever sent: what was offered of before it may have been taken, and forgotten, by now
        self._flush_at = float("inf")
        self._held_since: float | None = None
        self._stalls = False
        self._count_at = float("-inf")
        self._trim_at = float("-inf")
        self._asked = True
        self._losing = False

    @property
    def under_way(self) -> int:
        """How many messages the broker has not answered yet."""
        return len(self._under_way)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to send, as far as is known, or nothing that would be taken."""
        return not self._under_way and (not self.waits or bool(self.refusal or self.fault))

    @property
    def waits(self) -> bool:
        """Whether there is something to send, as far as is known."""
        return self._asked or bool(self._offered)

    def patience(self, now: float) -> float:
        """Seconds until there is something to do, whether anything happens or not."""
        retry = self._refusals.remaining(now) if self.refusal and not self._under_way else float("inf")
        return max(0.01, min(self._flush_at - now, retry))

    def begin(self) -> None:
        """A new connection: what was under way and not acknowledged is to be sent again."""
        self._under_way.clear()
        self._sent_through = 0
        self._refusals.succeeded(0.0)
        self.refusal = ""
        self._asked = True

    def ask(self) -> None:
        """There may be new messages. From any thread."""
        self._asked = True

    def offer(self, messages: Iterable[OutboxMessage]) -> None:
        """These are in the outbox now. From any thread."""
        self._offered.extend(messages)

    def due(self, now: Moment, room: int) -> list[OutboxMessage]:
        """The messages to be sent now, at most `room`; they count as under way from now on."""
        if self.refusal:
            if self._under_way or self._refusals.remaining(now.monotonic) > 0:
                return []
            room = min(room, 1)
        if room <= 0:
            return []
        fresh = self.due_offered(room)
        if not fresh and self._asked:
            fresh = self._next_recorded(now, room)
            self._on_their_way(fresh)
        return fresh

    def due_offered(self, room: int) -> list[OutboxMessage]:
        """As `due`, but only those for which the outbox need not be asked. From any thread, one at a time."""
        fresh = [] if self._asked or self.refusal else self._next_offered(room)
        self._on_their_way(fresh)
        return fresh

    def _on_their_way(self, messages: list[OutboxMessage]) -> None:
        self._under_way.update((message.sequence, message) for message in messages)
        self._furthest = max(self._furthest, self._sent_through)

    def _next_offered(self, room: int) -> list[OutboxMessage]:
        """Those offered that are the very next: numbers have no gaps. Where one is missing, the outbox is asked."""
        found: list[OutboxMessage] = []
        while self._offered and len(found) < room:
            message = self._offered.popleft()
            if message.sequence == self._sent_through + 1 > self._furthest and not self.fault:
                self._sent_through = message.sequence
                found.append(message)
            elif message.sequence > self._sent_through:
                self._asked = True
                break
        return found

    def _next_recorded(self, now: Moment, room: int) -> list[OutboxMessage]:
        self._asked = False  # before the question: who asks during it is asked for again
        sent = (*self._acknowledged, *self._under_way)
        ahead = sum(sequence > self._sent_through for sequence in sent)
        found = self._try(now, self._outbox.pending, self._sent_through, room + ahead)
        if found is None:
            self._asked = True
            return []
        fresh = [message for message in found if not self._is_sent(message.sequence)][:room]
        if fresh:
            self._sent_through = fresh[-1].sequence
        if len(fresh) == room:
            self._asked = True
        return fresh

    def _is_sent(self, sequence: int) -> bool:
        """Whether a message is on its way or was taken: where one before it was refused it is asked for again."""
        return sequence in self._under_way or sequence in self._acknowledged

    def acknowledged(self, sequence: int, now: float) -> OutboxMessage:
        """The broker has taken a message."""
        self._acknowledged[sequence] = None
        self._flush_at = min(self._flush_at, now + FLUSH_INTERVAL)
        if self.refusal:
            log.warning("event messages are taken again, after %.0f s", self._refusals.succeeded(now))
            self.refusal = ""
            self._asked = True
        message = self._under_way.pop(sequence)
        self.length = max(len(self._under_way), self.length - 1)
        return message

    def refused(self, sequence: int, why: str, now: float) -> None:
        """The broker has refused a message."""
        del self._under_way[sequence]
        self._sent_through = min(self._sent_through, sequence - 1)
        self._asked = True
        if not self.refusal:
            log.error("%s; they are kept", why)
        if not self.refusal or self._refusals.remaining(now) <= 0:
            self._refusals.failed(now)
        self.refusal = why

    def upkeep(self, now: Moment) -> None:
        """Delete what is acknowledged, count what waits and give up what is too much, where it is time for that."""
        if now.monotonic >= self._flush_at or len(self._acknowledged) >= FLUSH_MESSAGES:
            self.flush(now)
        if now.monotonic >= self._count_at:
            self._count_at = now.monotonic + _COUNT_INTERVAL
            self.length = self._waiting(now)
            oldest = self._try(now, self._outbox.oldest) if self.length else None
            self.oldest_age = oldest.age(now) if oldest else None
            self._asked = self._asked or self.length > len(self._under_way)
        if self.length > self._messages or now.monotonic >= self._trim_at:
            self._trim_at = now.monotonic + _TRIM_INTERVAL
            self._trim(now)

    def flush(self, now: Moment) -> None:
        """Delete what is acknowledged."""
        if not self._acknowledged:
            self._flush_at = float("inf")
        if not self._acknowledged or self._try(now, self._forget) is None:
            return
        self._acknowledged.clear()
        self._flush_at = float("inf")
        self._let_go(now.monotonic)

    def close(self, now: Moment) -> None:
        """Delete what is acknowledged and close the file."""
        self.flush(now)
        self.length = self._waiting(now)
        self._shut()

    def _forget(self) -> bool:
        self._outbox.acknowledge(self._acknowledged)
        return True

    def _waiting(self, now: Moment) -> int:
        length = self._try(now, self._outbox.length)
        return self.length if length is None else max(0, length - len(self._acknowledged))

    def _trim(self, now: Moment) -> None:
        trimmed = self._try(now, self._give_up, now)
        lost = self._try(now, self._outbox.lost)
        if trimmed is None or lost is None:
            return
        if trimmed:
            self._offered.clear()  # what was given up is not sent either
            self._asked = True
        self.length, self.lost = self._waiting(now), lost
        if trimmed and not self._losing:
            bounds = f"mqtt.spool_messages = {self._messages}, mqtt.spool_age = {self._age:g}"
            log.error("no broker for too long: the oldest event messages are given up (%s); lost: %d", bounds, lost)
        self._losing = bool(trimmed) or (self._losing and self.length > 0)

    def _give_up(self, now: Moment) -> int:
        return self._outbox.trim(now, messages=self._messages, age=self._age, after=self._sent_through)

    def _try(self, now: Moment, ask: Callable[_P, _T], *arguments: _P.args, **keywords: _P.kwargs) -> _T | None:
        """Ask the outbox, which is opened first where it is not open; None where it cannot be used now."""
        if self._file_backoff.remaining(now.monotonic) > 0:
            return None
        try:
            if not self._opened:
                self._outbox.open()
                self._opened = True
            answer = ask(*arguments, **keywords)
        except OutboxBusy as error:
            self._stalls = isinstance(error, OutboxStalled)
            self._held(now.monotonic, str(error))
            return None
        except SinkError as error:
            if not self.fault:
                log.error("%s", error)
            self.fault = str(error)
            self._failed = ask if ask in (self._forget, self._give_up) else None
            self._file_backoff.failed(now.monotonic)
            self._shut()
            return None
        if self._stalls:
            self._stalls = False
            self._let_go(now.monotonic)
        # What can be read is not mended where it was a write that failed: a disk may be read-only.
        if self._file_backoff.since is not None and self._failed in (None, ask):
            log.warning("the outbox can be used again, after %.1f s", self._file_backoff.succeeded(now.monotonic))
            self.fault = ""
        return answer

    def _held(self, now: float, why: str) -> None:
        """Somebody else holds the file, or its disk hangs: it is tried again soon, and after a while it is said."""
        self._flush_at = now + FLUSH_INTERVAL
        if self._held_since is None:
            self._held_since = now
        elif now - self._held_since > _HELD_TOO_LONG and not self.fault:
            self.fault = why
            log.error("%s", why)

    def _let_go(self, now: float) -> None:
        if self._held_since is not None and self.fault:
            log.warning("the outbox answers again, after %.1f s", now - self._held_since)
            self.fault = ""
        self._held_since = None

    def _shut(self) -> None:
        self._opened = False
        try:
            self._outbox.close()
        except SinkError as error:
            log.debug("while closing: %s", error)
