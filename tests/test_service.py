"""The service as systemd sees it: fakes that hang on purpose, and a real `edgecam run` at a real notify socket."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from notify_socket import NotifySocket, statuses

from edgecam.app import App
from edgecam.bundled import demo_clip
from edgecam.clock import SystemClock
from edgecam.errors import CameraError
from edgecam.events import EventRules
from edgecam.health.asking import ask
from edgecam.pipeline import Pipeline, PipelineParts
from edgecam.ports import Camera, Detector
from edgecam.service import Service
from edgecam.systemd import Notifier
from edgecam.testing import RecordingSink, ScriptedDetector, make_frame
from edgecam.tracker import Tracker
from edgecam.types import Frame

pytestmark = pytest.mark.any_runtime

LIMIT = 120.0
"""Seconds after which something hangs; nothing waits that long."""


class Endless(Camera):
    """Delivers a picture at each turn, for ever; hangs while `hang` is set, is lost while `lost` is."""

    def __init__(self) -> None:
        self.hang, self.lost, self.released = threading.Event(), threading.Event(), threading.Event()
        self._numbers = count()

    def open(self) -> None:
        if self.lost.is_set():
            raise CameraError("no camera there")

    def read(self, timeout: float) -> Frame | None:
        if self.lost.is_set():
            raise CameraError("the camera went")
        if self.hang.is_set():
            self.released.wait(LIMIT)
        self.released.wait(0.01)
        return make_frame(next(self._numbers), SystemClock().monotonic())


class Stage:
    """An App with such a camera, run in a thread of its own, and what it tells systemd."""

    def __init__(self, folder: Path, watchdog: float, detector: Detector | None = None) -> None:
        self.systemd = NotifySocket(folder, watchdog)
        self.camera = Endless()
        changed = threading.Event()
        rules = EventRules("front", clock=SystemClock(), new_id=str)
        parts = PipelineParts(
            "front",
            self.camera,
            detector or ScriptedDetector(),
            Tracker(),
            rules,
            [RecordingSink()],
            None,
            SystemClock(),
        )
        self.app = App([Pipeline(parts, changed.set, stop_timeout=0.2)], changed)
        self.service = Service(self.app, Notifier(self.systemd.environment), SystemClock())
        self.errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self.app.run(self.service.tick)
        except Exception as error:  # noqa: BLE001 (told by the test)
            self.errors.append(error)

    def end(self) -> None:
        self.camera.released.set()
        self.app.stop()
        self._thread.join(LIMIT)
        self.systemd.close()


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("edgecam.service.STATUS_EVERY", 0.3)
    made = Stage(tmp_path, watchdog=0.4)
    yield made
    made.end()


def test_the_watchdog_is_petted_until_a_thread_hangs_and_then_bites(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    for worker in stage.app.workers:
        worker.beat_limit = 0.6
    stage.start()
    ready = stage.systemd.wait_for("READY=1")
    for _ in range(3):
        ready = stage.systemd.wait_for("WATCHDOG=1", after=ready + 1)
    stage.camera.hang.set()
    bite = stage.systemd.wait_for("WATCHDOG=trigger")
    assert "STATUS=hangs, and is restarted: capture-front" in stage.systemd.told[:bite]
    assert "capture-front hangs: no sign of life" in caplog.text
    assert "from _read (edgecam/capture.py:" in caplog.text, "where it stands"
    assert stage.app.supervision.hung == ["capture-front"]
    assert "capture-front hangs" in stage.app.facts().troubles
    stage.end()
    after = stage.systemd.told[bite + 1 :]
    assert "WATCHDOG=trigger" not in after, "once is enough"


def test_a_camera_that_is_not_there_is_waited_for(stage: Stage) -> None:
    stage.camera.lost.set()
    stage.start()
    stage.systemd.wait_for("EXTEND_TIMEOUT_USEC=")
    stage.systemd.wait_for("STATUS=waiting for a first picture; front: the camera is lost")
    place = stage.systemd.wait_for("WATCHDOG=1")
    assert "READY=1" not in stage.systemd.told[:place]
    stage.camera.lost.clear()
    ready = stage.systemd.wait_for("READY=1")
    stage.systemd.wait_for("STATUS=front: ", after=ready)


def test_a_detector_that_hangs_while_it_opens_is_not_waited_for(tmp_path: Path) -> None:
    release = threading.Event()

    class Stuck(ScriptedDetector):
        def open(self) -> None:
            release.wait(LIMIT)

    stage = Stage(tmp_path, watchdog=0.4, detector=Stuck())
    stage.app.pipelines[0].detect.open_limit = 0.5
    stage.start()
    bite = stage.systemd.wait_for("WATCHDOG=trigger")
    assert "READY=1" not in stage.systemd.told[:bite]
    release.set()
    stage.end()


def test_a_reload_is_told_and_never_makes_it_ready_too_early(stage: Stage) -> None:
    stage.camera.lost.set()
    stage.app.on_hangup = lambda: stage.service.reload(lambda: None)
    stage.start()
    stage.systemd.wait_for("STATUS=waiting")
    stage.service.reload(lambda: None)
    assert not {"RELOADING=1", "READY=1"} & set(stage.systemd.listen())
    stage.camera.lost.clear()
    ready = stage.systemd.wait_for("READY=1")
    stage.service.reload(lambda: None)
    stage.systemd.wait_for("READY=1", after=stage.systemd.wait_for("RELOADING=1", after=ready))


CONFIG = """
data_dir = "data"
[detector]
model = "edgecam-demo"
{extra}
[cameras.street]
type = "video_file"
path = "{path}"
loop = true
"""


class Run:
    """A real `edgecam -v run`, as systemd starts it."""

    def __init__(self, folder: Path, watchdog: float = 2.0, path: str = "", extra: str = "") -> None:
        self.config = folder / "edgecam.toml"
        self.data = folder / "data"
        self._path = path or str(demo_clip())
        self.write(extra)
        self.systemd = NotifySocket(folder, watchdog)
        command = [sys.executable, "-m", "edgecam", "-v", "run", "-c", str(self.config), "--json"]
        self.log = (folder / "log").open("w+", encoding="utf-8")
        environment = {**os.environ, **self.systemd.environment, "RUNTIME_DIRECTORY": str(folder)}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True)

    def write(self, extra: str = "") -> None:
        self.config.write_text(CONFIG.format(extra=extra, path=self._path), encoding="utf-8")

    def logged(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def wait_for_log(self, text: str) -> None:
        deadline = time.monotonic() + LIMIT
        while text not in self.logged():
            assert time.monotonic() < deadline, self.logged()
            assert self.process.poll() is None, self.logged()
            time.sleep(0.05)

    def finish(self) -> tuple[int, str]:
        out, _ = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, out

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.systemd.close()
        self.log.close()


def events(data: Path) -> list[tuple[str, float | None]]:
    with sqlite3.connect(data / "edgecam.db") as journal:
        return list(journal.execute("select id, end_time from events"))


def test_a_life_as_systemd_sees_it(tmp_path: Path) -> None:
    run = Run(tmp_path)
    try:
        ready = run.systemd.wait_for("READY=1")
        assert "EXTEND_TIMEOUT_USEC=30000000" in run.systemd.told[:ready]
        status = statuses(run.systemd.told[: run.systemd.wait_for("STATUS=street: ", after=ready) + 1])[-1]
        assert "fps, edgecam-demo on cpu, " in status
        assert ask(tmp_path / "status.sock")["status"]["status"] == "ok"
        first = run.systemd.wait_for("WATCHDOG=1")
        run.systemd.wait_for("WATCHDOG=1", after=first + 1)

        run.write("[events]\nthreshold = 7")
        run.process.send_signal(signal.SIGHUP)
        reloaded = run.systemd.wait_for("READY=1", after=run.systemd.wait_for("RELOADING=1"))
        run.wait_for_log("events.threshold")
        run.wait_for_log("the one that runs stays in force")
        run.write('[events]\nlabels = ["unicorn"]\n[mqtt]\nprefix = "other"')
        run.process.send_signal(signal.SIGHUP)
        run.systemd.wait_for("READY=1", after=run.systemd.wait_for("RELOADING=1", after=reloaded))
        run.wait_for_log("now in force: events.labels")
        run.wait_for_log("these need a restart of edgecam: mqtt.prefix")

        run.process.send_signal(signal.SIGTERM)
        stopping = run.systemd.wait_for("STOPPING=1")
        code, out = run.finish()
        assert code == 0, run.logged()
        assert "READY=1" not in run.systemd.listen()[stopping:]
        summary = json.loads(out)
        assert summary["frames_captured"] == summary["frames_written"] + summary["frames_dropped"] > 0
        told = events(run.data)
        assert told
        assert all(ended is not None for _, ended in told)
        assert not list(run.data.rglob("*.part"))
    finally:
        run.end()


def test_a_hung_process_leaves_the_tracebacks_of_all_threads(tmp_path: Path) -> None:
    run = Run(tmp_path)
    try:
        run.systemd.wait_for("READY=1")
        run.process.send_signal(signal.SIGABRT)
        code, _ = run.finish()
        assert code == -signal.SIGABRT
        assert "Fatal Python error: Aborted" in run.logged()
        assert "capture.py" in run.logged()
        assert "detection.py" in run.logged()
    finally:
        run.end()


def test_nothing_is_told_where_nobody_listens(tmp_path: Path) -> None:
    config = tmp_path / "edgecam.toml"
    config.write_text("[nonsense]\n", encoding="utf-8")
    command = [sys.executable, "-m", "edgecam", "run", "-c", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 78
    assert "nonsense" in done.stderr
