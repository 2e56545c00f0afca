"""The name that picamera2 imports."""

from __future__ import annotations


class PICAM2DNG:
    """Not usable."""
