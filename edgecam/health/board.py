"""The board: which one it is, how warm it is, and whether its power supply and its cooling are enough."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

THERMAL = Path("/sys/class/thermal")
"""Where Linux shows temperatures."""
UNDER_VOLTAGE = "under-voltage"
TROUBLES = {
    0: UNDER_VOLTAGE,
    1: "the processor's clock is capped",
    2: "throttled",
    3: "the soft temperature limit is reached",
}
"""The bits of the firmware's answer that tell of now; the same 16 higher tell of before. Raspberry Pi's documentation
of `vcgencmd get_throttled`."""
REMEDIES = {
    UNDER_VOLTAGE: "under-voltage: use the power supply made for it, a short cable, and a powered hub for the Coral",
    TROUBLES[1]: "the processor's clock is capped: it is too warm, or its power supply is too weak",
    TROUBLES[2]: "throttled: it is too warm, or its power supply is too weak",
    TROUBLES[3]: "the soft temperature limit is reached: give it a heat sink or a fan",
}
"""Each of them with what helps."""
#: The firmware's answer as a file (Raspberry Pi's own kernel; the first look at it after a boot leaves a line about its
#: age in the kernel's log), wherever a model has its firmware node.
_FIRMWARE = (
    "sys/bus/platform/drivers/raspberrypi-firmware/*/get_throttled",
    "sys/devices/platform/soc/*/get_throttled",
)
_MODELS = ("sys/firmware/devicetree/base/model", "proc/device-tree/model", "sys/class/dmi/id/product_name")
VCGENCMD_TIMEOUT = 1.0
"""Longest wait for `vcgencmd`, seconds."""


@dataclass(frozen=True, slots=True)
class Board:
    """How the board is: its model, "" where it does not say, and its processor's temperature, None where it does not.

    `throttled_now` and `throttled_ever` are of the words in TROUBLES: what holds, and what held at some time as far as
    the firmware remembers. Both are empty on boards that do not watch their power; `watched` says which do.
    """

    model: str = ""
    throttled_now: tuple[str, ...] = ()
    throttled_ever: tuple[str, ...] = ()
    temperature_celsius: float | None = None
    watched: bool = False


def read_board(root: Path = Path("/")) -> Board:
    """How the board is now; files are sought below `root`. Takes milliseconds; `vcgencmd` is asked only where the
    kernel has no file with its answer, then for a second at most."""
    model = read_model(root)
    bits = _throttled_file(root)
    if bits is None and root == Path("/") and model.startswith("Raspberry Pi"):
        bits = ask_vcgencmd()
    alarm = _voltage_alarm(root)
    now, ever = _words(bits or 0), _words((bits or 0) >> 16)
    if alarm and UNDER_VOLTAGE not in now:
        now = (UNDER_VOLTAGE, *now)
    return Board(
        model=model,
        throttled_now=now,
        throttled_ever=tuple(word for word in TROUBLES.values() if word in {*now, *ever}),
        temperature_celsius=temperature_celsius(root / THERMAL.relative_to("/")),
        watched=bits is not None or alarm is not None,
    )


def read_model(root: Path = Path("/")) -> str:
    """What the board calls itself, such as "Raspberry Pi 4 Model B Rev 1.4"; "" where it does not say."""
    for place in _MODELS:
        with suppress(OSError, UnicodeDecodeError):
            if model := (root / place).read_text(encoding="utf-8").strip("\0\n "):
                return model
    return ""


def temperature_celsius(folder: Path = THERMAL) -> float | None:
    """The processor's temperature, of a board with several the first that is one; None where none is told."""
    zones = sorted(folder.glob("thermal_zone*"), key=lambda zone: (not _is_processor(zone), zone.name))
    for zone in zones:
        with suppress(OSError, ValueError):
            return round(int((zone / "temp").read_text()) / 1000, 1)
    return None


def ask_vcgencmd(command: str = "vcgencmd") -> int | None:
    """The firmware's answer, which remembers since the boot; None where it cannot be asked."""
    found = shutil.which(command)
    if found is None:
        return None
    try:
        asked = [found, "get_throttled"]
        said = subprocess.run(asked, capture_output=True, timeout=VCGENCMD_TIMEOUT, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    answer = re.search(rb"throttled=(0x[0-9a-fA-F]+)", said.stdout)
    return int(answer[1], 16) if answer else None


def throttled_since_boot(command: str = "vcgencmd") -> tuple[str, ...] | None:
    """What held at any time since the boot, in the words of TROUBLES; None where the firmware cannot be asked."""
    bits = ask_vcgencmd(command)
    return None if bits is None else _words(bits | bits >> 16)


def _words(bits: int) -> tuple[str, ...]:
    return tuple(word for bit, word in TROUBLES.items() if bits >> bit & 1)


def _throttled_file(root: Path) -> int | None:
    for path in _first_of(root, _FIRMWARE):
        with suppress(OSError, ValueError):
            return int(path.read_text(), 16)
    return None


def _voltage_alarm(root: Path) -> bool | None:
    """What the kernel's voltage monitor says (hwmon rpi_volt); None without one."""
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        with suppress(OSError, ValueError):
            if (folder / "name").read_text().strip() == "rpi_volt":
                return bool(int((folder / "in0_lcrit_alarm").read_text()))
    return None


def _first_of(root: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(root.glob(pattern))


def _is_processor(zone: Path) -> bool:
    try:
        kind = (zone / "type").read_text().lower()
    except OSError:
        return False
    return any(word in kind for word in ("cpu", "soc", "pkg"))
