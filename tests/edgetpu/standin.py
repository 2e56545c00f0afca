"""The world of the software Edge TPU: what is plugged in, how it behaves, what happened.

    world = StandIn(folder, library)
    world.plug("2-1")
    world.set(latency_ms=9.1, fault="hang", fault_after=20)
    subprocess.run([...], env=os.environ | world.environment)
    world.unplug("2-1")

All of it is in the folder: a fake host root (`sys/`, `dev/`) and the files `control` and `log`; native/standin.h tells
what the library makes of them.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

WITHOUT_FIRMWARE = ("1a6e", "089a")
RUNNING = ("18d1", "9302")
_DEVICE_NUMBERS = 127


class StandIn:
    """A world with its software Edge TPUs, below `folder`; `library` is the stand-in for libedgetpu.so.1.

    Everything in it appears, changes and goes atomically. A second one on the same folder sees the same world.
    """

    def __init__(self, folder: Path, library: Path) -> None:
        self.folder = folder
        self.library = library
        self._last_number = 1
        for name in ("sys/bus/usb/devices", "sys/class/apex", "dev/bus/usb", "aside", "answers", "locks"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        if not (folder / "control").exists():
            self._write_control({})

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to live in this world, where the stand-in is *the* libedgetpu."""
        libraries = [str(self.library.parent), os.environ.get("LD_LIBRARY_PATH", "")]
        return {
            "EDGECAM_HOST_ROOT": str(self.folder),
            "EDGETPU_STANDIN": str(self.folder),
            "EDGECAM_LOCK_DIR": str(self.folder / "locks"),
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
        }

    def plug(self, name: str = "2-1", *, firmware: bool = True, speed: int = 5000, kind: str = "usb") -> Path:
        """Plug in a device; returns its node. `name` is "2-1" for a stick, "apex_0" for kind "pci".

        A stick without `firmware` gets it, and comes back with other ids, the first time it is opened. `speed`: Mbit/s.
        """
        place, made = self._place(name, kind), self.folder / "aside" / f"{name}.plugged"
        if place.exists():
            raise ValueError(f"{name} is plugged in already")
        made.mkdir()
        if kind == "pci":
            node = self._make_node(self.folder / "dev" / name)
        else:
            bus = int(name.partition("-")[0])
            number = self._next_number(bus)
            node = self._make_node(self._node(bus, number))
            vendor, product = RUNNING if firmware else WITHOUT_FIRMWARE
            values = {"idVendor": vendor, "idProduct": product, "busnum": bus, "devnum": number, "speed": speed}
            for file, value in values.items():
                (made / file).write_text(f"{value}\n", encoding="ascii")
        made.rename(place)
        return node

    def unplug(self, name: str = "2-1") -> None:
        """Pull a device, also one that is loading its firmware."""
        place = self._place(name, "pci" if name.startswith("apex") else "usb")
        gone = self.folder / "aside" / f"{name}.unplugged"
        try:
            place.rename(gone)
        except FileNotFoundError:
            (self.folder / "aside" / name).rename(gone)  # between its two lives: native/firmware.c
        self._node_of(gone, name).unlink(missing_ok=True)
        shutil.rmtree(gone)

    def set(self, **control: Any) -> None:
        """Change how the devices behave, at once; None takes a key back to its default.

        latency_ms, jitter_ms, first_ms (the first inference of an interpreter), open_ms, dfu_ms (how long a stick is
        away for its firmware) · fault: none, error, abort, segv, exit, hang (all from the inference number
        `fault_after` of a process on), abort_idle · open_fault: none, null, hang, abort, segv · prepare_fault: none,
        error, hang, abort, segv, exit · exec: model, cache (remembers answers), zero (all outputs 0) · version ·
        old_abi=1 (SIGSEGV as an interpreter is built) · trace=1 (logs every inference).
        """
        current = dict(line.split("=", 1) for line in (self.folder / "control").read_text("utf-8").splitlines())
        self._write_control(current | control)

    def log(self) -> list[dict[str, Any]]:
        """What happened so far, in order: each has `time` (monotonic), `pid`, `event` and more."""
        try:
            return [json.loads(line) for line in (self.folder / "log").read_text("utf-8").splitlines()]
        except FileNotFoundError:
            return []

    def wait_for(self, timeout: float = 30.0, **wanted: Any) -> dict[str, Any]:
        """The first entry of the log that has all of `wanted`; waits for it. Raises TimeoutError, with the log."""
        limit = time.monotonic() + timeout
        while time.monotonic() < limit:
            for entry in self.log():
                if entry.items() >= wanted.items():
                    return entry
            time.sleep(0.01)
        raise TimeoutError(f"no {wanted} in {timeout:g} s, but {self.log()}")

    def _write_control(self, values: dict[str, Any]) -> None:
        text = "".join(f"{key}={value}\n" for key, value in values.items() if value is not None)
        written = self.folder / "aside" / "control"
        written.write_text(text, encoding="utf-8")
        written.replace(self.folder / "control")

    def _place(self, name: str, kind: str) -> Path:
        return self.folder / ("sys/class/apex" if kind == "pci" else "sys/bus/usb/devices") / name

    def _node(self, bus: int, number: int) -> Path:
        return self.folder / "dev/bus/usb" / f"{bus:03d}" / f"{number:03d}"

    def _node_of(self, place: Path, name: str) -> Path:
        if name.startswith("apex"):
            return self.folder / "dev" / name
        bus, number = (int((place / file).read_text("ascii")) for file in ("busnum", "devnum"))
        self._last_number = number
        return self._node(bus, number)

    def _make_node(self, node: Path) -> Path:
        node.parent.mkdir(parents=True, exist_ok=True)
        node.touch()
        node.chmod(0o666)
        return node

    def _next_number(self, bus: int) -> int:
        """A number no device of the bus has: they go up, and begin anew after 127."""
        tried = ((self._last_number + step) % _DEVICE_NUMBERS + 1 for step in range(_DEVICE_NUMBERS))
        self._last_number = next(number for number in tried if not self._node(bus, number).exists())
        return self._last_number
