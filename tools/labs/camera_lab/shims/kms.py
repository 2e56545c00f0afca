"""Stands in for pykms, which picamera2 imports for its DRM preview; edgecam never opens that."""

from __future__ import annotations


class _AnyFormat(type):
    def __getattr__(cls, name: str) -> str:
        return name


class PixelFormats(metaclass=_AnyFormat):
    """Every format is its own name."""
