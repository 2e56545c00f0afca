"""A home with cameras on a street, for the pages: live pictures, a day of events, clips with boxes; all of it real."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from clip_stories import write_clip
from mqtt_broker import free_port
from web_house import with_password

from edgecam.cameras.synthetic import SyntheticCamera
from edgecam.clip_store import ClipRow, ClipStore
from edgecam.clock import SystemClock
from edgecam.config import load
from edgecam.health.facts import CameraFacts, Facts, MqttFacts
from edgecam.health.stats import CameraLatencies, Counts
from edgecam.journal import Journal
from edgecam.latency import Latency
from edgecam.live_feed import LiveFeed
from edgecam.newest import NewestFrame
from edgecam.overlay import Overlay
from edgecam.recording.boxes import BoxesWriter, boxes_path
from edgecam.recording.encoder import Encoder, EncoderOptions
from edgecam.sinks.live import LiveSink
from edgecam.switches import Switches
from edgecam.types import AnnotatedFrame, BBox, DetectorInfo, Frame, Track
from edgecam.web.premises import CameraAccess, Premises
from edgecam.yuv import i420_to_rgb

SIZE = (640, 360)
FPS = 10
SECONDS = 6
QUICK = EncoderOptions(codec="libx264", quality=30, preset="ultrafast")
LATENCY = Latency(1000, 0.012, 0.021, 0.034)
STILL = BBox(0.0, 0.0, 0.0, 0.0)
_CAMERAS = """
[cameras.front]
type = "synthetic"
[cameras.front.zones.drive]
polygon = [[0.08, 0.62], [0.55, 0.55], [0.7, 0.95], [0.05, 0.95]]
[cameras.front.lines.gate]
points = [[0.72, 0.9], [0.8, 0.55]]
[cameras.garden]
type = "synthetic"
"""


@functools.cache
def film(place: str) -> tuple[tuple[Frame, tuple[Track, ...]], ...]:
    """Frames of a rendered place, each with what is truly in it."""
    camera = SyntheticCamera(lores_size=(32, 32), size=SIZE, fps=FPS, pace="fast", place=place, light="day", seed=5)
    made = []
    with camera:
        for _ in range(FPS * SECONDS):
            frame = camera.read(5.0)
            assert frame is not None
            seen = [each for each in camera.truth(frame.sequence) if not each.difficult]
            tracks = [Track(each.object_id, each.label, 0.87, each.bbox, 9, 0, STILL, confirmed=True) for each in seen]
            made.append((frame, tuple(tracks)))
    return tuple(made)


class Filming:
    """A camera at work: its film there and back again, drawn on, shown live. `run` goes on until it is stopped."""

    def __init__(self, name: str, place: str, *, overlay: bool) -> None:
        self.name, self.newest, self.feed, self.switches = name, NewestFrame(), LiveFeed(), Switches()
        self._film, self._sink = film(place), LiveSink(name, self.feed, encoder=QUICK, overlay=overlay)
        self._overlay, self._number = Overlay(), 0
        self.frozen = threading.Event()

    def step(self) -> None:
        """The next picture."""
        turn, place = divmod(self._number, len(self._film))
        seen, tracks = self._film[place if turn % 2 == 0 else -1 - place]
        frame = Frame(self._number, time.monotonic(), seen.main, seen.lores)
        image = seen.main.copy()
        self._overlay.draw(image, tracks, datetime.now().astimezone(), f"{self.name}: picture {self._number}")
        annotated = AnnotatedFrame(frame, image, tracks, None)
        self._number += 1
        self.newest.put(annotated)
        if not self.frozen.is_set():
            self._sink.write(annotated)

    def run(self, stopping: threading.Event) -> None:
        """Film until the event is set."""
        while not stopping.wait(1 / FPS):
            self.step()
        self._sink.close()


@dataclass
class Street:
    """A running edgecam with cameras `front` and `garden`, as the web server sees it."""

    folder: Path
    overlay: bool = True
    troubles: tuple[str, ...] = ()
    reloads: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    password: bool = False

    def __post_init__(self) -> None:
        text = f'data_dir = "data"\n[clips]\noverlay = {str(self.overlay).lower()}\n'
        text += f"[web]\nenabled = true\nport = {free_port()}\n"
        if self.password:
            text += f'password_file = "{with_password(self.folder)}"\n'
        self.path.write_text(text + _CAMERAS, encoding="utf-8")
        self.config = load(self.path)
        self.cameras = [
            Filming("front", "street", overlay=self.overlay),
            Filming("garden", "garden", overlay=self.overlay),
        ]

    @property
    def path(self) -> Path:
        return self.folder / "edgecam.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def premises(self) -> Premises:
        cameras = {each.name: self._access(each) for each in self.cameras}
        return Premises(self.config, self.path, cameras, self.facts, SystemClock(), self.reload)

    def _access(self, camera: Filming) -> CameraAccess:
        marks = self.config.cameras[camera.name]
        return CameraAccess(camera.name, camera.switches, camera.newest, camera.feed, ("person", "car", "dog"), marks)

    def reload(self) -> list[str]:
        self.reloads += 1
        return []

    def facts(self) -> Facts:
        cameras = {}
        for each in self.cameras:
            passed = each._number
            counters = {"frames_captured": passed, "frames_analysed": passed, "frames_written": passed, "events": 12}
            cameras[each.name] = CameraFacts(
                detector=DetectorInfo("ssdlite_mobiledet", "ai-edge-litert 1.4.0", "usb:2-1", (320, 320)),
                detector_lost_since=None,
                camera_lost_since=None,
                reopened=0,
                switches=each.switches.states(),
                troubles=self.troubles,
                counters=dict.fromkeys(Counts.model_fields, 0) | counters | self.counters,
                latencies=dict.fromkeys(CameraLatencies.model_fields, LATENCY),
            )
        return Facts(cameras, MqttFacts(), self.data)

    @contextlib.contextmanager
    def filming(self) -> Iterator[None]:
        """The cameras at work."""
        stopping = threading.Event()
        threads = [threading.Thread(target=each.run, args=(stopping,), daemon=True) for each in self.cameras]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join(30)

    def happened(self, event_id: str, start: float, *, camera: str = "front", **changes: Any) -> None:
        """Record an event of four seconds, with a picture; a `type` of new: it goes on."""
        message = self.message(event_id, start, camera=camera, **changes)
        picture = self.picture(message) if message["type"] == "end" else None
        with Journal(self.data / "edgecam.db") as journal:
            journal.record(message, picture)

    def happened_often(self, times: Sequence[float]) -> None:
        """Record many events at these times."""
        with Journal(self.data / "edgecam.db") as journal:
            for number, start in enumerate(times):
                camera = self.cameras[number * 7 // 3 % 2].name
                zones = ["drive"] if number % 3 == 0 else []
                message = self.message(f"{start:.3f}-{number}", start, camera=camera, entered_zones=zones)
                journal.record(message, self.picture(message))

    def message(self, event_id: str, start: float, *, camera: str = "front", **changes: Any) -> dict[str, Any]:
        """What was said of an event last."""
        seen = self._best(camera, start, changes.get("label"))
        message = {
            "type": "end",
            "id": event_id,
            "camera": camera,
            "label": seen.label,
            "score": 0.84,
            "top_score": 0.91,
            "box": list(seen.bbox),
            "frame": 40,
            "track_id": seen.track_id,
            "start_time": start,
            "frame_time": start + 4,
            "end_time": start + 4,
            "entered_zones": [],
            "frame_size": list(SIZE),
            "best": {"frame": 30, "box": list(seen.bbox)},
        }
        return message | changes

    def picture(self, message: dict[str, Any]) -> Path:
        """The picture of an event."""
        begun = datetime.fromtimestamp(message["start_time"]).astimezone()
        path: Path = self.data / "snapshots" / message["camera"] / f"{begun:%Y-%m-%d}" / f"{message['id']}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_shot(_place(message["camera"]), int(message["start_time"]) % (FPS * SECONDS)))
        return path

    def film_of(self, event_id: str, start: float, camera: str = "front") -> ClipRow:
        """Record the clip of an event: the whole film, and the boxes beside it."""
        begun = datetime.fromtimestamp(start).astimezone()
        path = Path("clips", camera, f"{begun:%Y-%m-%d}", f"{begun:%H-%M-%S}-{event_id}.mp4")
        frames = film(_place(camera))
        with Encoder(SIZE, QUICK) as encoder:
            packets = [
                each for number, (frame, _) in enumerate(frames) for each in encoder.encode(frame.main, number / FPS)
            ]
            packets += encoder.flush()
            info = write_clip(self.data / path, packets, encoder.stream)
        writer = BoxesWriter(boxes_path(self.data / path), 0.0)
        for number, (_, tracks) in enumerate(frames):
            writer.write(number / FPS, tracks)
        writer.close(len(frames) / FPS)
        row = ClipRow(event_id, camera, path, start, start + info.duration, True, info.frames, info.bytes)
        with ClipStore(self.data / "edgecam.db") as store:
            store.begun(row, [event_id])
        return row

    def _best(self, camera: str, start: float, label: str | None) -> Track:
        tracks = film(_place(camera))[int(start) % (FPS * SECONDS)][1]
        alike = [track for track in tracks if track.label == label]
        return (alike or list(tracks) or [Track(1, label or "person", 0.9, BBox(0.4, 0.4, 0.6, 0.8), 1, 0, STILL)])[0]


def _place(camera: str) -> str:
    return {"front": "street", "garden": "garden"}[camera]


@functools.cache
def _shot(place: str, number: int) -> bytes:
    frame, tracks = film(place)[number]
    image = frame.main.copy()
    Overlay().draw(image, tracks, None, "")
    encoded_well, data = cv2.imencode(".jpg", cv2.cvtColor(i420_to_rgb(image), cv2.COLOR_RGB2BGR))
    assert encoded_well
    return np.asarray(data).tobytes()
