"""A whole edgecam, a real broker and a subscriber in a process of its own: how long a message takes, and what a broker
that does nothing more costs."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from mqtt_broker import Mosquitto, running

from edgecam.app import App, tidy
from edgecam.benchmark.film import FilmCamera, NotingSink, render
from edgecam.clock import SystemClock
from edgecam.composition import JOURNAL, build_awaited, build_messaging, build_parts, build_sinks
from edgecam.config import Config
from edgecam.models import load, resolve
from edgecam.pipeline import Pipeline

CAMERA = "film"
PATIENCE = 60.0
"""Seconds that anything beside the measured time may take."""
#: Tells of each event message when it came, by the wall clock, which is this machine's for both sides.
_SUBSCRIBER = """
import json, sys, time
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
def told(client, userdata, message):
    came = time.time()
    said = json.loads(message.payload)
    after = said["after"]
    print(json.dumps([came, said["sequence"], said["type"], after["frame"], after["frame_time"]]), flush=True)
client = Client(CallbackAPIVersion.VERSION2, "lab", clean_session=False)
client.reconnect_delay_set(1, 1)
client.on_connect = lambda client, *rest: client.subscribe("edgecam/events", qos=1)
client.on_subscribe = lambda *rest: print("ready", flush=True)
client.on_message = told
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
"""


@dataclass(frozen=True, slots=True)
class Told:
    """One event message as the subscriber got it; times in Unix seconds."""

    came: float
    sequence: int
    type: str
    frame: int
    frame_time: float


class Subscriber:
    """Listens in a process of its own, so that edgecam's threads and this one are not in each other's way."""

    def __init__(self, broker: Mosquitto) -> None:
        self.told: list[Told] = []
        command = [sys.executable, "-c", _SUBSCRIBER, str(broker.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line != "ready\n":  # it was connected again
                self.told.append(Told(*json.loads(line)))


class Appliance:
    """edgecam as `edgecam run` has it, on a film of a street at 30 fps, 1280x720, with its detector in a process."""

    def __init__(self, folder: Path, broker: Mosquitto, *, recording: bool, fps: float = 30.0) -> None:
        clock = SystemClock()
        self.journal = folder / JOURNAL
        config = Config.model_validate(
            {
                "data_dir": folder,
                "detector": {"model": os.environ.get("EDGECAM_LAB_MODEL", "edgecam-demo"), "isolate": True},
                "clips": {"enabled": recording},
                "mqtt": {"enabled": True, "host": "127.0.0.1", "port": broker.port, "stats_interval": 1.0},
                "cameras": {CAMERA: {"type": "synthetic"}},
            }
        )
        tidy(config, clock)
        model = resolve(config.detector.model)
        pictures = render(load(model.path).input_size)
        self.noted = NotingSink()
        parts = build_parts(config, CAMERA, config.cameras[CAMERA], model, clock)
        parts = replace(parts, camera=FilmCamera(pictures, fps, clock, lossless=False))
        changed = threading.Event()
        self.messaging = build_messaging(config, model, [parts], clock, changed.set)
        sinks = build_sinks(config, parts, self.messaging, build_awaited(config, clock))
        parts = replace(parts, sinks=[*sinks, self.noted])
        self.pipeline = Pipeline(parts, changed.set)
        self.app = App([self.pipeline], changed, None, self.messaging)
        self._thread = threading.Thread(target=self.app.run)

    def __enter__(self) -> Appliance:
        self._thread.start()
        self.wait_until(lambda: self.pipeline.detect.analysed > 30)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.app.stop()
        self._thread.join(PATIENCE)

    def wait_until(self, condition: Any, limit: float = PATIENCE) -> None:
        ends = monotonic() + limit
        while not condition():
            assert monotonic() < ends, "it does not come about"
            threading.Event().wait(0.05)

    def counts(self) -> tuple[float, int, int]:
        """Now, and frames captured and analysed so far."""
        return monotonic(), self.pipeline.capture.captured, self.pipeline.detect.analysed


@contextmanager
def at_work(folder: Path, *, recording: bool) -> Iterator[tuple[Mosquitto, Appliance, Subscriber]]:
    """A broker, an edgecam and a subscriber."""
    with running(Mosquitto(folder / "broker")) as broker:
        subscriber = Subscriber(broker)
        try:
            with Appliance(folder / "data", broker, recording=recording) as appliance:
                yield broker, appliance, subscriber
            subscriber_has_all(appliance, subscriber)
        finally:
            subscriber.stop()


def subscriber_has_all(appliance: Appliance, subscriber: Subscriber) -> None:
    """Wait until the subscriber has every message that was ever recorded."""
    with sqlite3.connect(appliance.journal) as journal:
        recorded = journal.execute(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'"
        ).fetchone()[0]
    journal.close()
    appliance.wait_until(lambda: len({each.sequence for each in subscriber.told}) >= recorded)


def latency(folder: Path, *, seconds: float, recording: bool) -> dict[str, Any]:
    """From a frame's timestamp to its event message at the subscriber, less the inference of that frame; seconds."""
    with at_work(folder, recording=recording) as (_broker, appliance, subscriber):
        begun = len(subscriber.told)
        threading.Event().wait(seconds)
        told = list(subscriber.told[begun:])
    inference = {note.sequence: note.inference for note in appliance.noted.notes if note.made is not None}
    beyond = [each.came - each.frame_time - inference.get(each.frame, 0.0) for each in told]
    stages = {**appliance.pipeline.detect.latencies.summary(), **appliance.pipeline.output.latencies.summary()}
    return {
        "recording": recording,
        "messages": len(told),
        "beyond_inference": percentiles(beyond),
        "stages": {name: [each.p50, each.p99] for name, each in stages.items()},
    }


def stall(folder: Path, *, frozen: float, before: float) -> dict[str, Any]:
    """A broker that takes the connection and does nothing more for a while: rates before and meanwhile, memory, and
    whether all came in order after it."""
    with at_work(folder, recording=False) as (broker, appliance, subscriber):
        assert appliance.messaging is not None
        publisher = appliance.messaging.publisher
        threading.Event().wait(min(before, 2.0))
        usual = rates(appliance, before)
        memory = rss_bytes()
        broker.freeze()
        meanwhile = rates(appliance, frozen)
        grown = rss_bytes() - memory
        waiting = publisher.spool
        broker.thaw()
        appliance.wait_until(lambda: publisher.connected and not publisher.spool)
    order = [each.sequence for each in subscriber.told]
    first = list(dict.fromkeys(order))
    counters = appliance.pipeline.counters()
    return {
        "frozen": frozen,
        "before": usual,
        "meanwhile": meanwhile,
        "grown_bytes": grown,
        "waiting_at_the_end": waiting,
        "messages": len(first),
        "duplicates": len(order) - len(first),
        "in_order": first == list(range(1, len(first) + 1)),
        "frames_dropped": counters.frames_dropped,
        "events_lost": counters.events_lost,
    }


def rates(appliance: Appliance, seconds: float) -> dict[str, float]:
    """Frames a second, over so many seconds."""
    begin, captured, analysed = appliance.counts()
    threading.Event().wait(seconds)
    end, captured_then, analysed_then = appliance.counts()
    return {
        "captured": round((captured_then - captured) / (end - begin), 2),
        "analysed": round((analysed_then - analysed) / (end - begin), 2),
    }


def rss_bytes() -> int:
    """Memory in use by this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def percentiles(durations: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99, seconds."""
    values = np.percentile(durations, (50, 95, 99)) if durations else (float("nan"),) * 3
    return {name: round(float(value), 5) for name, value in zip(("p50", "p95", "p99"), values, strict=True)}
