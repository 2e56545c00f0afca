"""Which V4L2 cameras are attached, under which stable paths, and what they offer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edgecam.cameras.v4l2_device import VideoDevice
from edgecam.cameras.v4l2_modes import Offer, Size

DEV = Path("/dev")

NOT_CAMERAS = frozenset({"unicam", "rp1-cfe", "bcm2835-isp", "pispbe", "bcm2835-codec", "rpi-hevc-dec", "rpivid"})
"""Drivers whose nodes belong to a Raspberry Pi's own camera and codecs: libcamera's, not ours."""


@dataclass(frozen=True, slots=True)
class SizeRates:
    """One size (width, height) in pixels, and its frames per second, fastest first; empty where not told."""

    size: Size
    fps: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FormatModes:
    """One format by its name in the configuration, or V4L2's own where edgecam does not take it, and its sizes.

    Of a camera that takes any size in a range, the smallest and the largest.
    """

    format: str
    sizes: tuple[SizeRates, ...]


@dataclass(frozen=True, slots=True)
class AttachedCamera:
    """A camera that is there. `path` is the stable one where there is one, `node` the kernel's own.

    `problem` says why it cannot be asked now, "" where it can; then `formats` are its modes.
    """

    path: str
    node: str
    name: str
    driver: str
    bus: str
    formats: tuple[FormatModes, ...] = ()
    problem: str = ""


def attached(dev: Path = DEV) -> tuple[AttachedCamera, ...]:
    """The V4L2 cameras of this machine, in the order of their nodes. Opens each for a moment."""
    nodes = [node for node in dev.glob("video*") if re.fullmatch(r"video\d+", node.name)]
    found = (_asked(node, stable_path(node, dev)) for node in sorted(nodes, key=lambda node: int(node.name[5:])))
    return tuple(camera for camera in found if camera is not None)


def stable_path(node: Path, dev: Path = DEV) -> Path:
    """The link that leads to this camera wherever it is plugged in, else the one by its socket, else the node."""
    for kind in ("by-id", "by-path"):
        for link in sorted((dev / "v4l" / kind).glob("*")):
            if link.resolve() == node.resolve():
                return link
    return node


def _asked(node: Path, path: Path) -> AttachedCamera | None:
    """What the device says of itself; None where it is no camera."""
    device = VideoDevice(node)
    with closing(device):
        try:
            device.open()
            identity = device.identity()
            if not identity.captures or identity.driver in NOT_CAMERAS:
                return None
            formats = tuple(_modes(device, device.offers()))
        except OSError as error:
            problem = error.strerror or str(error)
            return AttachedCamera(str(path), str(node), node.name, "", "", problem=problem)
    return AttachedCamera(str(path), str(node), identity.card, identity.driver, identity.bus, formats)


def _modes(device: VideoDevice, offers: tuple[Offer, ...]) -> Iterator[FormatModes]:
    for offer in offers:
        ends = dict.fromkeys(end for sizes in offer.sizes for end in (sizes.smallest, sizes.largest))
        yield FormatModes(offer.name, tuple(SizeRates(size, device.rates(offer.fourcc, size)) for size in ends))
