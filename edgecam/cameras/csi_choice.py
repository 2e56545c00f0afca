"""Which of libcamera's cameras is meant, and what speaks against opening it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from edgecam.cameras.csi_library import Library, reason
from edgecam.errors import CameraError

DEVICES = Path("/dev")
_HEAPS = ("vidbuf_cached", "linux,cma")


class Found(NamedTuple):
    """A camera that is there. `number` is picamera2's index, `name` how we call it in messages."""

    number: int
    camera_id: str
    model: str

    @property
    def name(self) -> str:
        return f"camera {self.number} ({self.model})"


def find_all(library: Library) -> list[Found]:
    """The cameras that libcamera knows, in picamera2's order. Opens none."""
    known = library.picamera2.Picamera2.global_camera_info()
    return [Found(number, info["Id"], info.get("Model") or info["Id"]) for number, info in enumerate(known)]


def choose(library: Library, wanted: int | str, devices: Path = DEVICES) -> Found:
    """The camera with this index or id, which nobody uses. Raises CameraError: it may be plugged in or freed later."""
    cameras = find_all(library)
    if not cameras:
        raise CameraError(f"camera {wanted}: {why_none(devices)}")
    found = next((camera for camera in cameras if wanted in (camera.number, camera.camera_id)), None)
    if found is None:
        there = ", ".join(f"{camera.number} ({camera.camera_id})" for camera in cameras)
        raise CameraError(f"camera {wanted}: there is no such camera, only {there}: `edgecam cameras` lists them")
    _check_free(library, found)
    if heap := _closed_heap(devices):
        raise CameraError(f"{found.name}: {_no_permission(heap)}")
    return found


def why_none(devices: Path = DEVICES) -> str:
    """Why libcamera may have found no camera, and what to do."""
    nodes = sorted((*devices.glob("media[0-9]*"), *devices.glob("video[0-9]*")))
    closed = [node for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    if closed:
        return _no_permission(closed[0])
    return (
        "no camera found: check the ribbon cable at both ends (power off first) and that /boot/firmware/config.txt has"
        " camera_auto_detect=1; `rpicam-hello --list-cameras` must show it"
    )


def _no_permission(node: Path) -> str:
    return f"no permission on {node}: `sudo usermod -aG video $USER`, then log in again"


def _closed_heap(devices: Path) -> Path | None:
    """The dma-heap that picamera2 will take its buffers from, where it is there but closed to us."""
    present = next((heap for name in _HEAPS if (heap := devices / "dma_heap" / name).exists()), None)
    return present if present and not os.access(present, os.R_OK | os.W_OK) else None


def _check_free(library: Library, found: Found) -> None:
    """Acquire it and let go: once picamera2 is told to open a camera in use, it mixes up the two users."""
    camera = library.libcamera.CameraManager.singleton().get(found.camera_id)
    try:
        camera.acquire()
    except (RuntimeError, OSError) as error:
        if "busy" not in reason(error).lower():
            raise CameraError(f"{found.name}: cannot be opened: {reason(error)}") from error
        raise CameraError(
            f"{found.name}: in use by another program or another [cameras] section: end that, or choose another"
            " camera; `sudo fuser -v /dev/media* /dev/video*` names the programs"
        ) from error
    camera.release()
