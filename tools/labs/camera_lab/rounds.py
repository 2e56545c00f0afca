"""What happens inside the lab: `python3 -m camera_lab.rounds` prints the outcomes as JSON."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import virtual_camera

from camera_lab.room import REPOSITORY
from camera_lab.witness import Holdings, Witness
from edgecam import cameras
from edgecam.app import App
from edgecam.capture import CaptureWorker
from edgecam.clock import SystemClock
from edgecam.composition import build_parts
from edgecam.config import Config
from edgecam.errors import EdgecamError
from edgecam.models import resolve
from edgecam.pipeline import Pipeline
from edgecam.ports import Camera
from edgecam.ring import FrameRing

BARS, LINES = "Virtual0", "Virtual1"
LORES = (320, 192)
STALL_LIMIT = 1.0


@dataclass
class Outcome:
    """How a round went."""

    round: str
    figures: dict[str, str] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def expect(self, true: object, complaint: str) -> None:
        """Note the complaint unless it is true."""
        if not true:
            self.complaints.append(complaint)

    def expect_all_given_back(self) -> None:
        """No request may be held once all cameras are closed."""
        completed, held = virtual_camera.Ledger.completed, virtual_camera.Ledger.held
        self.figures["requests"] = f"{completed} completed, {held} not given back"
        self.expect(held == 0, "requests were not given back")


def made(camera: str = BARS, **keys: Any) -> Camera:
    """A camera of the lab, not open yet."""
    size = (1280, 720) if camera == BARS else (640, 360)
    options: dict[str, Any] = {"lores_size": LORES, "camera": camera, "size": size} | keys
    return cameras.create("picamera2", **options)


def whole_pipeline(outcome: Outcome, seconds: float) -> None:
    """The app as `edgecam run` builds it: detector, tracker, events, video file; and a sink that takes notes."""
    clock, holdings, changed = SystemClock(), Holdings(), threading.Event()
    witness = Witness(clock)
    with tempfile.TemporaryDirectory() as folder:
        section = {"type": "picamera2", "camera": BARS}
        config = Config.model_validate({"data_dir": folder, "cameras": {"bars": section}})
        parts = build_parts(config, "bars", config.cameras["bars"], resolve(config.detector.model), clock)
        pipeline = Pipeline(replace(parts, sinks=[*parts.sinks, witness]), changed.set)
        app = App([pipeline], changed)
        ending = threading.Timer(seconds, app.stop)
        ending.start()
        used = time.process_time()
        app.run()
        used = time.process_time() - used
    counts = pipeline.counters()
    outcome.figures |= witness.figures() | {
        "counted": json.dumps(asdict(counts)),
        "reopened": str(pipeline.capture.reopened),
    }
    outcome.figures["CPU time per frame, all of it"] = f"{1000 * used / max(1, counts.frames_captured):.1f} ms"
    outcome.figures |= holdings.figures()
    outcome.complaints += witness.complaints(gaps=counts.frames_dropped)
    # What a busy machine cannot write in time it drops and counts; what comes from the camera is our business.
    outcome.expect(counts.frames_captured > 0.5 * virtual_camera.FPS * (seconds - 3), "frames are missing")
    outcome.expect(counts.frames_analysed > 0, "no frame was analysed")
    outcome.expect(counts.frames_captured == counts.frames_written + counts.frames_dropped, "the counts disagree")
    outcome.expect(pipeline.capture.reopened == 0, "the camera was lost")


def contract(outcome: Outcome, _seconds: float) -> None:
    """The suite that all cameras pass, on this one."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "picamera2-camera"]
    done = subprocess.run(
        [*command, str(REPOSITORY / "tests" / "test_camera_contract.py")],
        capture_output=True, text=True, check=False, env=os.environ | {"EDGECAM_PICAMERA2_CAMERA": BARS},
    )  # fmt: skip
    outcome.figures["pytest"] = done.stdout.strip().rpartition("\n")[2]
    outcome.expect(done.returncode == 0, done.stdout[-500:])


def cycles(outcome: Outcome, seconds: float) -> None:
    """Open, take a frame, close, over and over: 200 times in a full round."""
    count, warm = (200, 20) if seconds >= 60 else (12, 4)
    camera, witness = made(), Witness(SystemClock())
    holdings, started = Holdings(), time.monotonic()
    for number in range(count):
        with camera:
            frame = camera.read(5.0)
        if frame is None:
            outcome.complaints.append(f"cycle {number}: no frame")
        else:
            witness.see(frame)
        if number == warm:
            holdings = Holdings()
    outcome.figures["cycles"] = f"{count}, {(time.monotonic() - started) / count:.2f} s each"
    outcome.figures |= {f"{name} after {warm}": value for name, value in holdings.figures().items()}
    memory, files, threads = holdings.growth()
    outcome.complaints += witness.complaints()
    outcome.expect(memory <= 8, f"{memory} MiB grown")
    outcome.expect(files <= 0, f"{files} files left open")
    outcome.expect(threads <= 0, f"{threads} threads left behind")


def stalled(outcome: Outcome, _seconds: float) -> None:
    """The camera falls silent, and later is stopped underneath; capture comes back from both, and counts it."""
    clock = SystemClock()
    ring, witness = FrameRing(64), Witness(clock)
    worker = CaptureWorker(made(), ring, clock, lambda: None, stall_limit=STALL_LIMIT)
    worker.start()
    after = -1
    for number, fault in enumerate((None, virtual_camera.fall_silent, virtual_camera.stop_underneath)):
        if fault:
            fault(BARS)
        until, seen = clock.monotonic() + 20, 0
        struck = clock.monotonic()
        while clock.monotonic() < until and not (worker.reopened == number and seen > 45):
            if frame := ring.next("output", after, 0.5):
                witness.see(frame)
                after, seen = frame.sequence, seen + (worker.reopened == number)
                if fault and seen == 1:
                    outcome.figures[fault.__name__] = f"frames again after {clock.monotonic() - struck:.2f} s"
    worker.stopping.set()
    worker.join(10)
    outcome.figures |= {"reopened": str(worker.reopened), "frames": str(witness.frames)}
    outcome.complaints += witness.complaints()
    outcome.expect(worker.reopened == 2, "not recovered twice")
    outcome.expect(not worker.is_alive(), "capture does not end")


def two_cameras(outcome: Outcome, seconds: float) -> None:
    """Two cameras at once, each in a thread of its own; one is opened and closed over and over meanwhile."""
    clock = SystemClock()
    steady, restless = Witness(clock), Witness(clock)
    ending = threading.Event()
    reopened = 0

    def film() -> None:
        with made(LINES) as camera:
            while not ending.is_set():
                if frame := camera.read(1.0):
                    steady.see(frame)

    thread = threading.Thread(target=film)
    thread.start()
    camera, until = made(), clock.monotonic() + min(seconds, 20)
    while clock.monotonic() < until:
        with camera:
            for _ in range(15):
                if frame := camera.read(1.0):
                    restless.see(frame)
        reopened += 1
    ending.set()
    thread.join(10)
    outcome.figures |= steady.figures() | {"the other one opened": str(reopened)}
    outcome.complaints += steady.complaints() + restless.complaints()
    outcome.expect(restless.frames == 15 * reopened, "the other one lost frames")


def bad_input(outcome: Outcome, _seconds: float) -> None:
    """One line each, and nothing left behind."""
    wrongs: dict[str, dict[str, Any]] = {
        "unknown camera": {"camera": "imx708"},
        "unsupported size": {"size": (1920, 1080)},
        "no such mode": {"sensor_mode": (2304, 1296)},
        "no autofocus": {"focus": "auto"},
    }
    for name, keys in wrongs.items():
        _refused(outcome, name, **keys)
    with made():
        _refused(outcome, "in use")


def _refused(outcome: Outcome, name: str, **keys: Any) -> None:
    camera = made(**keys)
    try:
        camera.open()
        outcome.complaints.append(f"{name}: accepted")
    except EdgecamError as error:
        outcome.figures[name] = str(error)
        outcome.expect("\n" not in str(error), f"{name}: more than a line")
    finally:
        camera.close()


ROUNDS: dict[str, Callable[[Outcome, float], None]] = {
    "pipeline": whole_pipeline,
    "contract": contract,
    "cycles": cycles,
    "stalled": stalled,
    "two-cameras": two_cameras,
    "bad-input": bad_input,
}


def play(name: str, seconds: float) -> dict[str, Any]:
    """One round."""
    outcome = Outcome(name)
    print(f"tools/labs/camera: {name}", file=sys.stderr, flush=True)
    try:
        ROUNDS[name](outcome, seconds)
    except EdgecamError as error:
        outcome.complaints.append(str(error))
    outcome.expect_all_given_back()
    return asdict(outcome) | {"passed": not outcome.complaints}


def main() -> None:
    """Play the rounds; the answer goes to stdout, all else that is printed to stderr."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", choices=sorted(ROUNDS))
    options = parser.parse_args()
    answer = os.dup(1)
    os.dup2(2, 1)
    names = [options.only] if options.only else list(ROUNDS)
    outcomes = [play(name, 6.0 if options.short else 60.0) for name in names]
    with os.fdopen(answer, "w") as stdout:
        json.dump(outcomes, stdout)


if __name__ == "__main__":
    main()
