"""Owns the camera's view of the ground."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Camera:
    """A level camera `height` metres above flat ground, the horizon at row `horizon` (in picture heights)."""

    horizon: float
    height: float

    def scale(self, y: float) -> float:
        """Picture heights per metre for things that stand at row `y`."""
        return (y - self.horizon) / self.height
