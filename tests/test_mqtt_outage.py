"""Through every outage: a subscriber whose session the broker keeps gets each event, in order, and none twice without
the same number to know it by. edgecam and the broker are killed, frozen and started again; the seeds are printed.

EDGECAM_LABS=1 plays the long versions.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from mqtt_broker import CONSUMER, Listener, Mosquitto, running
from publishing import TOPICS, events_of, firsts, plain, publishing, secured

pytestmark = pytest.mark.any_runtime

LABS = os.environ.get("EDGECAM_LABS") == "1"
KILLS = 10
FEEDER = Path(__file__).parent / "feeder.py"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "edgecam.db"


@pytest.fixture
def chance() -> random.Random:
    """Random instants; the seed is printed where the test fails, and EDGECAM_SEED sets it."""
    seed = int(os.environ.get("EDGECAM_SEED", random.randrange(1_000_000)))
    print(f"EDGECAM_SEED={seed}")  # noqa: T201
    return random.Random(seed)


def told(messages: list[dict[str, Any]]) -> list[int]:
    """The events of messages that each came once."""
    return [int(message["after"]["id"]) for message in messages]


def assert_all_in_order(listener: Listener, count: int) -> int:
    """Every event came, the first time in order; returns how many came again."""
    messages = events_of(listener)
    unique = firsts(messages)
    assert told(unique) == list(range(count))
    assert [message["sequence"] for message in unique] == list(range(1, count + 1))
    return len(messages) - len(unique)


def test_a_thousand_events_without_a_broker_all_arrive_in_order(
    secure_broker: Mosquitto, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecam.mqtt.link.LONGEST_WAIT", 1.0)
    broker, settings = secure_broker, secured(secure_broker)
    with Listener(broker, TOPICS.events, login=CONSUMER):
        pass
    with publishing(path, settings) as pair:
        pair.wait_until(lambda: pair.worker.acknowledged == 1)
        pair.record(0)
        pair.wait_until(lambda: pair.worker.acknowledged == 2)
        broker.stop()
        pair.wait_until(lambda: not pair.worker.connected)
        pair.record(*range(1, 1001))
        pair.wait_until(lambda: pair.worker.spool == 1000)
        broker.start()
        with Listener(broker, TOPICS.events, login=CONSUMER) as listener:
            listener.wait_for(TOPICS.events, count=1001, limit=60)
            pair.wait_until(lambda: pair.worker.spool == 0)
    assert assert_all_in_order(listener, 1001) == 0
    late = [message["late"] for message in events_of(listener)]
    assert late == [False] + [True] * 1000


class Feeder:
    """The process of feeder.py, to be killed and started again."""

    def __init__(self, path: Path, broker: Mosquitto, count: int, interval: float, reconnect: float) -> None:
        numbers = [str(number) for number in (broker.port, count, interval, reconnect)]
        self._arguments = [sys.executable, str(FEEDER), str(path), *numbers]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it works."""
        self._process = subprocess.Popen(self._arguments, stdout=subprocess.PIPE, text=True)
        assert self._said() == "ready"

    @property
    def alive(self) -> bool:
        """Whether it was started and not killed since."""
        return self._process is not None

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def finish(self) -> None:
        """Wait until it has recorded and delivered everything."""
        while self._said() != "delivered":
            pass
        assert self._process is not None
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0

    def wait_for(self, number: int) -> bool:
        """Wait until an event, or a later one, was recorded; False where it has recorded all."""
        while (said := self._said()) != "delivered":
            if said != "ready" and int(said) >= number:
                return True
        return False

    def _said(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, f"the feeder has ended: {self._process.wait()}"
        return line


@contextmanager
def feeder(path: Path, broker: Mosquitto, count: int, interval: float, reconnect: float = 0.05) -> Iterator[Feeder]:
    made = Feeder(path, broker, count, interval, reconnect)
    made.start()
    try:
        yield made
    finally:
        made.kill()


def test_edgecam_killed_at_ten_random_instants_loses_nothing(
    broker: Mosquitto, path: Path, chance: random.Random
) -> None:
    """Half of them while the broker is away, so that the spool outlives the process."""
    count = 1000
    with (
        Listener(broker, "edgecam/#") as listener,
        feeder(path, broker, count, interval=0.002) as edgecam,
    ):
        for number in sorted(chance.sample(range(count), KILLS)):
            away = chance.random() < 0.5
            if away:
                broker.stop()
            if edgecam.wait_for(number):
                sleep(chance.random() * 0.02)
                edgecam.kill()
            if away:
                broker.start()
            if not edgecam.alive:
                edgecam.start()
        edgecam.finish()
        listener.wait_until(lambda: len(told(firsts(events_of(listener)))) >= count, limit=60)
    again = assert_all_in_order(listener, count)
    print(f"{again} of {count} came again")  # noqa: T201
    assert b"offline" in listener.payloads(TOPICS.available)
    assert listener.payloads(TOPICS.available)[-1] == b"stopped"


def test_a_broker_killed_at_ten_random_instants_costs_nothing(
    broker_folder: Path, path: Path, chance: random.Random
) -> None:
    """What a broker has acknowledged and forgets in its own death is its own loss: mosquitto 2.0.11 first tells the
    subscribers who are there, then acknowledges, and only then writes down what it holds for those who are away. So
    this subscriber is quick to come back, quicker than edgecam, and takes as much at once as there is."""
    count = 1000
    with (
        running(Mosquitto(broker_folder, careful=True, settings="max_inflight_messages 1000")) as broker,
        Listener(broker, TOPICS.events, reconnect=0.02) as listener,
        feeder(path, broker, count, interval=0.005, reconnect=0.3) as edgecam,
    ):
        for number in sorted(chance.sample(range(count), KILLS)):
            edgecam.wait_for(number)
            sleep(chance.random() * 0.5)
            broker.kill()
            broker.start()
        edgecam.finish()
        listener.wait_until(lambda: len(told(firsts(events_of(listener)))) >= count, limit=30)
    print(f"{assert_all_in_order(listener, count)} of {count} came again")  # noqa: T201


def memory_bytes() -> int:
    """The memory this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_broker_that_reads_nothing_holds_up_nobody(broker: Mosquitto, path: Path) -> None:
    """SIGSTOP: the kernel takes the connection's bytes until its buffers are full, and nothing is acknowledged. 60
    seconds in the lab, with the connection given up and made anew in between."""
    seconds = 60.0 if LABS else 4.0
    with Listener(broker, TOPICS.events) as listener, publishing(path, plain(broker, keepalive=5)) as pair:
        pair.wait_until(lambda: pair.worker.acknowledged == 1)
        before, longest, number = memory_bytes(), 0.0, 0
        broker.freeze()
        ends = monotonic() + seconds
        while monotonic() < ends:
            started = monotonic()
            pair.record(number)
            pair.retained.put("edgecam/front/picture", os.urandom(200_000))
            longest = max(longest, monotonic() - started)
            number += 1
            sleep(0.02)
        grown = memory_bytes() - before
        broker.thaw()
        listener.wait_until(lambda: len(told(firsts(events_of(listener)))) >= number, limit=60)
        pair.wait_until(lambda: pair.worker.spool == 0)
    again = assert_all_in_order(listener, number)
    print(f"{number} recorded in {seconds:g} s, {again} came again; longest {longest * 1e3:.1f} ms; +{grown >> 20} MiB")  # noqa: T201
    assert grown < 64 << 20
