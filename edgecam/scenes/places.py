"""Owns the list of places and what a place consists of."""

from typing import NamedTuple

import numpy as np

from edgecam.scenes.camera import Camera
from edgecam.scenes.garden import build_garden
from edgecam.scenes.light import Light
from edgecam.scenes.painter import Painter
from edgecam.scenes.street import build_street
from edgecam.scenes.trips import Route

PLACES = ("street", "garden")


class Place(NamedTuple):
    """A painted place, the camera that looks at it and the ways actors take through it."""

    painter: Painter
    camera: Camera
    routes: tuple[Route, ...]


def make_place(name: str, seed: int, width: int, height: int, light: Light) -> Place:
    """The place called `name` as the seed has it, painted at that size in pixels."""
    painter = Painter(width, height, np.random.Generator(np.random.PCG64([seed, 2])))
    camera, routes = (build_garden if name == "garden" else build_street)(painter, light)
    return Place(painter, camera, routes)
