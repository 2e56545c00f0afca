"""The pictures to learn from: rendered once, kept on disk in shards that can be mapped into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from training.anchors import Floats
from training.shards import Picture, Shard

from edgecam.scenes import LABELS, Scene, SceneObject

INPUT_SIZE = (320, 192)  # width, height in pixels
SCENES_PER_SHARD = 100
VIEWS_PER_SCENE = 4
VIEW_SPACING = 5.0  # seconds between two pictures of one scene: by then everything has moved on
TRAIN_FRAME, TRAIN_PICTURE = (640, 360), (400, 240)  # a quarter larger than the input, to have room for zooming
TEST_FRAME = (1280, 720)
FIRST_TRAIN_SEED, FIRST_TEST_SEED = 1, 1_000_000


def boxes_of(objects: tuple[SceneObject, ...]) -> Floats:
    """The renderer's objects as boxes [k, 6]; see anchors.py."""
    rows = [(*item.bbox, LABELS.index(item.label), float(item.difficult)) for item in objects]
    return np.array(rows, np.float32).reshape(-1, 6)


def render_train(seed: int) -> list[tuple[Picture, Floats]]:
    """Some pictures of one scene for training, a quarter larger than the model's input and as stretched."""
    scene = Scene(seed, width=TRAIN_FRAME[0], height=TRAIN_FRAME[1])
    start = np.random.default_rng(seed).uniform(0, VIEW_SPACING)
    views = [scene.render(start + VIEW_SPACING * k) for k in range(VIEWS_PER_SCENE)]
    return [(_resized(v.image, TRAIN_PICTURE), boxes_of(v.objects)) for v in views]


def render_test(seed: int) -> list[tuple[Picture, Floats]]:
    """One full frame of one scene as the model will see it in the program: through YUV 4:2:0 and resized."""
    view = Scene(seed, width=TEST_FRAME[0], height=TEST_FRAME[1]).render(
        np.random.default_rng(seed).uniform(0, 3 * VIEW_SPACING)
    )
    yuv = cv2.cvtColor(view.image, cv2.COLOR_RGB2YUV_I420)
    frame = np.asarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB_I420), np.uint8)
    return [(_resized(frame, INPUT_SIZE), boxes_of(view.objects))]


def _resized(image: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def render_shard(
    path: Path, seeds: range, render: Callable[[int], list[tuple[Picture, Floats]]], processes: int
) -> None:
    """Render every seed on several processes and write the shard, unless it is there already."""
    if path.exists():
        return
    with get_context("fork").Pool(processes, initializer=partial(cv2.setNumThreads, 1)) as pool:
        views = [view for scene in pool.imap(render, seeds, chunksize=2) for view in scene]
    Shard(np.stack([image for image, _ in views]), [boxes for _, boxes in views]).save(path)


def train_shards(folder: Path, scenes: int) -> Iterator[tuple[Path, range]]:
    """The shards that hold the first so many training scenes, with each shard's seeds."""
    for number, first in enumerate(range(0, scenes, SCENES_PER_SHARD)):
        count = min(SCENES_PER_SHARD, scenes - first)
        yield folder / f"train-{number:04d}.npy", range(FIRST_TRAIN_SEED + first, FIRST_TRAIN_SEED + first + count)
