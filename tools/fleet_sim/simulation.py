"""The run: start the fleet, hold a load, raise it until something gives, take the broker away, close the books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from edgecam.errors import DeviceError
from fleet_sim import figures, flood, publishers, subscriber
from fleet_sim.appliance import Settings
from fleet_sim.broker import Broker
from fleet_sim.children import Child
from fleet_sim.figures import Flood, Reading, Step, Storm, Totals, busiest_tenth, read, step
from fleet_sim.publishers import Count
from fleet_sim.subscriber import Received, missing, percentile
from fleet_sim.traffic import VISIT

SPREAD = 0.04
"""Seconds from the start of one appliance to the next: not all of a fleet are switched on at once."""
SETTLE = VISIT + 1.0
FLOOD = 5.0
"""Seconds for which the broker is given all that it takes."""
FLOOD_CLIENTS = 50
LOOK = 0.25
"""Seconds between two looks at a fleet that is waited for."""
CONNECT_LIMIT = 120.0
BACK_LIMIT = 240.0
"""Seconds for all to be back: the longest wait between two tries is a minute."""
DRAIN_LIMIT = 180.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Size:
    """How many there are."""

    publishers: int
    processes: int
    subscribers: int


class Fleet:
    """The broker, the appliances and who listens to them, all at work."""

    def __init__(self, size: Size, broker: Broker, homes: list[Child], listeners: list[Child]) -> None:
        self.size = size
        self.broker = broker
        self.totals = Totals()
        self._homes = homes
        self._listeners = listeners

    def ask(self, name: str, argument: object = None) -> list[Any]:
        """Ask all processes with publishers, at the same time."""
        for home in self._homes:
            home.tell(name, argument)
        return [home.answer() for home in self._homes]

    def count(self) -> Count:
        """What all appliances have done."""
        found: Count = reduce(add, self.ask("count"))
        return found

    def set_rate(self, rate: float) -> None:
        """So many event messages a second from each appliance."""
        self.ask("rate", rate)

    def received(self) -> Received:
        """What has come since this was asked last."""
        for listener in self._listeners:
            listener.tell("taken")
        found: Received = reduce(add, [listener.answer() for listener in self._listeners])
        self.totals.take(found)
        return found

    def reading(self) -> Reading:
        """How things stand."""
        homes, listeners = ([child.pid for child in each] for each in (self._homes, self._listeners))
        return read({"broker": [self.broker.pid], "publishers": homes, "subscribers": listeners}, self.count())

    def listening(self) -> bool:
        """Whether all subscribers are subscribed."""
        return all(listener.ask("subscribed") for listener in self._listeners)

    def wait(self, done: Callable[[], bool], limit: float) -> float | None:
        """Wait until something is so; returns how long it took, None where it was not so after `limit` seconds."""
        began = monotonic()
        while not done():
            if monotonic() - began > limit:
                return None
            sleep(LOOK)
        return monotonic() - began


@contextmanager
def fleet(size: Size, settings: dict[str, Any], folder: Path, say: Say) -> Iterator[Fleet]:
    """A fleet at work, everybody connected. Raises DeviceError where that cannot be."""
    with ExitStack() as stack:
        home = folder / "broker"
        home.mkdir()
        broker = stack.enter_context(Broker(home))
        options = Settings(port=broker.port, **settings)
        several = size.subscribers > 1
        listeners = [
            stack.enter_context(Child(subscriber.main, broker.port, number, several))
            for number in range(size.subscribers)
        ]
        homes, share = [], -(-size.publishers // size.processes)
        for first in range(0, size.publishers, share):
            count = min(share, size.publishers - first)
            spread = SPREAD * size.publishers
            homes.append(stack.enter_context(Child(publishers.main, first, count, folder, options, spread)))
        made = Fleet(size, broker, homes, listeners)
        say(f"{size.publishers} appliances connect")
        if made.wait(made.listening, CONNECT_LIMIT) is None:
            raise DeviceError(f"the subscribers are not at the broker after {CONNECT_LIMIT:g} s")
        limit = CONNECT_LIMIT + SPREAD * size.publishers
        if made.wait(lambda: made.count().connected == size.publishers, limit) is None:
            raise DeviceError(f"only {made.count().connected} of {size.publishers} appliances are connected")
        yield made


def held(fleet: Fleet, rate: float, seconds: float) -> Step:
    """The figures of one load, once it is as it should be."""
    fleet.set_rate(rate)
    sleep(SETTLE)
    before = fleet.reading()
    fleet.received()
    sleep(seconds)
    after = fleet.reading()
    return step(rate, fleet.size.publishers, before, after, fleet.received())


def raised(fleet: Fleet, rate: float, seconds: float, limit: float, say: Say) -> Iterator[Step]:
    """Twice the load, and again, until something gives."""
    while rate < limit:
        rate = min(limit, 2 * rate)
        say(f"{rate * fleet.size.publishers:.0f} event messages a second")
        made = held(fleet, rate, seconds)
        yield made
        if made.gave:
            return


def calmed(fleet: Fleet, rate: float) -> None:
    """Back to an ordinary load, and wait until what has piled up is sent."""
    fleet.set_rate(rate)
    sleep(SETTLE)
    drained(fleet)


def drained(fleet: Fleet) -> float | None:
    """Wait until nothing lies in an outbox; how long that took."""
    return fleet.wait(lambda: not fleet.count().waiting, DRAIN_LIMIT)


def storm(fleet: Fleet, outage: float, say: Say) -> Storm:
    """Take the broker away and let it come back, with the load going on."""
    say(f"the broker is away for {outage:g} s")
    everybody = fleet.size.publishers
    fleet.received()
    gone = monotonic()
    fleet.broker.stop()
    sleep(outage)
    waiting = fleet.count().waiting
    fleet.broker.start()
    returned = monotonic()
    say("everybody comes back")
    fleet.wait(lambda: fleet.count().connected == everybody, BACK_LIMIT)
    since = [moment - returned for answer in fleet.ask("since") for moment in answer]
    caught_up = None if drained(fleet) is None else monotonic() - returned
    reading = fleet.reading()
    sleep(1.0)
    received = fleet.received()
    return Storm(
        outage=round(returned - gone, 2),
        p50=percentile(since, 0.50),
        p95=percentile(since, 0.95),
        last=max(since, default=None),
        back=len(since),
        busiest=busiest_tenth(since),
        waiting=waiting,
        caught_up=caught_up,
        late=received.late,
        broker_cpu=reading.uses["broker"][0].cpu,
        received_bytes=received.size_bytes,
    )


def books(fleet: Fleet) -> dict[str, int]:
    """At the end: what was recorded, what came, what came twice, and what is missing."""
    calmed(fleet, 0.0)
    recorded = fleet.count()
    fleet.wait(lambda: bool(fleet.received()) and fleet.totals.different >= recorded.recorded, DRAIN_LIMIT / 6)
    totals = fleet.totals
    return {
        "recorded": recorded.recorded,
        "received": totals.different,
        "twice": totals.events - totals.different,
        "gaps": sum(missing(list(numbers)) for numbers in totals.sequences.values()),
        "given_up": recorded.lost,
        "late": totals.late,
    }


def flooded(say: Say, folder: Path) -> Flood:
    """Give a broker of its own all that it takes."""
    say("a broker is given all that it takes")
    home = folder / "flood"
    home.mkdir()
    with (
        Broker(home) as broker,
        Child(flood.receive, broker.port) as listener,
        Child(flood.send, broker.port, FLOOD_CLIENTS) as sender,
    ):
        listener.ask("count")  # both are at the broker when they answer
        sender.ask("begin")
        sleep(1.0)
        pids = {"broker": [broker.pid], "senders": [sender.pid], "listener": [listener.pid]}
        before, sent, came = read(pids, Count()), sender.ask("count"), listener.ask("count")
        sleep(FLOOD)
        after, sent_then, came_then = read(pids, Count()), sender.ask("count"), listener.ask("count")
    return figures.flood(before, after, sent_then - sent, came_then - came)
