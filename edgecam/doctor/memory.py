"""Whether there is memory that a Pi camera's pictures can lie in."""

from __future__ import annotations

from collections.abc import Iterator

from edgecam.cameras.csi_settings import BUFFERS
from edgecam.config import Config, Picamera2Config
from edgecam.doctor.finding import Finding, fail, ok, skipped, warn
from edgecam.doctor.surroundings import Surroundings

SENSOR = (2304, 1296)
"""Pixels a sensor reads out where the configuration does not say."""
_LORES = (320, 320)
_BYTES_PER_PIXEL = 1.5
"""Of planar YUV 4:2:0, and of a raw picture of 12 bits."""
_MEMINFO = "proc/meminfo"


def check_cma(here: Surroundings) -> Iterator[Finding]:
    """The kernel's contiguous memory (CMA), against what the configured cameras of libcamera take of it."""
    needed = needed_bytes(here.config)
    memory = _meminfo(here)
    total, free = memory.get("CmaTotal", 0), memory.get("CmaFree", 0)
    remedy = "set `dtoverlay=vc4-kms-v3d,cma-256` in /boot/firmware/config.txt and restart, or ask for smaller pictures"
    if not needed:
        yield skipped("no camera of libcamera is configured")
    elif not memory:
        yield skipped(f"{here.at(_MEMINFO)} tells nothing")
    elif total < needed:
        yield fail(f"CMA has {_mib(total)} MiB, the cameras take about {_mib(needed)} MiB", remedy)
    elif free < needed and not here.service.running:
        what = f"{_mib(free)} of {_mib(total)} MiB CMA are free, the cameras take about {_mib(needed)} MiB"
        yield warn(what, f"end what uses it (a desktop, another camera program); or {remedy}")
    else:
        yield ok(f"{_mib(free)} of {_mib(total)} MiB CMA are free; the cameras take about {_mib(needed)} MiB")


def needed_bytes(config: Config) -> int:
    """About what the cameras of libcamera take: their buffers with all three pictures."""
    cameras = (camera for camera in config.enabled_cameras.values() if isinstance(camera, Picamera2Config))
    pixels = sum(
        width * height for camera in cameras for width, height in (camera.size, _LORES, camera.sensor_mode or SENSOR)
    )
    return int(BUFFERS * _BYTES_PER_PIXEL * pixels)


def _meminfo(here: Surroundings) -> dict[str, int]:
    """Bytes, by name; /proc/meminfo has its lines about CMA at its end."""
    try:
        text = here.at(_MEMINFO).read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    numbers = ((name, value.split()) for name, _, value in pairs)
    return {name: int(words[0]) * 1024 for name, words in numbers if words and words[0].isdecimal()}


def _mib(size: int) -> int:
    return size >> 20
