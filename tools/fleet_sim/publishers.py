"""One process full of appliances, and what it tells of them."""

from __future__ import annotations

import gc
import logging
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any

from edgecam.mqtt.reporter import LOOK
from fleet_sim.appliance import Appliance, Settings
from fleet_sim.children import STOP, messages
from fleet_sim.traffic import Traffic

TURN = 0.005
"""Longest wait for a message from outside, seconds: so late a visit may begin, which counts as no delay of messages."""
STOP_LIMIT = 30.0


@dataclass(frozen=True, slots=True)
class Count:
    """What one process, or all together, have done since their start.

    `recorded` event messages went into journals, `sent` messages of all kinds to the broker, `acknowledged` it took.
    `waiting` event messages lie in outboxes, `lost` were given up; `connected` appliances are at the broker. `behind`
    is how many seconds after its time a message was recorded, and `slowest` how long recording one took, both at worst
    since the last look.
    """

    recorded: int = 0
    sent: int = 0
    acknowledged: int = 0
    waiting: int = 0
    lost: int = 0
    connected: int = 0
    behind: float = 0.0
    slowest: float = 0.0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.recorded + other.recorded,
            self.sent + other.sent,
            self.acknowledged + other.acknowledged,
            self.waiting + other.waiting,
            self.lost + other.lost,
            self.connected + other.connected,
            max(self.behind, other.behind),
            max(self.slowest, other.slowest),
        )


class Publishers:
    """Appliances numbered from `first`, that start over `spread` seconds. All in the thread that makes them."""

    def __init__(self, first: int, count: int, folder: Path, settings: Settings, spread: float) -> None:
        self._ended = threading.Event()
        self._fleet = [Appliance(first + n, folder, settings, self._ended.set) for n in range(count)]
        self._traffic = Traffic(count, seed=first)
        self._spread = spread
        self._began = monotonic()
        self._running = 0
        self._ticks = 0
        self._recorded = 0
        self._behind = 0.0
        self._slowest = 0.0

    def step(self) -> None:
        """Do what is due."""
        now = monotonic()
        fraction = min(1.0, (now - self._began) / self._spread) if self._spread else 1.0
        while self._running < fraction * len(self._fleet):
            self._fleet[self._running].start()
            self._running += 1
        for due in self._traffic.due(now):
            begun = monotonic()
            self._fleet[due.appliance].tell(due.visit, due.message)
            ended = monotonic()
            self._recorded += 1
            self._behind = max(self._behind, ended - due.at)
            self._slowest = max(self._slowest, ended - begun)
        ticks = int((now - self._began) / LOOK * len(self._fleet))
        for tick in range(max(self._ticks, ticks - len(self._fleet)), ticks):
            if tick % len(self._fleet) < self._running:
                self._fleet[tick % len(self._fleet)].tick()
        self._ticks = ticks

    def heard(self, name: str, argument: Any) -> object:
        """The answer to a message: `rate` sets it, `count` counts, `since` tells when each was connected."""
        if name == "rate":
            self._traffic.set_rate(argument, monotonic())
        elif name == "since":
            publishers = [each.messaging.publisher for each in self._fleet]
            return [publisher.since for publisher in publishers if publisher.connected]
        return self._count()

    def stop(self) -> None:
        """End all in good order: first all are told, then all are waited for."""
        for appliance in self._fleet[: self._running]:
            appliance.messaging.publisher.stopping.set()
        for appliance in self._fleet[: self._running]:
            appliance.stop(STOP_LIMIT)

    def _count(self) -> Count:
        publishers = [each.messaging.publisher for each in self._fleet]
        behind, self._behind = self._behind, 0.0
        slowest, self._slowest = self._slowest, 0.0
        return Count(
            recorded=self._recorded,
            sent=sum(each.sent for each in publishers),
            acknowledged=sum(each.acknowledged for each in publishers),
            waiting=sum(each.spool for each in publishers),
            lost=sum(each.lost for each in publishers),
            connected=sum(each.connected for each in publishers),
            behind=behind,
            slowest=slowest,
        )


def main(pipe: Connection, first: int, count: int, folder: Path, settings: Settings, spread: float) -> None:
    """What the process runs."""
    logging.disable(logging.WARNING)
    publishers = Publishers(first, count, folder, settings, spread)
    gc.freeze()
    try:
        while True:
            for name, argument in messages(pipe, TURN):
                if name == STOP:
                    return
                pipe.send(publishers.heard(name, argument))
            publishers.step()
    except KeyboardInterrupt:
        return
    finally:
        publishers.stop()
