"""Who is compared: how each is started, and where its frames are counted."""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from bench_peers.broker import free_port
from bench_peers.environments import Environment, Unavailable, debian_program, python_of
from bench_peers.film import FPS, SIZE
from edgecam.errors import EdgecamError
from edgecam.health.asking import ask

ROOT = Path(__file__).resolve().parent.parent.parent
INSIDE = Path(__file__).resolve().parent / "inside"
_COUNTER = struct.Struct("<QQ")
"""As inside/counting.py writes it; that one runs where this package is not."""
LITERT, OLD_TFLITE = "ai-edge-litert", "tflite-runtime"
_MODULES = {LITERT: "ai_edge_litert.interpreter", OLD_TFLITE: "tflite_runtime.interpreter"}
_OLD_RUNTIME = ("tflite-runtime==2.14.0", "numpy<2", "opencv-python-headless<4.12")
_X264 = "-c:v libx264 -preset superfast -tune zerolatency -crf 23 -bf 0 -g 30 -threads 1 -pix_fmt yuv420p"
LOOPS = {
    LITERT: Environment("loop", ("ai-edge-litert", "opencv-python-headless")),
    OLD_TFLITE: Environment("loop-tflite", _OLD_RUNTIME, old=True),
}
EDGECAM = Environment("edgecam-tflite", ("--editable", f"{ROOT}[tflite]"), old=True, follows=ROOT / "pyproject.toml")
"""That with ai-edge-litert is the one that runs this tool."""
WATSOR = Environment(
    "watsor",
    (
        "watsor==1.0.8", "paho-mqtt==1.6.1", "Werkzeug==2.0.3", "Pillow==9.5.0", "shapely>=2,<3", *_OLD_RUNTIME,
        "ai-edge-litert",
    ),
    old=True,
)  # fmt: skip
MEDIAPIPE = Environment("mediapipe", ("mediapipe==1.2.2",))


class Way(StrEnum):
    """What is asked of them: as many frames as they can, 30 a second, or 30 a second and a word about each."""

    FREE = "free"
    PACED = "paced"
    TOLD = "told"


@dataclass(frozen=True, slots=True)
class Order:
    """What one is to do; `folder` is an empty one for its files, `port` the broker's (0: there is none)."""

    way: Way
    runtime: str
    recording: bool
    film: Path
    model: Path
    labels: Path | None
    folder: Path
    peers: Path
    port: int

    @property
    def pace(self) -> str:
        """Frames per second, 0 for as many as it can."""
        return "0" if self.way is Way.FREE else str(FPS)


@dataclass(frozen=True, slots=True)
class Program:
    """How to start it, and its frames and what it found so far; found is None where it does not say."""

    command: list[str | Path]
    counts: Callable[[], tuple[int, int | None]]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One in the table. `does` says what work it does for each frame."""

    peer: str
    does: str
    program: Callable[[Order], Program]
    ways: tuple[Way, ...]
    runtime: str = LITERT
    recording: bool = False

    @property
    def name(self) -> str:
        """No other one has it."""
        return ", ".join((self.peer, *([self.runtime] if self.runtime else []), *(["recording"] * self.recording)))


def edgecam(order: Order) -> Program:
    """`edgecam run`, with the defaults but for what is measured."""
    socket = order.folder / "status.sock"
    pace = 'pace = "fast"' if order.way is Way.FREE else 'pace = "realtime"'
    text = f"""
data_dir = {_quoted(order.folder / "data")}
[detector]
model = {_quoted(order.model)}
labels = {_quoted(order.labels or "")}
device = "cpu"
threads = 1
runtime = "{order.runtime}"
[events]
update_interval = {0.05 if order.way is Way.TOLD else 1.0}
[clips]
enabled = {str(order.recording).lower()}
[mqtt]
enabled = {str(bool(order.port)).lower()}
host = "127.0.0.1"
port = {order.port}
[status]
socket = {_quoted(socket)}
[cameras.film]
type = "video_file"
path = {_quoted(order.film)}
loop = true
{pace}
"""
    config = order.folder / "edgecam.toml"
    config.write_text(text, encoding="utf-8")
    python = Path(sys.executable) if order.runtime == LITERT else python_of(EDGECAM, order.peers)

    def counts() -> tuple[int, int | None]:
        with suppress(EdgecamError):
            counters = ask(socket)["stats"]["cameras"]["film"]["counters"]
            return counters["frames_analysed"], None
        return 0, None

    return Program([python, "-m", "edgecam", "run", "-c", config], counts, {"PYTHONPATH": str(ROOT)})


def watsor(order: Order) -> Program:
    """Watsor as a whole, by our own starter, with ffmpeg's x264 set as edgecam's where it records."""
    ffmpeg = debian_program("ffmpeg", order.peers)
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    quiet = ["-hide_banner", "-loglevel", "error"]
    paced = [] if order.way is Way.FREE else ["-re"]
    width, height = SIZE
    camera = {"width": width, "height": height, "input": str(order.film)}
    config: dict[str, Any] = {
        "http": {"port": free_port()},
        "ffmpeg": {"decoder": [*quiet, *paced, "-stream_loop", "-1", "-i", *raw]},
        "detect": [{"person": {"area": 1, "confidence": 50}}],
        "cameras": [{"film": camera}],
    }
    if order.recording:
        encoder = [*quiet, *raw, "-r", str(FPS), "-i", "-an", *_X264.split(), "-y"]
        config["ffmpeg"] = {**config["ffmpeg"], "encoder": encoder}
        camera["output"] = str(order.folder / "watsor.mp4")
    if order.port:
        config["mqtt"] = {"host": "127.0.0.1", "port": order.port}
    file = order.folder / "watsor.yaml"
    file.write_text(json.dumps(config), encoding="utf-8")  # which is YAML, too
    (order.folder / "cpu.tflite").symlink_to(order.model)
    python = python_of(WATSOR, order.peers)
    command: list[str | Path] = [python, INSIDE / "watsor_whole.py", "-c", file, "--model-path", order.folder]
    path = {"PATH": f"{ffmpeg.parent}:{os.environ.get('PATH', os.defpath)}", "PEER_RUNTIME": _MODULES[order.runtime]}
    counts, named = _counted(order)
    return Program([*command, "--log-path", order.folder], counts, {**path, **named})


def single_loop(order: Order) -> Program:
    """The single loop."""
    python = python_of(LOOPS[order.runtime], order.peers)
    video = order.folder / "loop.mp4" if order.recording else ""
    counts, named = _counted(order)
    given = (_MODULES[order.runtime], order.model, order.labels or "", order.film, order.pace, video)
    return Program([python, INSIDE / "single_loop.py", *given], counts, named)


def mediapipe(order: Order) -> Program:
    """MediaPipe's detector in a loop."""
    if order.labels is None:
        raise Unavailable("it wants the labels in the model: give --labels")
    python = python_of(MEDIAPIPE, order.peers)
    counts, named = _counted(order)
    given = (order.model, order.labels, order.film, order.pace, order.folder)
    return Program([python, INSIDE / "mediapipe_loop.py", *given], counts, named)


def motion(order: Order) -> Program:
    """Motion, on the file at its own pace. It does not count, so its frames are those that the clock allows."""
    config = order.folder / "motion.conf"
    width, height = SIZE
    settings = {
        "netcam_url": f"file://{order.film}", "width": width, "height": height, "framerate": FPS,
        "movie_output": "on" if order.recording else "off", "emulate_motion": "on" if order.recording else "off",
        "picture_output": "off", "webcontrol_port": 0, "stream_port": 0, "target_dir": order.folder,
    }  # fmt: skip
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()), encoding="utf-8")
    program = debian_program("motion", order.peers)
    began = time.monotonic()
    return Program([program, "-n", "-c", config], lambda: (int(FPS * (time.monotonic() - began)), None), {})


def bare_invoke(order: Order, seconds: float) -> list[str | Path]:
    """The command that measures it. Raises Unavailable."""
    python = python_of(LOOPS[order.runtime], order.peers)
    return [python, INSIDE / "invoking.py", _MODULES[order.runtime], order.model, order.film, str(seconds)]


def _counted(order: Order) -> tuple[Callable[[], tuple[int, int | None]], dict[str, str]]:
    """What reads the counter of a program that has one, and the variable that tells it where that is."""
    file = order.folder / "counter"
    file.write_bytes(_COUNTER.pack(0, 0))
    return lambda: _COUNTER.unpack(file.read_bytes()), {"PEER_COUNTER": str(file)}


def _quoted(text: object) -> str:
    """A string in TOML."""
    return json.dumps(str(text))


_DETECTS = (Way.FREE, Way.PACED)
_APPLIANCE = (*_DETECTS, Way.TOLD)
_WHOLE = "detect, track, events, MQTT"
ENTRIES = (
    Entry("edgecam", f"{_WHOLE}, journal", edgecam, _APPLIANCE),
    Entry("Watsor 1.0.8", _WHOLE, watsor, _APPLIANCE),
    Entry("single loop", "detect, draw", single_loop, _DETECTS),
    Entry("MediaPipe 1.2.2", "detect", mediapipe, _DETECTS, runtime=""),
    Entry("edgecam", f"{_WHOLE}, journal, draw, x264", edgecam, _APPLIANCE, recording=True),
    Entry("Watsor 1.0.8", f"{_WHOLE}, draw, x264", watsor, _APPLIANCE, recording=True),
    Entry("single loop", "detect, draw, mp4v", single_loop, _DETECTS, recording=True),
    Entry("edgecam", f"{_WHOLE}, journal", edgecam, _APPLIANCE, runtime=OLD_TFLITE),
    Entry("Watsor 1.0.8", _WHOLE, watsor, _APPLIANCE, runtime=OLD_TFLITE),
    Entry("single loop", "detect, draw", single_loop, _DETECTS, runtime=OLD_TFLITE),
    Entry("Motion", "look for changes", motion, (Way.PACED,), runtime=""),
    Entry("Motion", "look for changes, x264", motion, (Way.PACED,), runtime="", recording=True),
)
