"""The cameras behind `ports.Camera`: one module per kind, imported on use."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from edgecam.cameras.masked import MaskedCamera
from edgecam.errors import InputError
from edgecam.ports import Camera

#: Kind -> where its class is. Device libraries are needed only by the kind in use.
CAMERAS = {
    "picamera2": "edgecam.cameras.picamera2:Picamera2Camera",
    "synthetic": "edgecam.cameras.synthetic:SyntheticCamera",
    "v4l2": "edgecam.cameras.v4l2:V4l2Camera",
    "video_file": "edgecam.cameras.video_file:VideoFileCamera",
}


def create(kind: str, **keywords: Any) -> Camera:
    """One camera; `keywords` are its constructor's, and `privacy_masks`, polygons that are black in its pictures.

    Raises InputError for an unknown kind, and where a library that the kind needs is not installed.
    """
    if kind not in CAMERAS:
        raise InputError(f"camera type {kind!r}: give one of {', '.join(sorted(CAMERAS))}")
    privacy_masks = keywords.pop("privacy_masks", ())
    module, _, name = CAMERAS[kind].partition(":")
    try:
        camera = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise InputError(f"camera type {kind!r}: needs the Python package {error.name!r}: install it") from error
    made = cast("Camera", camera(**keywords))
    return MaskedCamera(made, privacy_masks) if privacy_masks else made
