"""`edgecam run` as it is installed, with a broker, a subscriber and a configuration of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam.errors import EdgecamError
from edgecam.health.asking import Unreachable, ask

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CAMERA = "film"
PATIENCE = 90.0
"""Seconds that a start or an end may take."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the appliance is to do. `tpu`: the software Edge TPU has the model; `fps` of 0: the film's own;
    `loop_frames` is how many it has."""

    film: Path
    model: Path
    labels: Path | None
    port: int
    loop_frames: int = 0
    tpu: bool = False
    recording: bool = True
    threads: int = 1
    update_interval: float = 1.0
    pace: str = "realtime"
    fps: float = 0.0
    preset: str = "superfast"
    clips_max_bytes: int = 0
    output_wait: float = 0.5

    def text(self, folder: Path) -> str:
        """Its configuration, with all data below `folder`. What is not said is edgecam's default."""
        return f"""
data_dir = "{folder / "data"}"
[detector]
model = "{self.model}"
labels = "{self.labels or ""}"
device = "{"auto" if self.tpu else "cpu"}"
threads = {self.threads}
[events]
update_interval = {float(self.update_interval)}
[clips]
enabled = {str(self.recording).lower()}
preset = "{self.preset}"
[retention]
max_bytes = {self.clips_max_bytes}
[pipeline]
output_wait = {self.output_wait}
[mqtt]
enabled = true
host = "127.0.0.1"
port = {self.port}
[status]
socket = "{folder / "status.sock"}"
[cameras.{CAMERA}]
type = "video_file"
path = "{self.film}"
pace = "{self.pace}"
loop = true
{f"fps = {self.fps}" if self.fps else ""}
"""


class Appliance:
    """A running `edgecam run`."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.pid = process.pid
        self.folder = folder
        self._process = process

    def stats(self) -> dict[str, Any]:
        """Its own statistics. Raises EdgecamError where it has ended or does not answer."""
        if self._process.poll() is not None:
            raise EdgecamError(f"edgecam run has ended: {self.said()}")
        stats: dict[str, Any] = ask(self.folder / "status.sock", 30.0)["stats"]
        return stats

    def camera(self) -> dict[str, Any]:
        """Counters and latencies of its camera."""
        found: dict[str, Any] = self.stats()["cameras"][CAMERA]
        return found

    def counters(self) -> dict[str, int]:
        """What went through since it started."""
        counters: dict[str, int] = self.camera()["counters"]
        return counters

    def wait_until(self, reached: Callable[[dict[str, int]], bool], limit: float = PATIENCE) -> None:
        """Wait until its counters are so. Raises EdgecamError after `limit` seconds."""
        ends = time.monotonic() + limit
        while True:
            with suppress(Unreachable, KeyError):
                if reached(self.counters()):
                    return
            if time.monotonic() > ends:
                raise EdgecamError(f"edgecam run does not get on: {self.said()}")
            time.sleep(0.2)

    def said(self) -> str:
        """The last of what it wrote to stderr."""
        return " … ".join((self.folder / "stderr").read_text("utf-8", "replace").splitlines()[-3:])


@contextmanager
def running(setting: Setting, folder: Path, environment: dict[str, str]) -> Iterator[Appliance]:
    """The appliance, once it looks at frames; `environment` comes on top of ours. Raises EdgecamError."""
    folder.mkdir(parents=True)
    config = folder / "edgecam.toml"
    config.write_text(setting.text(folder), encoding="utf-8")
    command = [sys.executable, "-m", "edgecam", "run", "-c", str(config), "--json"]
    paths = [str(HERE / "naming"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    surroundings = os.environ | environment | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=surroundings)
    appliance = Appliance(process, folder)
    try:
        appliance.wait_until(lambda counters: counters["frames_analysed"] > 0)
        yield appliance
    finally:
        _end(process)


def summary(folder: Path) -> dict[str, Any]:
    """What it said at its end. Raises EdgecamError where it did not end in good order."""
    try:
        said: dict[str, Any] = json.loads((folder / "stdout").read_text("utf-8"))
    except ValueError:
        words = (folder / "stderr").read_text("utf-8", "replace").splitlines()[-3:]
        raise EdgecamError(f"edgecam run did not end in good order: {' … '.join(words)}") from None
    return said


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
