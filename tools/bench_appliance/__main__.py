"""Runs the real `edgecam run` with a real broker and measures what it costs, beside the bare invoke in the same run.

Run it as tools/bench-appliance, which sets up what it needs. docs/performance.md explains the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from edgetpu.standin import StandIn  # noqa: E402
from mqtt_broker import Mosquitto, mosquitto  # noqa: E402
from mqtt_broker import running as broker_running  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import Progress  # noqa: E402

from bench_appliance import film, growth, reporting, takes, world  # noqa: E402
from bench_appliance.appliance import Setting, running  # noqa: E402
from edgecam.benchmark.machine import this_machine  # noqa: E402
from edgecam.detectors.runtime import find_runtime  # noqa: E402
from edgecam.errors import EdgecamError, InputError  # noqa: E402

MODEL, LABELS = "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite", "coco_labels.txt"
VIDEO = "vtest.avi"
SETTINGS = ("cpu", "cpu, recording", "edge tpu", "edge tpu, recording")
PICTURES = 600
WARM_UP = 40.0
"""Seconds before what counts: the pre-roll is full, the first events are over, and, where an Edge TPU works, the CPU's
interpreter is gone (`failover.SPARE_KEPT`)."""
LESSON = 600.0
"""Longest time, seconds, to see the film once."""
BARE = 3.0
"""Seconds of bare invokes before and after each take."""


class Stage(NamedTuple):
    """All that the takes have in common: `folder` is theirs, `tpu` the world of the software Edge TPU."""

    folder: Path
    setting: Setting
    tpu_model: Path
    tpu: StandIn
    runtime: str
    broker: Mosquitto


def main(arguments: list[str] | None = None) -> int:
    """Do what the options ask for; tables, or one JSON document, on stdout; everything else on stderr."""
    options = parsed(arguments)
    screen = Console(stderr=True)
    document: dict[str, Any] = {"machine": asdict(this_machine()), "load": os.getloadavg()[0]}
    document["options"] = {name: str(value) for name, value in vars(options).items()}
    try:
        with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
            document |= grown(options, bar) if options.frames else measured(options, bar)
    except EdgecamError as error:
        screen.print(f"bench-appliance: {error}", markup=False, soft_wrap=True)
        return 1
    document["goals"] = [goal._asdict() | {"reached": goal.reached} for goal in reporting.reached(document)]
    if options.json:
        print(json.dumps(reporting.plain(document)))
    else:
        out = Console() if sys.stdout.isatty() else Console(width=132)
        for table in reporting.tables(document):
            out.print(table)
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="tools/bench-appliance", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    parser.add_argument("--rounds", type=int, default=3, help="how often each setting is measured, in turn")
    parser.add_argument("--seconds", type=float, default=30.0, help="what counts of each take")
    parser.add_argument("--only", action="append", choices=SETTINGS, help="these settings alone")
    parser.add_argument("--frames", type=int, default=0, help="instead: memory over so many frames, as fast as it goes")
    parser.add_argument("--threads", type=int, default=1, help="of the model on the CPU, bare and in edgecam")
    parser.add_argument("--update-interval", type=float, default=1.0, help="seconds between the updates of an event")
    assets = Path(os.environ.get("EDGECAM_TEST_ASSETS", str(ROOT.parent / "shared")))
    parser.add_argument("--assets", type=Path, default=assets, help="folder with models/ and videos/")
    parser.add_argument("--video", type=Path, help=f"what the camera sees; {VIDEO} of the assets unless told")
    parser.add_argument("--model", type=Path, help="the model, for the CPU; COCO SSD of the assets unless told")
    parser.add_argument("--labels", type=Path, help="its labels, where it does not have them in it")
    parser.add_argument("--folder", type=Path, help="where the data go: that disk is part of what is measured")
    return parser.parse_args(arguments)


def measured(options: argparse.Namespace, bar: Progress) -> dict[str, Any]:
    """All settings, in turn, in every round."""
    wanted = [name for name in SETTINGS if not options.only or name in options.only]
    found: dict[str, list[takes.Take]] = {name: [] for name in wanted}
    with staged(options, film.SIZE, 1) as stage:
        if any("tpu" in name for name in wanted):
            taught(stage, bar)
        task = bar.add_task("measure", total=options.rounds * len(wanted))
        for number in range(options.rounds):
            for name in wanted[number % len(wanted) :] + wanted[: number % len(wanted)]:
                found[name].append(
                    one_take(stage, name, stage.folder / f"{number}-{wanted.index(name)}", options.seconds)
                )
                bar.advance(task)
    return {"settings": {name: reporting.summed_up(rounds) for name, rounds in found.items()}}


def one_take(stage: Stage, name: str, folder: Path, seconds: float) -> takes.Take:
    """One take of a setting."""
    tpu = name.startswith("edge tpu")
    setting = replace(stage.setting, tpu=tpu, recording="recording" in name)
    model, environment = setting.model, dict[str, str]()
    if tpu:
        setting = replace(setting, model=stage.tpu_model)
        model = stage.tpu_model.with_name(f"{stage.tpu_model.stem}_edgetpu.tflite")
        environment = stage.tpu.environment

    def bare() -> takes.Bare:
        return takes.bare_invoke(model, stage.runtime, setting.threads, BARE, environment)

    return takes.take(setting, folder, stage.broker, bare, (WARM_UP, seconds), environment)


def taught(stage: Stage, bar: Progress) -> None:
    """Have the software Edge TPU see the whole film once: from then on it answers without running the model."""
    total = stage.setting.loop_frames
    task = bar.add_task("teach the software Edge TPU", total=total)

    def seen(counters: dict[str, int]) -> bool:
        bar.update(task, completed=min(counters["frames_analysed"], total))
        return counters["frames_analysed"] >= total

    setting = replace(stage.setting, model=stage.tpu_model, tpu=True, recording=False, pace="fast")
    stage.tpu.set(latency_ms=0)
    with running(setting, stage.folder / "lesson", stage.tpu.environment) as appliance:
        appliance.wait_until(seen, LESSON)
    stage.tpu.set(latency_ms=world.LATENCY_MS)


def grown(options: argparse.Namespace, bar: Progress) -> dict[str, Any]:
    """Memory over the frames asked for."""
    task = bar.add_task("frames", total=options.frames)
    with staged(options, growth.SIZE, growth.SHOWN) as stage:
        stage.tpu.set(latency_ms=growth.LATENCY_MS)
        setting = replace(
            stage.setting,
            model=stage.tpu_model,
            tpu=True,
            fps=growth.FPS,
            preset="ultrafast",
            clips_max_bytes=growth.CLIPS_MAX_BYTES,
            output_wait=growth.OUTPUT_WAIT,
        )

        def tick(captured: int) -> None:
            bar.update(task, completed=min(captured, options.frames))

        found = growth.measure(setting, stage.folder / "growth", options.frames, stage.tpu.environment, tick)
    return {"growth": reporting.grown(found)}


@contextmanager
def staged(options: argparse.Namespace, size: tuple[int, int], shown: int) -> Iterator[Stage]:
    """The film, the models, the software Edge TPU and a broker. Raises EdgecamError where one cannot be had."""
    if mosquitto() is None:
        raise InputError("no MQTT broker: apt-get install mosquitto")
    model = options.model or options.assets / "models" / MODEL
    labels = options.labels or (None if options.model else options.assets / "models" / LABELS)
    if not model.is_file():
        raise InputError(f"{model}: no such model: give --model FILE, or --assets FOLDER with models/{MODEL}")
    with tempfile.TemporaryDirectory(prefix="edgecam-bench-", dir=options.folder) as name:
        folder = Path(name)
        frames = film.make(
            options.video or options.assets / "videos" / VIDEO, folder / "film.mp4", PICTURES, size, shown
        )
        tpu = world.made(folder / "world")
        with broker_running(Mosquitto(folder / "broker")) as broker:
            setting = Setting(
                folder / "film.mp4",
                model,
                labels,
                broker.port,
                threads=options.threads,
                update_interval=options.update_interval,
                loop_frames=frames,
            )
            yield Stage(folder, setting, world.compiled(model, folder), tpu, find_runtime().name, broker)


if __name__ == "__main__":
    raise SystemExit(main())
