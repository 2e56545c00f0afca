"""Whether the configured display can be had."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

from edgecam.detectors.holders import start_of
from edgecam.doctor.finding import Finding, fail, ok, skipped, warn
from edgecam.doctor.surroundings import Surroundings
from edgecam.sinks import drm_library

_DESKTOPS = ("DISPLAY", "WAYLAND_DISPLAY")
_BARE = 'set display.backend = "drm", or "auto"'


def check_display(here: Surroundings) -> Iterator[Finding]:
    """A window has its desktop and its library; the bare monitor has a card, a socket and nobody else who shows."""
    options = here.config.display
    desktop = any(os.environ.get(name) for name in _DESKTOPS)
    if not options.enabled:
        yield skipped("display.enabled is false")
    elif options.backend == "window" or (options.backend == "auto" and desktop and not here.service.installed):
        yield _window(here, desktop=desktop)
    else:
        yield _bare_monitor(here, options.connector)


def _window(here: Surroundings, *, desktop: bool) -> Finding:
    if here.service.installed:
        return fail('display.backend is "window", and the service has no desktop', _BARE)
    if not desktop:
        return fail("no desktop runs here: neither DISPLAY nor WAYLAND_DISPLAY is set", _BARE)
    if find_spec("pygame") is None:
        return fail("a window needs pygame", "pip install 'edgecam[display]', or sudo apt install python3-pygame")
    return ok("a window on the desktop")


def _bare_monitor(here: Surroundings, wanted: str) -> Finding:
    try:
        drm_library.library()
    except OSError:
        return fail(f"{drm_library.NAME} is missing", "`sudo apt install libdrm2`")
    if not list(here.at("dev/dri").glob("card*")):
        return fail("no graphics card in /dev/dri", "set `dtoverlay=vc4-kms-v3d` in /boot/firmware/config.txt")
    if (told := here.run(["systemctl", "is-active", "display-manager"])) and told.out.strip() == "active":
        remedy = "`sudo systemctl set-default multi-user.target` and restart; or show it in a window of the desktop"
        return fail("a desktop owns the monitor", remedy)
    sockets = _sockets(here)
    if wanted and wanted not in sockets:
        there = ", ".join(sockets) or "none"
        return fail(f"display.connector {wanted!r}: no such socket (there: {there})", "name one of these, or none")
    connected = [name for name, state in sockets.items() if state == "connected" and wanted in ("", name)]
    if not connected:
        return warn(f"no monitor at {wanted or 'any socket'}; edgecam waits for one", "plug it in and switch it on")
    return ok(f"a monitor at {', '.join(connected)}")


def _sockets(here: Surroundings) -> dict[str, str]:
    """By name, as in "HDMI-A-1": connected, disconnected or unknown."""
    files = sorted(here.at("sys/class/drm").glob("card*-*/status"))
    return {file.parent.name.partition("-")[2]: start_of(file).strip() for file in files}
