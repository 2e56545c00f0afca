"""Owns the street."""

from edgecam.scenes.light import Light
from edgecam.scenes.painter import Painter
from edgecam.scenes.world import Camera, Route


def build_street(painter: Painter, light: Light) -> tuple[Camera, tuple[Route, ...]]:
    """Paint a street; returns its camera and the ways through it."""
    rng = painter.rng
    camera = Camera(float(rng.uniform(0.28, 0.34)), float(rng.uniform(2.4, 2.7)))
    wall = camera.horizon + 0.2
    painter.gradient(0.0, wall, *light.sky)
    painter.gradient(wall, 1.0, (150, 146, 140), (120, 118, 116))
    with painter.standing(0.7):
        painter.rect(0.5, 0.1, 0.52, 0.7, (60, 60, 60))
    return camera, street_routes(wall)


def street_routes(wall: float) -> tuple[Route, ...]:
    """The ways along a street whose house fronts stand at row `wall`."""
    return (
        Route("people", wall + 0.045, 0.012, 15.0, 0.75),
        Route("cars", wall + 0.165, 0.006, 9.5, 0.62, -1),
        Route("cars", wall + 0.255, 0.006, 10.5, 0.55, 1),
        Route("people", 0.885, 0.012, 13.0, 0.62, 0, 0.01),
        Route("people", 0.965, 0.015, 14.0, 0.5, 0, 0.01),
        Route("dogs", 0.93, 0.01, 13.0, 0.42),
        Route("birds", 0.955, 0.025, 17.0, 0.62),
        Route("flight", 0.90, 0.04, 11.0, 0.4),
    )
