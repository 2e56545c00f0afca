"""One appliance without camera and detector: the product's own journal, publisher, topics and reports."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random

from edgecam.clock import SystemClock
from edgecam.config import Config
from edgecam.events import frigate_event_id
from edgecam.health.facts import CameraFacts, Facts, StorageFacts
from edgecam.latency import Latency
from edgecam.messaging import Messaging
from edgecam.mqtt.discovery import PREFERRED
from edgecam.sinks.journal import JournalSink
from edgecam.sinks.jpeg import Snapshot
from edgecam.switches import Switches
from edgecam.types import BBox, DetectorInfo, Event, EventType
from fleet_sim.traffic import APART, MESSAGES

SITE = "fleet"
"""What the prefixes of all appliances begin with: fleet/cam-00001 and so on."""
CAMERA, ZONE = "front", "path"
RATE = 30.0
"""Frames a second that the statistics tell of."""
_PATH = [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]]
_STAGES = {"inference": 0.0091, "detect": 0.0124, "event": 0.0151, "output": 0.0263}


@dataclass(frozen=True, slots=True)
class Settings:
    """What all appliances have in common: the broker's port, what goes out of pictures, and one picture, JPEG."""

    port: int
    snapshots: str = "bytes"
    picture: bytes = b""
    stats_interval: float = 60.0


def prefix(number: int) -> str:
    """What the topics of an appliance begin with."""
    return f"{SITE}/cam-{number:05d}"


class Appliance:
    """One camera's worth of messages. Made, started, told and stopped by one thread.

    As in `edgecam run` each event message is recorded in a journal with an outbox, from which the publisher's own
    thread sends it, and changes the retained counts; the first and the best picture of a visit go out as well.
    """

    def __init__(self, number: int, folder: Path, settings: Settings, on_exit: Callable[[], None]) -> None:
        config = _config(number, settings)
        self._clock = SystemClock()
        self._folder = folder / f"{number}"
        self._picture = settings.picture
        self._dice = Random(number)
        self._started = self._clock.monotonic()
        self._open: dict[int, Event] = {}
        self._told = 0
        path = self._folder / "edgecam.db"
        switches = {CAMERA: Switches()}
        self.messaging = Messaging(config, path, PREFERRED, switches, self._clock, on_exit)
        self._journal = JournalSink(path, outbox=True, clock=self._clock, on_record=self.messaging.publisher.recorded)
        self._topics = self.messaging.sink(CAMERA)

    def start(self) -> None:
        """Open the journal, connect to the broker, and say what there is to say of an appliance that starts."""
        self._folder.mkdir(parents=True)
        self._journal.open()
        self._topics.open()
        self.messaging.publisher.start()

    def stop(self, timeout: float) -> None:
        """End in good order. Raises WorkerStuck where the publisher does not, EdgecamError where it had failed."""
        publisher = self.messaging.publisher
        stuck = publisher.stop_within(timeout)
        self._journal.close()
        if stuck or publisher.fault:
            raise stuck or publisher.fault or AssertionError

    def tell(self, visit: int, message: int) -> None:
        """Let message number `message` of a visit go out: number 0 opens an event, the last ends it."""
        now = self._clock.monotonic()
        event = self._opened(visit, now) if message == 0 else self._later(self._open[visit], message, now)
        self._open[visit] = event
        self._journal.publish(event)
        self._topics.publish(event)
        self._told += 1
        if event.type is not EventType.UPDATE:
            self._show(event)
        if event.type is EventType.END:
            del self._open[visit]

    def tick(self) -> None:
        """Tell status and statistics where that is due, as the main thread of `edgecam run` does."""
        self.messaging.tick(self._facts)

    def _opened(self, visit: int, now: float) -> Event:
        wall = self._clock.wall(now)
        box = _box(self._dice.uniform(0.0, 0.6), self._dice.uniform(0.2, 0.5))
        score = self._dice.uniform(0.6, 0.95)
        return Event(
            type=EventType.NEW,
            event_id=frigate_event_id(wall, self._dice),
            camera=CAMERA,
            track_id=visit,
            label=self._dice.choice(PREFERRED),
            score=score,
            top_score=score,
            bbox=box,
            sequence=self._sequence(now),
            timestamp=now,
            start=now,
            end=None,
            best_sequence=self._sequence(now),
            best_bbox=box,
            best_timestamp=now,
            best_score=score,
            started=wall.timestamp(),
            frame_size=(1280, 720),
        )

    def _later(self, event: Event, message: int, now: float) -> Event:
        moved = _box(event.bbox.xmin + 0.03 * APART, event.bbox.ymin + 0.02 * APART)
        zones = (ZONE,) if message >= MESSAGES // 2 else ()
        later = replace(
            event,
            type=EventType.UPDATE if message + 1 < MESSAGES else EventType.END,
            score=self._dice.uniform(0.6, 0.95),
            bbox=moved,
            sequence=self._sequence(now),
            timestamp=now,
            current_zones=zones,
            entered_zones=zones,
            end=now if message + 1 == MESSAGES else None,
        )
        if later.score <= event.top_score:
            return later
        return replace(
            later,
            top_score=later.score,
            best_sequence=later.sequence,
            best_timestamp=now,
            best_score=later.score,
            best_bbox=moved,
        )

    def _show(self, event: Event) -> None:
        """No two pictures are the same: what a topic says already is not sent again."""
        name = f"{event.event_id}.jpg"
        picture = self._picture + f"{name} {event.sequence}".encode()
        path = Path("snapshots", CAMERA, name)
        taken = event.unix(event.best_timestamp)
        self._topics.saved(Snapshot(CAMERA, path, picture, event.sequence, taken, event.event_id, event.label))

    def _sequence(self, now: float) -> int:
        return round((now - self._started) * RATE)

    def _facts(self) -> Facts:
        frames = self._sequence(self._clock.monotonic())
        counters = {f"frames_{name}": frames for name in ("captured", "analysed", "written")}
        counters |= {f"frames_{name}": 0 for name in ("skipped", "failed", "dropped")}
        camera = CameraFacts(
            detector=DetectorInfo("ssdlite_mobiledet", "libedgetpu 16.0", "usb:2-1", (320, 320)),
            detector_lost_since=None,
            camera_lost_since=None,
            reopened=0,
            switches=dict.fromkeys(("detect", "recordings", "snapshots"), True),
            troubles=(),
            counters=counters | {"events": self._told, "events_lost": 0},
            latencies={stage: _latency(frames, seconds) for stage, seconds in _STAGES.items()},
        )
        return Facts({CAMERA: camera}, self.messaging.facts(), self._folder, storage=StorageFacts(written_bytes=frames))


@cache
def scene_picture() -> bytes:
    """A picture as an appliance with a 720p camera sends it, JPEG: a rendered street."""
    import cv2

    from edgecam.scenes import Scene

    image = Scene(1, width=1280, height=720, place="street", light="day").render(10.0).image
    quality = (cv2.IMWRITE_JPEG_QUALITY, Config().snapshots.quality)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
    return data.tobytes()


def _config(number: int, settings: Settings) -> Config:
    mqtt = {
        "enabled": True,
        "host": "127.0.0.1",
        "port": settings.port,
        "prefix": prefix(number),
        "client_id": f"cam-{number:05d}@{platform.node()}",
        "snapshots": settings.snapshots,
        "stats_interval": settings.stats_interval,
    }
    camera = {"type": "synthetic", "zones": {ZONE: {"polygon": _PATH}}}
    return Config.model_validate({"cameras": {CAMERA: camera}, "mqtt": mqtt})


def _box(xmin: float, ymin: float) -> BBox:
    return BBox(xmin, ymin, xmin + 0.12, ymin + 0.3)


def _latency(frames: int, seconds: float) -> Latency:
    wobble = 1 + frames % 7 / 50
    return Latency(frames, seconds * wobble, 1.4 * seconds * wobble, 1.9 * seconds * wobble)
