"""Training: the loss, the averaged weights, the schedule, the checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
import tf_keras as keras

from training.anchors import BACKGROUND, IGNORED, AnchorGrid, Floats
from training.batches import Batch

WARM_UP = 300  # steps
AVERAGE_DECAY = 0.9985
BOX_WEIGHT = 2.0


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: warm-up, then half a cosine down to a hundredth of `rate`."""

    steps: int
    rate: float = 2e-3

    def at(self, step: int) -> float:
        """The learning rate of one step."""
        warm = min(1.0, (step + 1) / min(WARM_UP, max(1, self.steps // 10)))
        return self.rate * warm * (0.505 + 0.495 * math.cos(math.pi * min(1.0, step / self.steps)))


def decode(encoded: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
    """Box encodings [b, n, 4] as TFLite_Detection_PostProcess understands them, to corners [b, n, 4]."""
    middle = encoded[..., :2] / 10.0 * centers[:, 2:] + centers[:, :2]
    half = tf.exp(tf.clip_by_value(encoded[..., 2:] / 5.0, -3.0, 3.0)) * centers[:, 2:] / 2
    low, high = middle - half, middle + half
    return tf.stack([low[..., 1], low[..., 0], high[..., 1], high[..., 0]], -1)


def overlaps(a: tf.Tensor, b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """IoU and generalised IoU (Rezatofighi et al. 2019) of boxes with boxes, element by element."""
    inner = tf.nn.relu(tf.minimum(a[..., 2:], b[..., 2:]) - tf.maximum(a[..., :2], b[..., :2]))
    outer = tf.maximum(a[..., 2:], b[..., 2:]) - tf.minimum(a[..., :2], b[..., :2])
    area = tf.reduce_prod(inner, -1)
    union = tf.reduce_prod(a[..., 2:] - a[..., :2], -1) + tf.reduce_prod(b[..., 2:] - b[..., :2], -1) - area + 1e-9
    hull = tf.reduce_prod(outer, -1) + 1e-9
    return area / union, area / union - (hull - union) / hull


def loss_of(
    encoded: tf.Tensor, logits: tf.Tensor, labels: tf.Tensor, boxes: tf.Tensor, centers: tf.Tensor
) -> tf.Tensor:
    """The two losses [scores, boxes] of a batch.

    Scores: quality focal loss (Li et al. 2020, "Generalized focal loss"), whose target is not 1 but the square root
    of the predicted box's IoU, so that of several boxes around an object the best placed gets the best score.
    Boxes: generalised IoU.
    """
    positive = labels > BACKGROUND
    where = tf.where(positive)
    iou, giou = overlaps(decode_some(encoded, centers, where), tf.gather_nd(boxes, where))
    quality = tf.stop_gradient(tf.sqrt(tf.maximum(iou, 0.0)))
    classes = tf.cast(tf.gather_nd(labels, where), tf.int64)
    target = tf.scatter_nd(tf.concat([where, classes[:, None]], 1), quality, tf.shape(logits, tf.int64))
    counts = tf.cast(labels != IGNORED, tf.float32)[..., None]
    focus = tf.square(target - tf.sigmoid(logits))
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(target, logits)
    number = tf.maximum(1.0, tf.reduce_sum(tf.cast(positive, tf.float32)))
    return tf.stack([tf.reduce_sum(counts * focus * entropy) / number, tf.reduce_sum(1.0 - giou) / number])


def decode_some(encoded: tf.Tensor, centers: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    """`decode` for the anchors listed in `where` ([k, 2]: picture, anchor) only: [k, 4]."""
    return decode(tf.gather_nd(encoded, where), tf.gather(centers, where[:, 1]))


class Trainer:
    """A network in training, with the running average of its weights (which is what gets exported)."""

    def __init__(self, model: keras.Model, grid: AnchorGrid, schedule: Schedule, folder: Path) -> None:
        self.model = model
        self.schedule = schedule
        self._centers = tf.constant(grid.centers)
        self._optimizer = keras.optimizers.AdamW(schedule.rate, weight_decay=5e-3, global_clipnorm=10.0)
        self._optimizer.build(model.trainable_variables)
        self._average = [tf.Variable(weight, trainable=False) for weight in model.weights]
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        state = tf.train.Checkpoint(model=model, optimizer=self._optimizer, average=self._average, step=self._step)
        self._keeper = tf.train.CheckpointManager(state, str(folder), max_to_keep=2)

    @property
    def step(self) -> int:
        """Steps done so far."""
        return int(self._step.numpy())

    def resume(self) -> bool:
        """Continue from the newest checkpoint, if there is one."""
        return self._keeper.restore_or_initialize() is not None

    def start_from(self, weights: list[Floats]) -> None:
        """Begin with these weights instead of random ones (fine-tuning)."""
        self.model.set_weights(weights)
        self._adopt()

    def save(self) -> None:
        """Write a checkpoint."""
        self._keeper.save(self.step)

    def averaged(self) -> list[Floats]:
        """The averaged weights, in the order of `model.get_weights()`."""
        return [variable.numpy() for variable in self._average]

    def run(
        self, batches: Iterable[Batch], until: int, minutes: float, each: Callable[[int, list[float]], None]
    ) -> None:
        """Train up to step `until`, or for so many minutes if that is shorter; `each` hears of every step's losses."""
        end = time.monotonic() + minutes * 60
        for images, labels, boxes in batches:
            if self.step >= until or time.monotonic() > end:
                return
            self._optimizer.learning_rate.assign(self.schedule.at(self.step))
            losses = self._update(tf.constant(images), tf.constant(labels), tf.constant(boxes))
            self._step.assign_add(1)
            each(self.step, [float(value) for value in losses])

    def _adopt(self) -> None:
        for average, weight in zip(self._average, self.model.weights, strict=True):
            average.assign(weight)

    @tf.function
    def _update(self, images: tf.Tensor, labels: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        pixels = (tf.cast(images, tf.float32) - 128.0) / 128.0
        with tf.GradientTape() as tape:
            encoded, logits = self.model(pixels, training=True)
            losses = loss_of(encoded, logits, labels, boxes, self._centers)
            total = losses[0] + BOX_WEIGHT * losses[1]
        gradients = tape.gradient(total, self.model.trainable_variables)
        self._optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))
        done = tf.cast(self._step, tf.float32)
        keep = tf.minimum(AVERAGE_DECAY, (1.0 + done) / (10.0 + done))
        for average, weight in zip(self._average, self.model.weights, strict=True):
            average.assign_sub((average - weight) * (1.0 - keep))
        return losses
