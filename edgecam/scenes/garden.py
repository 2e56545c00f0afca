"""Owns the garden."""

from edgecam.scenes.light import Light
from edgecam.scenes.painter import Painter
from edgecam.scenes.world import Camera, Route


def build_garden(painter: Painter, light: Light) -> tuple[Camera, tuple[Route, ...]]:
    """Paint a garden; returns its camera and the ways through it."""
    rng = painter.rng
    camera = Camera(float(rng.uniform(0.28, 0.34)), float(rng.uniform(2.3, 2.6)))
    fence = camera.horizon + 0.2
    painter.gradient(0.0, fence, *light.sky)
    painter.gradient(fence, 1.0, (104, 156, 70), (130, 178, 84))
    return camera, garden_routes(fence)


def garden_routes(fence: float) -> tuple[Route, ...]:
    """The ways through a garden that ends at row `fence`."""
    return (
        Route("people", fence + 0.09, 0.02, 15.0, 0.6, 0, 0.02),
        Route("people", 0.86, 0.03, 13.5, 0.55, 0, 0.03),
        Route("dogs", 0.80, 0.03, 12.0, 0.6, 0, 0.03),
        Route("dogs", 0.95, 0.02, 14.0, 0.45, 0, 0.02),
        Route("birds", 0.90, 0.03, 16.0, 0.7),
        Route("birds", 0.975, 0.015, 19.0, 0.5),
        Route("flight", 0.88, 0.05, 11.0, 0.45),
    )
