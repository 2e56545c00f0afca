"""From prepared pictures to a model, its labels and its card: the part that needs TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import tensorflow as tf
from conversion.checking import runs
from conversion.writing import appearing, write_model

from edgecam import console
from edgecam.detectors.tflite import TfliteDetector
from edgecam.evaluation import evaluate as evaluate_detector
from edgecam.labels import Labels
from training import evaluation, preparing
from training.batches import Batches
from training.card import Outcome, card
from training.course import SCORE_THRESHOLD, Course, Limits, Material
from training.export import Detector, to_tflite
from training.network import build
from training.preparing import Recipe, Split
from training.shards import Shard
from training.starting import take_over

CALIBRATION_PICTURES = 200
ROOT = Path(__file__).resolve().parent.parent.parent
BUNDLED = ROOT / "models" / "edgecam_demo.tflite"


@dataclass(frozen=True)
class Place:
    """Where a training's things are: `folder`/NAME.tflite, .txt, .md; logs; what is only of use to go on in work."""

    folder: Path
    name: str

    @property
    def model(self) -> Path:
        return self.folder / f"{self.name}.tflite"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def annotations(self) -> Path:
        return self.folder / "validation.json"


def make(place: Place, parts: Split, recipe: Recipe, limits: Limits, threads: int) -> dict[str, object]:
    """Train, or go on, and export. Gives the figures of the result. Raises InputError."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    begin = None if recipe.start == "scratch" else BUNDLED if recipe.start == "demo" else Path(recipe.start)
    if begin is not None:
        # Before anything is written: another file is refused.
        black = np.zeros((1, recipe.size[1], recipe.size[0], 3), np.uint8)
        take_over(build(len(parts.labels), recipe.size), begin, [None] * len(parts.labels), black)
    preparing.claim(place.work, parts, recipe)
    material = _material(place.work, parts, recipe)
    course = Course(place.work, place.logs, material, recipe)
    console.say(
        f"{len(parts.train)} pictures to learn from, {len(parts.validation)} to be judged by;"
        f" watch with: tensorboard --logdir {place.logs}"
    )
    finished = course.run(begin, _labels_of(begin), limits)
    if not finished:
        console.say("the time is up: the model is of what was learned so far; the same command goes on")
    _export(place, material, course, recipe)
    return _judge(place, parts, recipe, course, finished)


def _labels_of(model: Path | None) -> list[str]:
    names = model.with_suffix(".txt") if model else None
    return names.read_text(encoding="utf-8").splitlines() if names and names.is_file() else []


def _material(work: Path, parts: Split, recipe: Recipe) -> Material:
    prepared: Callable[..., list[Shard]] = partial(preparing.prepared, work, labels=parts.labels)
    train = prepared("train", pictures=parts.train, to=preparing.room_for(recipe.size))
    validation = prepared("validation", pictures=parts.validation, to=recipe.size)
    return Material(train, validation, parts.labels, preparing.anchors(work, train, recipe.size))


def _export(place: Place, material: Material, course: Course, recipe: Recipe) -> None:
    network = build(len(material.labels), recipe.size)
    network.set_weights(course.best_weights())
    pictures = Batches(material.train, material.grid, 1, recipe.seed).pictures()
    measured = [np.asarray(image) for image, _ in islice(pictures, CALIBRATION_PICTURES)]
    detector = Detector(network, material.grid, len(material.labels), SCORE_THRESHOLD)
    labels = Labels(material.labels, place.model.with_suffix(".txt").name)
    write_model(place.model, to_tflite(detector, measured), labels, runs)


def _judge(place: Place, parts: Split, recipe: Recipe, course: Course, finished: bool) -> dict[str, object]:  # noqa: FBT001
    """The card, and the figures: of the file through edgecam's own detector, as `edgecam evaluate` has them."""
    preparing.write_coco(place.annotations, parts.validation, parts.labels)
    with TfliteDetector(place.model) as detector, console.progress("evaluating", len(parts.validation)) as tick:
        seen = evaluate_detector(detector, place.folder, place.annotations, progress=tick)
    shards = preparing.prepared(place.work, "validation", parts.validation, parts.labels, recipe.size)
    truth = Shard(np.concatenate([s.images for s in shards]), [boxes for s in shards for boxes in s.boxes])
    exported = evaluation.evaluate(place.model, truth, list(parts.labels)) | {
        name: float(seen[name]) for name in ("AP", "AP50", "AP75")
    }
    epoch = course.history.best[0] or max(course.history.epochs, default=0)
    nothing = dict.fromkeys(exported, 0.0)
    outcome = Outcome(epoch, len(course.history.epochs), course.history.epochs.get(epoch, nothing), exported, finished)
    with appearing(place.folder / f"{place.name}.md") as part:
        part.write_text(card(place.name, place.model.read_bytes(), parts, recipe, outcome), encoding="utf-8")
    return {
        "model": str(place.model),
        "finished": finished,
        "epochs": outcome.epochs,
        "best_epoch": epoch,
        "pictures": {"train": len(parts.train), "validation": len(parts.validation)},
        "network": {name: outcome.network[name] for name in ("AP", "AP50", "AP75")},
        "exported": exported,
    }
