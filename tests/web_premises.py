"""What the web server's parts are tested with: a configuration, a camera, a folder of clips and pictures, a client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from clip_shelf import NOON, Shelf, event_message

from edgecam.clip_store import ClipStore
from edgecam.config import load
from edgecam.health.facts import CameraFacts, Facts, MqttFacts
from edgecam.health.stats import CameraLatencies, Counts
from edgecam.journal import Journal
from edgecam.latency import Latency
from edgecam.recording.boxes import BoxesWriter, boxes_path
from edgecam.switches import Switches
from edgecam.testing import ManualClock, make_frame
from edgecam.types import AnnotatedFrame, BBox, DetectorInfo, Track
from edgecam.web.premises import CameraAccess, Premises

CONFIG = """\
# My cameras.
data_dir = "data"

[cameras.front]  # above the door
type = "synthetic"
privacy_masks = [
  [[0.0, 0.0], [0.2, 0.0], [0.2, 0.2]],  # the neighbour
]

[cameras.front.zones.drive]
polygon = [[0.1, 0.5], [0.6, 0.5], [0.6, 1.0]]  # up to the gate
inertia = 3  # as it is anyway

[cameras.back]  # not to be changed
type = "synthetic"
enabled = false
"""
LATENCY = Latency(100, 0.012, 0.02, 0.03)


@dataclass
class NewestPicture:
    """Stands for the newest frame of a camera."""

    annotated: AnnotatedFrame | None = None

    def get(self) -> AnnotatedFrame | None:
        return self.annotated


@dataclass
class Home:
    """A running edgecam, as the web server sees it. `reloads` counts; `later` is what then needs a restart."""

    folder: Path
    reloads: int = 0
    later: list[str] = field(default_factory=list)
    troubles: tuple[str, ...] = ()
    counters: dict[str, int] = field(default_factory=dict)
    switches: Switches = field(default_factory=lambda: Switches(absent=["snapshots"]))
    newest: NewestPicture = field(default_factory=NewestPicture)

    def __post_init__(self) -> None:
        self.path.write_text(CONFIG, encoding="utf-8")
        frame = make_frame(0, size=(640, 360))
        self.newest.annotated = AnnotatedFrame(frame, frame.main, (), None)

    @property
    def path(self) -> Path:
        return self.folder / "edgecam.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def premises(self, **changes: Any) -> Premises:
        config = load(self.path)
        newest: Any = self.newest
        feed: Any = None
        front = CameraAccess("front", self.switches, newest, feed, ("person", "car"), config.cameras["front"])
        said = {
            "config": config,
            "config_path": self.path,
            "cameras": {"front": front},
            "facts": self.facts,
            "clock": ManualClock(),
            "reload": self.reload,
        }
        return Premises(**{**said, **changes})

    def reload(self) -> list[str]:
        self.reloads += 1
        return self.later

    def facts(self) -> Facts:
        front = CameraFacts(
            detector=DetectorInfo("tiny", "ai-edge-litert 1.4.0", "cpu", (320, 320)),
            detector_lost_since=None,
            camera_lost_since=None,
            reopened=0,
            switches=self.switches.states(),
            troubles=self.troubles,
            counters=dict.fromkeys(Counts.model_fields, 0) | self.counters,
            latencies=dict.fromkeys(CameraLatencies.model_fields, LATENCY),
        )
        return Facts({"front": front}, MqttFacts(), self.data)

    def record(self, event_id: str, at: float = 0.0, *, picture: bool = False, **changes: Any) -> None:
        """Record an event, `at` seconds after noon, with a picture if wanted."""
        path = self.data / "snapshots" / "front" / "2026-03-01" / f"{event_id}.jpg"
        if picture:
            path.parent.mkdir(parents=True, exist_ok=True)
            shot = np.zeros((360, 640, 3), np.uint8)
            shot[72:252, 192:320] = (0, 0, 255)  # red in the box of the best look
            assert cv2.imwrite(str(path), shot)
        with Journal(self.data / "edgecam.db") as journal:
            journal.record(event_message(event_id, at, **changes), path if picture else None)

    def film(self, clip_id: str, *events: str, at: float = 0.0, boxes: bool = False) -> Path:
        """Record a clip that shows events; its path."""
        shelf = Shelf(self.data)
        with ClipStore(shelf.journal) as store:
            clip = shelf.store(store, clip_id, at, *events)
        path = self.data / clip.path
        if boxes:
            writer = BoxesWriter(boxes_path(path), 10.0)
            still = BBox(0.0, 0.0, 0.0, 0.0)
            writer.write(10.0, [Track(3, "person", 0.9, BBox(0.3, 0.2, 0.5, 0.7), 1, 0, still, confirmed=True)])
            writer.close(10.5)
        return path


class Client:
    """Asks an application without a network, each request in a turn of one loop. The application's own tasks run in
    between, `started` says whether they do."""

    def __init__(self, app: Any, *, started: bool = False) -> None:
        self._app = app
        self._runner = asyncio.Runner()
        self._lifespan = app.router.lifespan_context(app) if started else None

    def __enter__(self) -> Client:
        if self._lifespan:
            self._runner.run(self._lifespan.__aenter__())
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._lifespan:
            self._runner.run(self._lifespan.__aexit__(None, None, None))
        self._runner.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Errors of the application are raised."""
        return self._runner.run(self._ask(method, path, **options))

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://edgecam") as client:
            return await client.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> httpx.Response:
        return self.request("HEAD", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PUT", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)


def seconds_after_noon(seconds: float) -> float:
    return NOON + seconds
