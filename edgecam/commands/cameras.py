"""`edgecam cameras`: which cameras there are, and what they offer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from edgecam import console
from edgecam.commands.options import JsonOption

if TYPE_CHECKING:
    from edgecam.cameras.csi_listing import CsiCamera
    from edgecam.cameras.v4l2_found import AttachedCamera

_HEADER = ("type", "camera", "name", "format", "size", "fps")
_Row = tuple[str, ...]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("cameras")(cameras)


def cameras(as_json: JsonOption = False) -> None:
    """List the cameras with their modes: the board's own (libcamera), and USB cameras (V4L2).

    TYPE and CAMERA are what `type` and `camera` or `path` of a [cameras.NAME] section take. Each camera is opened for
    a moment; one that is in use is listed without its modes.
    """
    from edgecam.cameras import csi_listing, v4l2_found

    csi, usb = csi_listing.attached(), v4l2_found.attached()
    if as_json:
        console.emit_json({"picamera2": asdict(csi), "v4l2": {"cameras": [asdict(camera) for camera in usb]}})
        return
    rows = [row for camera in csi.cameras for row in _csi_rows(camera)]
    rows += [row for camera in usb for row in _usb_rows(camera)]
    if rows:
        console.emit_table(_HEADER, rows)
    else:
        console.emit("no camera found")
    problems = [csi.problem, *(camera.problem for camera in csi.cameras)]
    problems += [f"{camera.path}: {camera.problem}" for camera in usb if camera.problem]
    for problem in filter(None, problems):
        console.emit(problem)


def _csi_rows(camera: CsiCamera) -> Iterator[_Row]:
    """A line for the number, which is short, and one for the id, which stays; the modes beside them."""
    modes = [(mode.format, _size(mode.size), _number(mode.fps)) for mode in camera.modes]
    heads = [("picamera2", str(camera.number), camera.model), ("", camera.camera_id, "")]
    for number in range(max(len(heads), len(modes))):
        head = heads[number] if number < len(heads) else ("", "", "")
        yield head + (modes[number] if number < len(modes) else ("", "", ""))


def _usb_rows(camera: AttachedCamera) -> Iterator[_Row]:
    modes = [
        (offer.format, _size(size.size), " ".join(map(_number, size.fps)))
        for offer in camera.formats
        for size in offer.sizes
    ]
    head: _Row = ("v4l2", camera.path, camera.name)
    for mode in modes or [("", "", "")]:
        yield head + mode
        head = ("", "", "")


def _size(size: tuple[int, int] | None) -> str:
    return f"{size[0]}x{size[1]}" if size else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
