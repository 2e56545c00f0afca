"""What the fault lab's runs have in common, made once: both versions of the model, the film, the stand-in's answers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecam import models
from edgecam.detectors.hosted import HostedModel
from edgecam.detectors.process import ProcessOptions
from edgecam.models import ModelPair, pair_of, resolve
from edgecam.scenes import Scene
from edgecam.scenes.world import Actor, Traffic
from edgetpu.build import build_library
from edgetpu.compile_model import compile_for_standin
from edgetpu.standin import StandIn

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "edgecam_demo"
PATIENCE = 60.0
"""Seconds after which something that is needed hangs."""

Picture = NDArray[np.uint8]

_SEED, _WALKER, _BEGIN, _END, _STEP = 2, 2029, 1.0, 7.2, 1 / 15
_SIZE = (320, 192)
"""Width and height of both pictures of a frame in pixels, the model's input."""
_EMPTY_FRAMES = 45
"""So long nobody is in view, at 30 frames a second: half as long again as a track lives without being seen."""


@dataclass(frozen=True)
class Kit:
    """A folder with all that is needed; `library` is the stand-in's."""

    folder: Path
    library: Path

    @property
    def pair(self) -> ModelPair:
        return pair_of(resolve(self.folder / f"{NAME}.tflite"))

    def film(self) -> list[Picture]:
        """One person walks by in an empty street, then nobody is there: RGB pictures, to be shown over and over."""
        pictures = list(np.load(self.folder / "film.npy"))
        return pictures + [pictures[-1]] * _EMPTY_FRAMES

    def world(self, folder: Path) -> StandIn:
        """A new world without an Edge TPU; its inferences take 9.1 ms each, and all answers are known to it."""
        shutil.copytree(self.folder / "answers", folder / "answers")
        world = StandIn(folder, self.library)
        world.set(exec="cache", latency_ms=9.1, trace=1)
        return world


def make_kit(folder: Path, compiler: str) -> Kit:
    """Make everything in an empty folder; takes seconds."""
    kit = Kit(folder, build_library(compiler))
    for suffix in (".tflite", ".txt"):
        shutil.copy(ROOT / "models" / (NAME + suffix), folder)
    compile_for_standin(folder / f"{NAME}.tflite", folder / f"{NAME}_edgetpu.tflite")
    (folder / "answers").mkdir()
    pictures = _render()
    answers = _ask(kit, folder / "first", pictures)
    film = [picture for picture, answer in zip(pictures, answers, strict=True) if answer]
    np.save(folder / "film.npy", film)
    _ask(kit, folder / "second", film)
    shutil.copytree(folder / "second" / "answers", folder / "answers", dirs_exist_ok=True)
    return kit


class _OneWalker(Traffic):
    """Traffic of which only one person is left."""

    def __init__(self, whole: Traffic, object_id: int) -> None:
        self._whole = whole
        self._object_id = object_id

    def actors(self, t: float) -> list[Actor]:
        return [actor for actor in self._whole.actors(t) if actor.object_id == self._object_id]


def _render() -> list[Picture]:
    """The walk, at twice its speed; in the last picture nobody is left."""
    scene = Scene(_SEED, width=_SIZE[0], height=_SIZE[1], place="street", light="day")
    scene._traffic = _OneWalker(scene._traffic, _WALKER)
    return [scene.render(moment).image for moment in np.arange(_BEGIN, _END + _STEP, _STEP)]


def _ask(kit: Kit, folder: Path, pictures: list[Picture]) -> list[bool]:
    """Have the stand-in answer them all; tells of each whether its answer has a place of its own in the memory."""
    world = kit.world(folder)
    world.set(latency_ms=None, trace=None)
    world.plug()
    path = kit.pair.edgetpu
    assert path
    with lived_in(world):
        hosted = HostedModel(models.load(path), models.labels_for(kit.pair), "usb:2-1", ProcessOptions())
        hosted.start()
        try:
            assert hosted.wait_ready(PATIENCE)
            return [_is_new(world, hosted, picture) for picture in pictures]
        finally:
            hosted.kill()


def _is_new(world: StandIn, hosted: HostedModel, picture: Picture) -> bool:
    known = set((world.folder / "answers").iterdir())
    hosted.submit(picture)
    assert hosted.collect(PATIENCE)
    return set((world.folder / "answers").iterdir()) != known


@contextmanager
def lived_in(world: StandIn) -> Iterator[None]:
    """This process, and what it starts, lives in the world meanwhile."""
    before = dict(os.environ)
    os.environ.update(world.environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
