"""`edgecam zones`: the marks in a camera's picture, as a person sees them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecam import console
from edgecam.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from edgecam.errors import CameraError, EndOfStream, InputError

if TYPE_CHECKING:
    from edgecam.commands.marked_picture import Image
    from edgecam.config import CameraConfig, Config
    from edgecam.marks import Marks
    from edgecam.ports import Camera

SUFFIXES = (".jpg", ".jpeg", ".png")
WAIT = 10.0
"""Longest wait for a camera's picture, seconds."""
FRAMES_UNTIL_EXPOSED = 15
"""The first frames of a real camera are too dark or too bright."""

commands = typer.Typer(help="Show the zones, lines and masks.")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(commands, name="zones")


@commands.callback()
def zones() -> None:
    """Show the zones, lines and masks."""


@commands.command()
def draw(
    source: Annotated[str, typer.Argument(metavar="VIDEO|CAMERA", help="A camera's name, or a video or a picture.")],
    config: ConfigOption = DEFAULT_CONFIG,
    camera: Annotated[
        str | None, typer.Option("--camera", metavar="NAME", help="Whose marks to draw on a video or a picture.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", readable=False, help="A .jpg or .png (default: zones-NAME.jpg)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a picture of what a camera sees, with its zones, lines and masks drawn and named.

    An arrow across a line shows what going over it that way is called.
    """
    from edgecam.commands.marked_picture import draw_marks
    from edgecam.config import load
    from edgecam.marks import named_marks

    settings = load(config)
    name = _camera_name(settings, config, source, camera)
    marks = named_marks(**settings.cameras[name].marks())
    if not (marks.zones or marks.lines or marks.masks):
        raise InputError(f"{config}: camera {name} has no marks: add [cameras.{name}.zones.NAME] with a polygon")
    target = out or Path(f"zones-{name}.jpg")
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(f"{target}: not the name of a picture: end it in {', '.join(SUFFIXES)}")
    picture = _picture(settings, source)
    draw_marks(picture, marks)
    _write(target, picture)
    _say(target, name, picture, marks, as_json=as_json)


def _camera_name(settings: Config, config: Path, source: str, camera: str | None) -> str:
    """Whose marks are meant."""
    known = ", ".join(settings.cameras) or "none"
    if source in settings.cameras and camera in (None, source):
        return source
    if camera is not None and camera not in settings.cameras:
        raise InputError(f"camera {camera}: not in {config}: the cameras there are {known}")
    if camera is not None:
        return camera
    if "://" not in source and not Path(source).exists():
        raise InputError(f"{source}: neither a camera of {config}, which has {known}, nor a file")
    if len(settings.cameras) != 1:
        raise InputError(f"{source}: say with --camera whose marks to draw: the cameras of {config} are {known}")
    return next(iter(settings.cameras))


def _picture(settings: Config, source: str) -> Image:
    """One picture of a camera, a video or a picture file, uint8 RGB [h, w, 3]."""
    from edgecam import cameras
    from edgecam.cameras.still import read_picture
    from edgecam.commands.inputs import find_inputs

    if source in settings.cameras:
        options = settings.cameras[source]
        return _frame_of(cameras.create(options.type, **options.options(), lores_size=(64, 64)), _wasted(options))
    found = find_inputs([source])[0]
    if found.kind == "picture":
        return read_picture(Path(found.name))
    return _frame_of(cameras.create("video_file", path=found.name, pace="fast", lores_size=(64, 64)), 0)


def _wasted(options: CameraConfig) -> int:
    return FRAMES_UNTIL_EXPOSED if options.type in ("v4l2", "picamera2") else 0


def _frame_of(camera: Camera, wasted: int) -> Image:
    from edgecam.yuv import i420_to_rgb

    with closing(camera):
        camera.open()
        try:
            for _ in range(wasted):
                camera.read(WAIT)
            frame = camera.read(WAIT)
        except EndOfStream:
            raise InputError("no frames in it: is it a video?") from None
    if frame is None:
        raise CameraError(f"no frame for {WAIT:g} s")
    return i420_to_rgb(frame.main)


def _write(target: Path, picture: Image) -> None:
    import cv2

    from edgecam.commands.whole import written_whole

    encoded, data = cv2.imencode(target.suffix.lower(), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert encoded, "OpenCV writes any picture as JPEG and PNG"
    with written_whole(target) as part:
        part.write_bytes(data.tobytes())


def _say(target: Path, camera: str, picture: Image, marks: Marks, *, as_json: bool) -> None:
    height, width = picture.shape[:2]
    drawn: dict[str, Any] = {
        "zones": [zone.name for zone in marks.zones],
        "lines": [{"name": line.name, "directions": list(line.directions)} for line in marks.lines],
        "masks": len(marks.masks),
    }
    if as_json:
        console.emit_json({"picture": str(target), "camera": camera, "size": [width, height], **drawn})
        return
    lines = [f"{line.name} ({'/'.join(line.directions)})" for line in marks.lines]
    console.emit(
        f"{target}: camera {camera}: zones {', '.join(drawn['zones']) or 'none'}; "
        f"lines {', '.join(lines) or 'none'}; masks {drawn['masks']}"
    )
