#!/usr/bin/env python3
"""Make models/edgecam_demo.tflite from nothing: render scenes, train, quantise, evaluate.

    pip install '.[train]'
    python tools/train_demo_model.py

Every stage leaves its result in the working folder (--out) and is skipped or continued when it is found there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["TF_USE_LEGACY_KERAS"] = "1"
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

try:
    import numpy as np
    from demo_model.pictures import FIRST_TEST_SEED, INPUT_SIZE, render_shard, render_test, render_train, train_shards
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from training.anchors import AnchorGrid, Floats, fit_shapes
    from training.evaluation import evaluate, open_runtime
    from training.shards import Shard

    from edgecam.scenes import LABELS
except ModuleNotFoundError as error:
    raise SystemExit(
        f"{error.name} is missing: pip install '.[train]' (TensorFlow 2.18 wants Python 3.12 or older)"
    ) from None

NAME = "edgecam_demo"
BATCH = 32
CALIBRATION_PICTURES = 300
CHECKPOINT_EVERY = 250  # steps


@dataclass(frozen=True)
class Sizes:
    """How much of everything a run uses."""

    scenes: int = 3000
    steps: int = 7000
    test_scenes: int = 500


QUICK = Sizes(scenes=100, steps=40, test_scenes=20)


def progress() -> Progress:
    """A bar with a count, the time left and a line of text."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    return Progress(TextColumn("{task.description:10}"), *columns)


def render(out: Path, sizes: Sizes, processes: int) -> None:
    """Stage 1: the pictures to learn from and the pictures to be judged by."""
    test = out / "test.npy", range(FIRST_TEST_SEED, FIRST_TEST_SEED + sizes.test_scenes), render_test
    shards = [test, *((path, seeds, render_train) for path, seeds in train_shards(out, sizes.scenes))]
    with progress() as bar:
        for path, seeds, how in bar.track(shards, description="render", task_id=bar.add_task("render", note="shards")):
            render_shard(path, seeds, how, processes)


def load(out: Path, sizes: Sizes) -> tuple[list[Shard], AnchorGrid]:
    """The training pictures, and the anchors fitted to them (once; then kept in anchors.json)."""
    shards = [Shard.load(path) for path, _ in train_shards(out, sizes.scenes)]
    kept = out / "anchors.json"
    if not kept.exists():
        boxes = np.concatenate([boxes for shard in shards for boxes in shard.boxes])
        kept.write_text(json.dumps(fit_shapes(boxes[boxes[:, 5] == 0], INPUT_SIZE)))
    return shards, AnchorGrid.lay_out(json.loads(kept.read_text()), INPUT_SIZE)


def train(out: Path, sizes: Sizes, options: argparse.Namespace) -> bool:
    """Stage 2: train, or continue; True when all steps are done. Leaves the averaged weights in weights.npz."""
    import tensorflow as tf
    from training.batches import Batches
    from training.learning import Schedule, Trainer
    from training.network import build

    tf.config.threading.set_intra_op_parallelism_threads(options.processes)
    tf.keras.utils.set_random_seed(options.seed)
    shards, grid = load(out, sizes)
    trainer = Trainer(build(len(LABELS), INPUT_SIZE), grid, Schedule(sizes.steps, options.rate), out / "checkpoints")
    if not trainer.resume() and options.start_from:
        trainer.start_from(read_weights(options.start_from))
    batches = Batches(shards, grid, BATCH, options.seed + trainer.step)
    recent, begun = np.zeros(2), trainer.step
    with progress() as bar:
        task = bar.add_task("train", total=sizes.steps, completed=trainer.step, note="")

        def each(step: int, losses: list[float]) -> None:
            recent[:] = 0.98 * recent + 0.02 * np.array(losses) if recent.any() else losses
            note = f"score loss {recent[0]:.3f} box loss {recent[1]:.3f}"
            bar.update(task, completed=step, note=note)
            if step % CHECKPOINT_EVERY == 0:
                trainer.save()
                bar.console.print(f"{time.strftime('%H:%M:%S')} step {step} {note}")

        trainer.run(batches, sizes.steps, options.minutes, each)
    if trainer.step > begun:
        trainer.save()
    np.savez(out / "weights.npz", *trainer.averaged())
    return trainer.step >= sizes.steps


def read_weights(path: Path) -> list[Floats]:
    """Weights as `train` leaves them."""
    with np.load(path) as archive:
        return [archive[name] for name in archive.files]


def quantise(out: Path, sizes: Sizes, seed: int) -> None:
    """Stage 3: the model in integers (NAME.tflite) and, to compare with, in float (NAME_float.tflite)."""
    from training.batches import Batches
    from training.export import Detector, to_tflite
    from training.network import build

    shards, grid = load(out, sizes)
    model = build(len(LABELS), INPUT_SIZE)
    model.set_weights(read_weights(out / "weights.npz"))
    pictures = [image for image, _ in islice(Batches(shards, grid, 1, seed).pictures(), CALIBRATION_PICTURES)]
    detector = Detector(model, grid, len(LABELS))
    (out / f"{NAME}.tflite").write_bytes(to_tflite(detector, pictures))
    (out / f"{NAME}_float.tflite").write_bytes(to_tflite(detector, None))
    print(f"parameters: {model.count_params()}, anchors: {len(grid.centers)}")


def judge(model: Path, test: Path) -> dict[str, float]:
    """Stage 4: the figures of one .tflite file on the held-out pictures."""
    truth = Shard.load(test)
    with progress() as bar:
        task = bar.add_task("evaluate", total=len(truth.boxes), note=model.name)
        figures = evaluate(model, truth, list(LABELS), lambda: bar.advance(task))
    print(json.dumps({"model": model.name, "runtime": open_runtime()[0], "pictures": len(truth.boxes), **figures}))
    return figures


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "demo-model", help="working folder")
    parser.add_argument("--steps", type=int, help=f"training steps of {BATCH} pictures (default {Sizes.steps})")
    parser.add_argument("--scenes", type=int, help=f"scenes to learn from (default {Sizes.scenes})")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="stop training after so long; run again to go on"
    )
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--start-from", type=Path, metavar="WEIGHTS", help="weights.npz of an earlier run, to fine-tune"
    )
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="processes to render with, threads to train with"
    )
    parser.add_argument("--quick", action="store_true", help="a run of two minutes that shows that everything works")
    parser.add_argument(
        "--evaluate", type=Path, metavar="MODEL", help="only judge this .tflite on the held-out pictures"
    )
    parser.add_argument("--install", action="store_true", help="copy the model to models/")
    return parser.parse_args()


def main() -> None:
    """Run the stages that are not done yet."""
    options = arguments()
    if options.quick and options.install:
        raise SystemExit("--quick makes a model that sees nothing; it is not for --install")
    for given in (options.evaluate, options.start_from):
        if given and not given.is_file():
            raise SystemExit(f"{given}: no such file")
    base = QUICK if options.quick else Sizes()
    sizes = Sizes(options.scenes or base.scenes, options.steps or base.steps, base.test_scenes)
    out: Path = options.out / "quick" if options.quick else options.out
    out.mkdir(parents=True, exist_ok=True)
    if options.evaluate:
        render_shard(
            out / "test.npy",
            range(FIRST_TEST_SEED, FIRST_TEST_SEED + sizes.test_scenes),
            render_test,
            options.processes,
        )
        judge(options.evaluate, out / "test.npy")
        return
    begin = time.monotonic()
    render(out, sizes, options.processes)
    whole = train(out, sizes, options)
    quantise(out, sizes, options.seed)
    for name in (f"{NAME}_float.tflite", f"{NAME}.tflite"):
        judge(out / name, out / "test.npy")
    content = (out / f"{NAME}.tflite").read_bytes()
    print(f"{out / NAME}.tflite: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
    print(
        f"{(time.monotonic() - begin) / 60:.0f} min"
        + ("" if whole else "; training is not finished: run again to go on")
    )
    if options.install:
        (ROOT / "models" / f"{NAME}.tflite").write_bytes(content)


if __name__ == "__main__":
    main()
