"""The faults of the soak: how each strikes, how it is mended, and how one sees that the part is well again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service_lab.container import UNIT
from service_lab.soak.plan import Kind
from service_lab.soak.site import CAMERA_UNIT, DATA, DEVICE, STICK, Site

Act = Callable[[Site, float], None]
"""Done to the site, with the number that the fault was given for what it has to draw."""

JUMPS = (90.0, 3600.0, 86400.0, -30.0, -3600.0)
"""Seconds by which the wall clock jumps; when the fault is over it jumps back."""
_FILLER = "lab-filler"
_CHUNKS = (1 << 26, 1 << 22, 1 << 16, 1 << 12)


@dataclass(frozen=True)
class Fault:
    """A kind of fault and what it does. `hold` is done every half second while it lasts."""

    kind: Kind
    strike: Act
    mend: Act
    hold: Act | None = None


def _run(command: str, limit: float = 60.0) -> Act:
    def act(site: Site, _: float) -> None:
        site.container.run(command, limit=limit)

    return act


def _tpu(**control: Any) -> Act:
    return lambda site, _: site.world.set(**control)


def _plug_without_firmware(site: Site, _: float) -> None:
    site.world.set(dfu_ms=1500)
    site.plug(firmware=False)


def _fill(site: Site, _: float) -> None:
    """Take all that is free, also what edgecam makes free meanwhile."""
    filler = Path(f"/proc/{site.container.leader}/root{DATA}/{_FILLER}")
    file = os.open(filler, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        for chunk in _CHUNKS:
            _grow(file, chunk)
    finally:
        os.close(file)


def _grow(file: int, chunk: int) -> None:
    while True:
        try:
            os.posix_fallocate(file, os.fstat(file).st_size, chunk)
        except OSError:
            return


def _another_disk(site: Site, _: float) -> None:
    """As a machine that boots again: what was broken off is put right, and the file system is there anew."""
    site.container.run(f"systemctl stop {UNIT}", limit=120)
    site.container.run(f"umount {DATA}; e2fsck -p {DEVICE}; mount {DEVICE} {DATA}; systemctl start {UNIT}", limit=180)


def _jump(site: Site, draw: float) -> None:
    site.set_clock(JUMPS[int(draw * len(JUMPS))])


def _clock_back(site: Site, _: float) -> None:
    site.set_clock(0.0)


_NOTHING = _run("true")
_SHORT, _LONG = (3.0, 20.0), (8.0, 40.0)


def _unplug(site: Site, _: float) -> None:
    site.world.unplug(STICK)


def _plug(site: Site, _: float) -> None:
    site.plug()


FAULTS = (
    Fault(Kind("abort in the Edge TPU's library", "tpu", _SHORT), _tpu(fault="abort"), _tpu(fault=None)),
    Fault(Kind("the Edge TPU hangs", "tpu", _SHORT), _tpu(fault="hang"), _tpu(fault=None)),
    Fault(Kind("error of the Edge TPU", "tpu", _SHORT), _tpu(fault="error"), _tpu(fault=None)),
    Fault(Kind("Edge TPU pulled, plugged in", "tpu", _LONG), _unplug, _plug),
    Fault(Kind("Edge TPU pulled, comes without firmware", "tpu", _LONG), _unplug, _plug_without_firmware),
    Fault(Kind("broker stopped", "broker", _LONG), _run("systemctl stop mosquitto"), _run("systemctl start mosquitto")),
    Fault(
        Kind("broker killed", "broker", _LONG),
        _run("systemctl kill --signal=KILL mosquitto; systemctl stop mosquitto"), _run("systemctl start mosquitto"),
    ),
    Fault(
        Kind("broker frozen", "broker", _LONG),
        _run("systemctl kill --signal=STOP mosquitto"), _run("systemctl kill --signal=CONT mosquitto"),
    ),
    Fault(Kind("disk full", "disk", _LONG), _fill, _run(f"rm -f {DATA}/{_FILLER}"), hold=_fill),
    Fault(
        Kind("disk frozen", "disk", _LONG), _run(f"fsfreeze --freeze {DATA}"), _run(f"fsfreeze --unfreeze {DATA}")
    ),
    Fault(
        Kind("disk read-only, then another start with it mended", "disk", _LONG, restarts=True, alone=True),
        _run(f"mount -o remount,abort {DATA}"), _another_disk,
    ),
    Fault(
        Kind("camera silent", "camera", _LONG),
        _run(f"systemctl kill --signal=STOP {CAMERA_UNIT}"), _run(f"systemctl kill --signal=CONT {CAMERA_UNIT}"),
    ),
    Fault(
        Kind("camera gone", "camera", _LONG),
        _run(f"systemctl kill --signal=KILL {CAMERA_UNIT}; systemctl stop {CAMERA_UNIT}"),
        _run(f"systemctl start {CAMERA_UNIT}"),
    ),
    Fault(Kind("clock jumps", "clock", _LONG), _jump, _clock_back),
    Fault(
        Kind("kill -9 of the unit", "unit", (0.0, 0.0), restarts=True),
        _run(f"systemctl kill --signal=KILL {UNIT}"), _NOTHING,
    ),
    Fault(
        Kind("restart of the unit", "unit", (0.0, 0.0), restarts=True),
        _run(f"systemctl restart --no-block {UNIT}"), _NOTHING,
    ),
    Fault(
        Kind("the service stopped (SIGSTOP), as in a suspended machine", "unit", _SHORT),
        _run(f"systemctl kill --signal=STOP {UNIT}"), _run(f"systemctl kill --signal=CONT {UNIT}"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """How the appliance says that it is, `told` (None: it does not answer), with the answer before it."""

    told: Mapping[str, Any] | None
    before: Mapping[str, Any] | None

    @property
    def reasons(self) -> list[str]:
        """Why it is degraded."""
        return list(self.told["status"]["reasons"]) if self.told else ["it does not answer"]

    def is_well(self, part: str) -> bool:
        """Whether this part does what it is for."""
        if self.told is None:
            return False
        status = self.told["status"]
        front = status["cameras"].get("front")
        if front is None:
            return False
        if part == "tpu":
            return bool(front["detector"]["device"] == f"usb:{STICK}")
        if part == "broker":
            return not any("MQTT" in reason for reason in self.reasons) and self._oldest() < _FRESH
        if part == "disk":
            return not any(word in reason for reason in self.reasons for word in ("disk", "journal", DATA))
        return bool(front["camera"]["open"]) and self._moves("frames_analysed")

    def _oldest(self) -> float:
        return float(self.told["status"]["spool"]["oldest_age"] or 0.0) if self.told else _FRESH

    def _moves(self, counter: str) -> bool:
        if self.told is None or self.before is None:
            return False
        now, then = (each["stats"]["cameras"]["front"]["counters"][counter] for each in (self.told, self.before))
        return bool(now > then)


_FRESH = 5.0
"""Seconds that a message may wait for a broker that is well."""
