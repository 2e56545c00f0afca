"""The name that picamera2 imports."""

from __future__ import annotations


class Picamera2Camera:
    """Not usable."""
