"""What the machine is and how hot it runs, as /proc, /sys, the firmware and the package managers tell it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path("/")
LIMIT = 20.0
"""Seconds that a program which is asked for a fact may take."""

PACKAGES = (
    *("ai-edge-litert", "tflite-runtime", "numpy", "opencv-python-headless", "av", "pydantic", "rich", "typer"),
    *("picamera2", "simplejpeg", "pygame", "pygame-ce"),
)
"""Of Python."""
DEBIAN_PACKAGES = (
    *("libcamera0*", "libcamera-ipa", "python3-libcamera", "python3-picamera2", "python3-numpy", "python3-pygame"),
    *("libedgetpu1-*", "gasket-dkms", "libdrm2", "raspi-firmware", "raspberrypi-kernel"),
)

#: Bits of `vcgencmd get_throttled`; the same 16 higher: since the start of the machine.
THROTTLED = ("under-voltage", "clock capped", "throttled", "soft temperature limit")


def facts(root: Path = ROOT) -> dict[str, Any]:
    """The machine and its software; None where a fact is not to be had. No name of the host, no address, no serial."""
    memory = _table(_text(root / "proc/meminfo"), ":")
    system = _table(_text(root / "etc/os-release"), "=")
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    return {
        "board": _text(root / "proc/device-tree/model").strip("\0\n ") or None,
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "clock_governor": _text(frequency / "scaling_governor").strip() or None,
        "clock_most_mhz": _number(_text(frequency / "cpuinfo_max_freq"), 1e-3),
        "memory_mib": _number(memory.get("MemTotal", "").removesuffix("kB"), 1 / 1024),
        "cma_mib": _number(memory.get("CmaTotal", "").removesuffix("kB"), 1 / 1024),
        "page_bytes": os.sysconf("SC_PAGE_SIZE"),
        "system": system.get("PRETTY_NAME", "").strip('"') or None,
        "debian": _text(root / "etc/debian_version").strip() or None,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "desktop": bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")),
        "monitors": list(monitors(root)),
        "python_packages": _python_packages(),
        "debian_packages": _debian_packages(),
        **heat(root),
    }


def heat(root: Path = ROOT) -> dict[str, Any]:
    """The hottest zone in degrees Celsius, and what the firmware did about heat and power; None where not told."""
    zones = (_number(_text(zone), 1e-3) for zone in root.glob("sys/class/thermal/thermal_zone*/temp"))
    told = _said("vcgencmd", "get_throttled")
    return {
        "celsius": max((zone for zone in zones if zone is not None), default=None),
        "throttled": throttling(told) if told else _under_voltage(root),
    }


def throttling(told: str) -> list[str] | None:
    """What `vcgencmd get_throttled` means, as in "throttled=0x50000"; None where it is not understood."""
    try:
        bits = int(told.strip().partition("=")[2], 16)
    except ValueError:
        return None
    now = [f"{name} now" for number, name in enumerate(THROTTLED) if bits >> number & 1]
    before = [f"{name} since start" for number, name in enumerate(THROTTLED) if bits >> (16 + number) & 1]
    return now + before


def monitors(root: Path = ROOT) -> Iterator[str]:
    """The sockets in which a monitor is, as in "HDMI-A-1"."""
    for status in sorted(root.glob("sys/class/drm/card*-*/status")):
        if _text(status).strip() == "connected":
            yield status.parent.name.partition("-")[2]


def _under_voltage(root: Path) -> list[str] | None:
    """What the kernel says of it where the firmware's program is not installed."""
    for name in root.glob("sys/class/hwmon/hwmon*/name"):
        if _text(name).strip() == "rpi_volt":
            alarm = _text(name.with_name("in0_lcrit_alarm")).strip()
            return ["under-voltage"] if alarm == "1" else []
    return None


def _python_packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _debian_packages() -> dict[str, str]:
    told = _said("dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Status}\n", *DEBIAN_PACKAGES)
    lines = (line.split() for line in told.splitlines())
    return {words[0]: words[1] for words in lines if len(words) == 3 and words[2] == "installed"}


def _said(*command: str) -> str:
    """What a program says; "" where there is none. That it does not know something is no failure."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _table(text: str, separator: str) -> dict[str, str]:
    pairs = (line.partition(separator) for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _number(text: str, scale: float) -> float | None:
    try:
        return round(float(text) * scale, 1)
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
