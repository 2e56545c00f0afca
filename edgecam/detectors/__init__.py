"""The detectors behind `ports.Detector`: model files, runtimes and decoders; each kind is imported on use."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from edgecam.errors import InputError
from edgecam.ports import Detector

#: Kind -> where its class is. Device libraries are needed only by the kind in use.
DETECTORS = {"tflite": "edgecam.detectors.tflite:TfliteDetector"}


def create(kind: str, **keywords: Any) -> Detector:
    """A detector of a kind; `keywords` are its constructor's. Raises InputError for an unknown kind."""
    if kind not in DETECTORS:
        raise InputError(f"detector {kind!r}: give one of {', '.join(DETECTORS)}")
    module, _, name = DETECTORS[kind].partition(":")
    return cast("Detector", getattr(import_module(module), name)(**keywords))
