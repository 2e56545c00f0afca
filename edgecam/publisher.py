"""The publisher thread: the outbox in order, the retained topics, and the commands that come back, over MQTT."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock

from edgecam.latency import Latencies
from edgecam.mqtt.connection import Connection, Stage
from edgecam.mqtt.credentials import Broker
from edgecam.mqtt.delivery import TopicDelivery
from edgecam.mqtt.link import Link
from edgecam.mqtt.reasons import refused_message, refused_topic, too_large, unanswered
from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.topics import Topics
from edgecam.outbox import Moment, OutboxMessage, is_late, moment, sent_form
from edgecam.ports import Clock
from edgecam.spool import Spool
from edgecam.worker import Worker

log = logging.getLogger(__name__)

TURN = 0.5
"""Longest wait of one turn, seconds."""
WINDOW = 50
"""Most messages that the broker has not acknowledged yet."""
DRAIN = 3.0
"""Longest time, in seconds, to send at the end what is left; a third of it is for saying that this is the end."""
ANSWER_TIMEOUT = 90.0
"""A broker that acknowledges nothing for so long is connected to anew; after a tenth of it that is said."""
ACKNOWLEDGED = "acknowledged"
"""The stage in `latencies`: seconds from an event's being recorded to the broker's having it."""
#: Of the window, what events leave free for retained topics, and the most that those may take.
_SPARE = 2
_TOPICS_AT_ONCE = 10


class PublishWorker(Worker):
    """Owns the link to the broker: event messages and retained topics go out, QoS 1, commands come in.

    Whoever has recorded events brings them by `recorded`, or only says by `wake` that there are some; neither waits.
    While this thread only waits for something to do, whoever brings messages sends them: no other thread has to be
    woken first, and to get hold of Python. Who works, here or there, holds the lock `_working`.

    No more than a window of messages is ever handed to the network; all others wait in the outbox, on the disk, or are
    overtaken. The properties may be read from any thread. `commands` is called in this one, with topic, payload and
    whether the broker had kept it.
    """

    def __init__(
        self,
        broker: Broker,
        spool: Spool,
        retained: RetainedTopics,
        topics: Topics,
        clock: Clock,
        on_exit: Callable[[], None],
        *,
        commands: Callable[[str, bytes, bool], None] = lambda _topic, _payload, _retained: None,
        subscriptions: Sequence[str] = (),
    ) -> None:
        super().__init__("publish", on_exit)
        self.sent = 0
        self.acknowledged = 0
        self.latencies = Latencies(ACKNOWLEDGED)
        self._broker = broker
        self._spool = spool
        self._retained = retained
        self._topics = topics
        self._clock = clock
        self._commands = commands
        self._subscriptions = list(subscriptions)
        self._link = Link(broker, topics.available, self.wake, clock.monotonic())
        self._delivery = TopicDelivery(retained)
        self._numbers: dict[int, OutboxMessage | str] = {}
        self._connected: Moment | None = None
        self._answered = 0.0
        self._unanswered = ""
        self._unreadable = ""
        self._working = Lock()
        self._waker: tuple[socket.socket, socket.socket] | None = None
        retained.on_change = self._interrupt

    @property
    def connected(self) -> bool:
        """Whether the broker has let us in."""
        return self._link.connection is not None

    @property
    def since(self) -> float:
        """The monotonic time at which the connection was made or lost."""
        return self._link.since

    @property
    def trouble(self) -> str:
        """What is wrong, in plain words with the remedy; "" where nothing is."""
        link, spool = self._link, self._spool
        network = (link.outage, link.clash, self._unanswered)
        rights = (spool.refusal, self._delivery.refusal, self._unreadable)
        return "; ".join(filter(None, (*network, spool.fault, *rights)))

    @property
    def spool(self) -> int:
        """How many event messages wait for the broker, or for its answer."""
        return self._spool.length

    @property
    def oldest_age(self) -> float | None:
        """Seconds for which the oldest of them has waited; None where nothing waits or the clock cannot tell."""
        return self._spool.oldest_age

    @property
    def lost(self) -> int:
        """How many event messages were given up, ever, because there was no broker for too long."""
        return self._spool.lost

    def recorded(self, messages: Sequence[OutboxMessage]) -> None:
        """These lie in the outbox now. From any thread; never waits.

        They go out at once, in the caller's thread, where this one only waits and they are the very next."""
        self._spool.offer(messages)
        if self._working.acquire(blocking=False):
            try:
                if self._send_offered():
                    return
            finally:
                self._working.release()
        self._interrupt()

    def wake(self) -> None:
        """There may be something in the outbox. From any thread; never waits."""
        self._spool.ask()
        self._interrupt()

    def _send_offered(self) -> bool:
        """Send what was offered, as far as it is the very next; False where something is left for this thread to do."""
        connection = self._link.connection
        if connection is None or self._connected is None or connection.stage is not Stage.OPEN:
            return False
        now = moment(self._clock)
        for message in self._spool.due_offered(self._room(connection, now)):
            self._publish(connection, self._topics.events, sent_form(message, now, self._connected), message)
        return not self._spool.waits and not connection.wants_attention

    def _interrupt(self) -> None:
        """End the wait of the turn."""
        waker = self._waker
        if waker is not None:
            with suppress(OSError):  # full: it will wake; closed: it has ended
                waker[1].send(b"\0")

    def setup(self) -> None:
        waker = socket.socketpair()
        for end in waker:
            end.setblocking(False)
        self._waker = waker
        self._retained.put(self._topics.available, b"online")

    def step(self) -> None:
        with self._working:
            self._work()

    def _work(self) -> None:
        """Do what there is to do, and wait for more."""
        now = moment(self._clock)
        opened = self._link.tend(now.monotonic)
        connection = self._link.connection
        if connection is None:
            self._connected = None
            self._unanswered = self._unreadable = ""
        elif opened:
            self._begin(connection, now)
        if connection is not None and self._connected is not None:
            self._send(connection, now, self._connected)
            self._watch(connection, now.monotonic)
        self._spool.upkeep(now)
        self._turn(self._spool.patience(now.monotonic) if self._connected else TURN)

    def teardown(self) -> None:
        """Send what is left, as far as that is soon done, and say that this is the end."""
        with self._working:
            if self._waker is not None:
                self._finish(self._waker)

    def _finish(self, waker: tuple[socket.socket, socket.socket]) -> None:
        started = self._clock.monotonic()
        self._work_until(lambda: self._spool.idle and self._delivery.idle, started + DRAIN * 2 / 3)
        self._retained.put(self._topics.available, b"stopped")
        said = self._work_until(lambda: self._delivery.idle, started + DRAIN)
        self._link.close(orderly=said)
        self._connected = None
        self._spool.close(moment(self._clock))
        for end in waker:
            end.close()

    def _work_until(self, done: Callable[[], bool], ends: float) -> bool:
        """Go on sending while there is a connection; False where it was not done by then."""
        connection = self._link.connection
        while connection is not None and self._connected is not None and connection.stage is Stage.OPEN:
            now = moment(self._clock)
            self._send(connection, now, self._connected)
            if done():
                return True
            if now.monotonic >= ends:
                return False
            self._turn(min(TURN, ends - now.monotonic))
        return False

    def _begin(self, connection: Connection, now: Moment) -> None:
        """A new connection: all that was under way on the last one is to be sent again."""
        self._connected = now
        self._answered = now.monotonic
        self._numbers.clear()
        connection.subscribe(self._subscriptions)
        self._spool.begin()
        self._delivery.begin()

    def _send(self, connection: Connection, now: Moment, connected: Moment) -> None:
        """Hand to the network what there is, as far as the window goes."""
        for message in self._spool.due(now, self._room(connection, now)):
            self._publish(connection, self._topics.events, sent_form(message, now, connected), message)
        free = min(WINDOW, connection.window) - len(self._numbers)
        share = _TOPICS_AT_ONCE - (len(self._numbers) - self._spool.under_way)
        for topic, payload in self._delivery.due(now.monotonic, min(free, share)):
            self._publish(connection, topic, payload, topic)

    def _room(self, connection: Connection, now: Moment) -> int:
        """How many more event messages may be on their way."""
        if not self._numbers:
            self._answered = now.monotonic
        window = min(WINDOW, connection.window)
        return min(window - len(self._numbers), max(1, window - _SPARE) - self._spool.under_way)

    def _publish(self, connection: Connection, topic: str, payload: bytes, what: OutboxMessage | str) -> None:
        if not connection.takes(topic, payload):
            self._settle(what, too_large(self._broker, topic, len(payload)))
            return
        self._numbers[connection.publish(topic, payload, retain=isinstance(what, str))] = what
        self.sent += 1

    def _watch(self, connection: Connection, now: float) -> None:
        """See whether the broker still answers, and lets us read."""
        refused = connection.refused_topics
        self._unreadable = refused_topic(self._broker, refused[0]) if refused else ""
        silence = now - self._answered if self._numbers else 0.0
        self._unanswered = unanswered(self._broker) if silence > ANSWER_TIMEOUT / 10 else ""
        if silence > ANSWER_TIMEOUT:
            connection.close(self._unanswered)

    def _turn(self, timeout: float) -> None:
        assert self._waker is not None
        self._link.turn(self._waker[0], min(TURN, timeout), self._clock.monotonic(), self._resting)
        with suppress(BlockingIOError):
            self._waker[0].recv(4096)
        if self._link.connection is not None:
            self._collect(self._link.connection)

    @contextmanager
    def _resting(self) -> Iterator[None]:
        """While this thread only waits, another one may send."""
        self._working.release()
        try:
            yield
        finally:
            self._working.acquire()

    def _collect(self, connection: Connection) -> None:
        """Take what has come in."""
        answers, connection.answers = connection.answers, []
        messages, connection.messages = connection.messages, []
        if answers:
            self._answered = self._clock.monotonic()
        for number, failure in answers:
            what = self._numbers.pop(number, None)
            if what is not None:
                topic = what if isinstance(what, str) else self._topics.events
                self._settle(what, refused_message(self._broker, topic, failure) if failure else "")
        for message in messages:
            self._commands(*message)

    def _settle(self, what: OutboxMessage | str, refusal: str) -> None:
        """The broker has taken a message or the topic of that name, or, where there is a `refusal`, has not."""
        now = self._clock.monotonic()
        if isinstance(what, str):
            if refusal:
                self._delivery.refused(what, refusal, now)
            else:
                self._delivery.acknowledged(what, now)
        elif refusal:
            self._spool.refused(what.sequence, refusal, now)
        else:
            self._spool.acknowledged(what.sequence, now)
            if self._connected and not is_late(what, self._connected):
                self.latencies.add(ACKNOWLEDGED, now - what.recorded.monotonic)
        self.acknowledged += not refusal
