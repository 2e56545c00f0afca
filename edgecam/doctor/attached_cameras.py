"""Whether the configured cameras are there and can be opened; those of a running service are not touched."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

from edgecam.cameras import csi_listing, v4l2_found
from edgecam.config import CameraConfig, Picamera2Config, SyntheticConfig, V4l2Config, VideoFileConfig
from edgecam.doctor.finding import Finding, State, fail, ok, parted, skipped, warn
from edgecam.doctor.surroundings import AS_ROOT, Surroundings

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
CONNECT_TIMEOUT = 5.0
"""Seconds that a network camera may take to accept a connection."""
_LIST = "`edgecam cameras` lists what is attached"


def check_cameras(here: Surroundings) -> Iterator[Finding]:
    """Each camera of the configuration."""
    cameras = here.config.enabled_cameras
    for name, camera in cameras.items():
        if here.service.running:
            yield _told_by_the_service(name, here)
            continue
        finding = _tried(name, camera, here)
        closed = finding.state == State.FAIL and here.closed_to_this_user(finding.detail)
        yield (
            skipped(f"{name}: closed to this user; of the service's user, account tells", AS_ROOT)
            if closed
            else finding
        )
    if not cameras:
        yield skipped("no camera is configured", _LIST)


def _told_by_the_service(name: str, here: Surroundings) -> Finding:
    told = here.service.cameras.get(name)
    if told is None and here.service.told:
        return warn(f"{name}: the running service does not have it", "`sudo systemctl restart edgecam`")
    if told is None:
        return skipped(f"{name}: not touched, as the service runs", f"{AS_ROOT}, which can ask the service")
    if told["camera"]["open"]:
        return ok(f"{name}: the service has it, and it works")
    return fail(
        f"{name}: the service has lost it", f"check its cable and its power; `edgecam status` says more; {_LIST}"
    )


def _tried(name: str, camera: CameraConfig, here: Surroundings) -> Finding:
    if isinstance(camera, SyntheticConfig):
        return ok(f"{name}: rendered, needs no device")
    if isinstance(camera, VideoFileConfig):
        return _stream(name, camera.path) if "://" in camera.path else _file(name, Path(camera.path))
    if isinstance(camera, V4l2Config):
        return _usb(name, Path(camera.path), here)
    if isinstance(camera, Picamera2Config):
        return _csi(name, camera.camera)
    assert_never(camera)


def _file(name: str, path: Path) -> Finding:
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            path.open("rb").close()
    except OSError as error:
        return fail(f"{name}: {path}: {error.strerror}", f"name a file that is there in cameras.{name}.path")
    return ok(f"{name}: {path} is there")


def _stream(name: str, url: str) -> Finding:
    """Whether its host accepts a connection; a password in the URL is not shown."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme)
    except ValueError:
        host, port = None, None
    if not host or not port:
        return skipped(f"{name}: a stream that only opening it can tell of")
    try:
        socket.create_connection((host, port), CONNECT_TIMEOUT).close()
    except OSError as error:
        why = error.strerror or str(error)
        return fail(
            f"{name}: {host}:{port} accepts no connection ({why})", "check its address, its power and the network"
        )
    return ok(f"{name}: {host}:{port} accepts connections")


def _usb(name: str, path: Path, here: Surroundings) -> Finding:
    present = v4l2_found.attached(here.at("dev"))
    wanted = path.resolve()
    found = next((camera for camera in present if Path(camera.node).resolve() == wanted), None)
    if found is None:
        there = ", ".join(camera.path for camera in present) or "none"
        return fail(f"{name}: no camera at {path} (there: {there})", f"plug it in, or correct its path; {_LIST}")
    if found.problem:
        remedy = f"end what uses it (`sudo fuser -v {found.node}`), or `sudo usermod -aG video $USER`"
        return fail(f"{name}: {path} cannot be opened: {found.problem}", remedy)
    if not found.formats:
        return fail(f"{name}: {path} offers no format", "take another of its nodes; " + _LIST)
    return ok(f"{name}: {found.name} at {path}")


def _csi(name: str, wanted: int | str) -> Finding:
    listing = csi_listing.attached()
    if listing.problem:
        return fail(*parted(f"{name}: {listing.problem}", _LIST))
    found = next((camera for camera in listing.cameras if wanted in (camera.number, camera.camera_id)), None)
    if found is None:
        there = ", ".join(f"{camera.number} ({camera.camera_id})" for camera in listing.cameras)
        return fail(f"{name}: there is no camera {wanted}, only {there}", f"correct cameras.{name}.camera; {_LIST}")
    if found.problem:
        return fail(*parted(f"{name}: {found.problem}", _LIST))
    return ok(f"{name}: {found.model}, {len(found.modes)} modes")
