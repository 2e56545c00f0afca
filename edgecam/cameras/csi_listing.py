"""Which cameras libcamera knows, and their modes: asked in a process of its own, which may crash or hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgecam.cameras import csi_library
from edgecam.cameras.csi_choice import Found, choose, find_all, why_none
from edgecam.cameras.csi_library import LIBRARY_ERRORS, Library, reason
from edgecam.errors import CameraError, InputError

#: A camera with many modes takes some seconds to try them all.
TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class SensorMode:
    """What the sensor can read out: size (width, height) in pixels and frames per second; None where not told."""

    format: str
    size: tuple[int, int] | None = None
    fps: float | None = None


@dataclass(frozen=True, slots=True)
class CsiCamera:
    """A camera of libcamera. `problem` says why it cannot be asked for its modes now, "" where it can."""

    number: int
    camera_id: str
    model: str
    modes: tuple[SensorMode, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found; `problem` says why there is nothing, "" where there is something."""

    cameras: tuple[CsiCamera, ...] = ()
    problem: str = ""


def attached(timeout: float = TIMEOUT) -> Listing:
    """The cameras of libcamera on this machine, each opened for a moment. Raises nothing."""
    package = Path(__file__).resolve().parent.parent.parent
    paths = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    try:
        done = subprocess.run(  # noqa: S603 -- our own module
            command,
            capture_output=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": paths},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Listing(problem=f"libcamera could not be asked: {reason(error)}")
    try:
        found = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return Listing(problem=f"libcamera failed while it was asked (exit {done.returncode}): {last}")
    return Listing(tuple(map(_from_json, found["cameras"])), found["problem"])


def main() -> None:
    """Ask, and print the answer as JSON; whatever the libraries print goes to stderr."""
    answer = os.dup(1)
    os.dup2(2, 1)
    document = json.dumps(asdict(ask()))
    with os.fdopen(answer, "w") as stdout:
        stdout.write(document)


def ask() -> Listing:
    """What `attached` says, asked in this process."""
    try:
        library = csi_library.load()
        found = find_all(library)
    except InputError as error:
        return Listing(problem=str(error))
    except LIBRARY_ERRORS as error:
        return Listing(problem=f"libcamera failed: {reason(error)}")
    if not found:
        return Listing(problem=why_none())
    return Listing(tuple(_asked(library, camera) for camera in found))


def _asked(library: Library, found: Found) -> CsiCamera:
    try:
        choose(library, found.number)
        picam2 = library.picamera2.Picamera2(found.number)
        try:
            modes = tuple(map(_mode, picam2.sensor_modes))
        finally:
            picam2.close()
    except CameraError as error:
        return CsiCamera(*found, problem=str(error))
    except LIBRARY_ERRORS as error:
        return CsiCamera(*found, problem=f"{found.name}: cannot be asked for its modes: {reason(error)}")
    return CsiCamera(*found, modes)


def _mode(mode: dict[str, Any]) -> SensorMode:
    size = mode.get("size")
    return SensorMode(str(mode["format"]), (size[0], size[1]) if size else None, mode.get("fps"))


def _from_json(camera: dict[str, Any]) -> CsiCamera:
    modes = (SensorMode(m["format"], tuple(m["size"]) if m["size"] else None, m["fps"]) for m in camera.pop("modes"))
    return CsiCamera(**camera, modes=tuple(modes))
