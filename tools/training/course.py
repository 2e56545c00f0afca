"""The course of a training: epochs, what is written of each, when to stop, and which weights are kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from conversion.writing import appearing

from edgecam import console
from training.anchors import AnchorGrid, Floats
from training.batches import Batches
from training.evaluation import Found, average_precision
from training.export import MAX_DETECTIONS, NMS_IOU
from training.learning import Schedule, Trainer, decode
from training.network import build
from training.preparing import Recipe
from training.shards import Picture, Shard
from training.starting import take_over

SCORE_THRESHOLD = 0.05
"""Below it nothing counts, in validation as in the exported model."""
_MEASURED_ON = 64  # pictures, for the start from known weights
_PICTURES_AT_ONCE = 16


@dataclass(frozen=True)
class Material:
    """What a training works with: pictures to learn from, pictures to be judged by, labels, anchors."""

    train: list[Shard]
    validation: list[Shard]
    labels: tuple[str, ...]
    grid: AnchorGrid

    @property
    def pictures(self) -> int:
        """How many pictures there are to learn from."""
        return sum(len(shard.boxes) for shard in self.train)


@dataclass(frozen=True)
class Limits:
    """When to stop: after so many epochs without a better AP50, or after so many minutes of this run."""

    patience: int
    minutes: float


class History:
    """What came out of each epoch, kept in a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.epochs: dict[int, dict[str, float]] = {}
        for entry in map(json.loads, lines):
            self.epochs[int(entry["epoch"])] = entry

    def add(self, epoch: int, figures: dict[str, float]) -> None:
        """Write an epoch down, over an earlier one of the same number."""
        self.epochs[epoch] = {"epoch": epoch, **figures}
        with appearing(self._path) as part:
            part.write_text("".join(json.dumps(entry) + "\n" for entry in self.epochs.values()))

    @property
    def best(self) -> tuple[int, float]:
        """The first of the epochs with the highest AP50, and that; (0, 0) where none found anything."""
        found = max(self.epochs.items(), key=lambda item: item[1]["AP50"], default=(0, {"AP50": 0.0}))
        return (found[0], found[1]["AP50"]) if found[1]["AP50"] > 0 else (0, 0.0)

    def exhausted(self, patience: int) -> bool:
        """Has it not become better for so many epochs?"""
        epoch, score = self.best
        return score > 0 and max(self.epochs) - epoch >= patience


class Course:
    """A training in a folder: goes on where it stopped."""

    def __init__(self, work: Path, logs: Path, material: Material, recipe: Recipe) -> None:
        keras.utils.set_random_seed(recipe.seed)
        self._work, self._material, self._recipe = work, material, recipe
        self._steps = max(1, material.pictures // recipe.batch)  # in an epoch
        self._judge = _Judge(material)
        self.history = History(work / "history.jsonl")
        schedule = Schedule(self._steps * recipe.epochs, recipe.rate)
        self._trainer = Trainer(build(len(material.labels), recipe.size), material.grid, schedule, work / "checkpoints")
        self._log = tf.summary.create_file_writer(str(logs))
        self._losses: list[list[float]] = []

    def run(self, start: Path | None, start_labels: Sequence[str], limits: Limits) -> bool:
        """Train, or go on; `start` is the model whose weights to begin with. True when there is no more to do."""
        if self._trainer.resume():
            console.say(f"going on after {self._trainer.step // self._steps} epochs")
        elif start is not None:
            self._start(start, start_labels)
        batches = Batches(
            self._material.train, self._material.grid, self._recipe.batch, self._recipe.seed + self._trainer.step
        )
        end = time.monotonic() + limits.minutes * 60
        while not self.done(limits.patience):
            epoch = self._trainer.step // self._steps + 1
            with console.progress(f"epoch {epoch} of {self._recipe.epochs}", self._steps) as tick:
                left = (end - time.monotonic()) / 60
                self._trainer.run(batches, epoch * self._steps, left, lambda _step, losses: self._each(losses, tick))
            if self._trainer.step < epoch * self._steps:
                self._trainer.save()
                return False
            self._finish(epoch)
        return True

    def done(self, patience: int) -> bool:
        """Have all epochs been run, or does it become no better?"""
        finished = self._trainer.step >= self._steps * self._recipe.epochs
        return finished or self.history.exhausted(patience)

    def best_weights(self) -> list[Floats]:
        """The weights of the best epoch; the newest ones where no epoch found anything."""
        path = self._work / "best.npz"
        if not path.exists():
            return self._trainer.averaged()
        with np.load(path) as archive:
            return [archive[name] for name in archive.files]

    def _start(self, model: Path, labels: Sequence[str]) -> None:
        known = [labels.index(label) if label in labels else None for label in self._material.labels]
        pictures = Batches(self._material.train, self._material.grid, 1, self._recipe.seed).pictures()
        seen = np.stack([image for image, _ in islice(pictures, _MEASURED_ON)])
        network = build(len(self._material.labels), self._recipe.size)
        take_over(network, model, known, seen)
        self._trainer.start_from(network.get_weights())

    def _each(self, losses: list[float], tick: Callable[[int], None]) -> None:
        self._losses.append(losses)
        tick(1)

    def _finish(self, epoch: int) -> None:
        weights = self._trainer.averaged()
        scores, boxes = np.mean(self._losses, 0) if self._losses else (0.0, 0.0)
        self._losses = []
        figures = {"loss_scores": float(scores), "loss_boxes": float(boxes), **self._judge.figures(weights)}
        if figures["AP50"] > self.history.best[1]:
            with appearing(self._work / "best.npz") as part, part.open("wb") as file:
                np.savez(file, *weights)
        self.history.add(epoch, figures)
        self._trainer.save()
        self._write(epoch, figures)
        best, score = self.history.best
        console.say(
            f"epoch {epoch} of {self._recipe.epochs}: loss {scores:.3f} (scores) {boxes:.3f} (boxes),"
            f" AP50 {figures['AP50']:.3f}, best {score:.3f} (epoch {best})"
        )

    def _write(self, epoch: int, figures: dict[str, float]) -> None:
        with self._log.as_default(step=epoch):
            for name, value in figures.items():
                kind, _, rest = name.partition("_")
                tf.summary.scalar(f"{kind}/{rest or 'all'}", value)
            tf.summary.scalar("rate", self._trainer.schedule.at(self._trainer.step))
        self._log.flush()


class _Judge:
    """The network with given weights on the validation pictures."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._network = build(len(material.labels), material.grid.size)
        self._truth = Shard(
            np.concatenate([shard.images for shard in material.validation]),
            [boxes for shard in material.validation for boxes in shard.boxes],
        )

    def figures(self, weights: list[Floats]) -> dict[str, float]:
        """AP, AP50, AP75, and AP50 and AP75 of each label."""
        self._network.set_weights(weights)
        found = [
            item
            for first in range(0, len(self._truth.boxes), _PICTURES_AT_ONCE)
            for item in self._found(self._truth.images[first : first + _PICTURES_AT_ONCE])
        ]
        return average_precision(found, self._truth, list(self._material.labels))

    def _found(self, images: Picture) -> list[list[Found]]:
        encoded, logits = self._network((images.astype(np.float32) - 128) / 128, training=False)
        corners = decode(encoded, tf.constant(self._material.grid.centers))[:, :, None]
        suppressed = tf.image.combined_non_max_suppression(
            corners, tf.sigmoid(logits), MAX_DETECTIONS, MAX_DETECTIONS, NMS_IOU, SCORE_THRESHOLD
        )
        boxes, scores, classes, counts = (tensor.numpy() for tensor in suppressed)
        return [
            [(*map(float, boxes[i, k]), int(classes[i, k]), float(scores[i, k])) for k in range(counts[i])]  # type: ignore[misc]
            for i in range(len(images))
        ]
