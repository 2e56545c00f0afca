"""The faults an Edge TPU is known for, done to a whole edgecam: each scenario is a run, and a record of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam.detectors.edgetpu import list_edge_tpus, lock_path
from edgecam.detectors.process import ProcessOptions
from edgetpu.kit import Kit, lived_in
from edgetpu.rig import STICK, Rig, Tally
from edgetpu.user import SCRIPT as USER

TO_CPU, BACK, GONE = 2.0, 10.0, 2.0
"""Limits in seconds: to the CPU's first analysis, to the Edge TPU's, to the end of the child of a dead edgecam."""
STEADY = 0.4
"""Seconds at work before something happens."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds in a run: how long the fault lasts, how long a slow opening takes, how long edgecam waits for one."""

    outage: float = 1.0
    slow_open: float = 25.0
    open_timeout: float = 30.0


Act = Callable[[Rig, Plan], float | None]
"""Does something to a rig; returns when it took effect, monotonic seconds, where that was not as it was called."""


def nothing(rig: Rig, plan: Plan) -> None:
    """No act."""


def wait_out(rig: Rig, plan: Plan) -> None:
    time.sleep(plan.outage)


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong and how it is mended.

    `prepare` is done before edgecam starts. `strike` is done while the Edge TPU works; without one the fault is there
    at start. `last` is how long it lasts, from the moment on at which the CPU has taken over; `clear` mends it, and
    where it is nothing, the Edge TPU can be had again as soon as it was struck.
    """

    name: str
    strike: Act | None = None
    clear: Act = nothing
    prepare: Act = nothing
    last: Act = wait_out


def controlled(**control: Any) -> Act:
    """Set the stand-in so."""

    def act(rig: Rig, plan: Plan) -> None:
        rig.world.set(**control)

    return act


def plug(rig: Rig, plan: Plan) -> None:
    rig.world.plug()


def unplug(rig: Rig, plan: Plan) -> None:
    rig.world.unplug()


def plug_without_firmware(rig: Rig, plan: Plan) -> None:
    rig.world.set(dfu_ms=1500)
    rig.world.plug(firmware=False)


def kill_child(rig: Rig, plan: Plan) -> None:
    os.kill(rig.child, signal.SIGKILL)


def abort_idle(rig: Rig, plan: Plan) -> float:
    """The camera is held, so nothing is under way; it goes on once the loss was noticed all the same."""
    rig.camera.seen.clear()
    time.sleep(STEADY)
    struck = time.monotonic()
    rig.world.set(fault="abort_idle")
    rig.wait_until(lambda: rig.detector.info.device == "cpu", "sign that the loss was noticed")
    rig.camera.seen.set()
    return struck


def open_slowly(rig: Rig, plan: Plan) -> None:
    rig.world.set(open_ms=1000 * plan.slow_open)
    rig.world.plug()


def until_given_up_on(rig: Rig, plan: Plan) -> None:
    """Until it has failed so often that edgecam waits longest before it tries again, just after the last time."""
    rig.wait_until(lambda: sum(entry["event"] == "fault" for entry in rig.world.log()) >= 4, "fourth failure")
    time.sleep(STEADY)


def wait_until_open(rig: Rig, plan: Plan) -> float:
    return float(rig.world.wait_for(timeout=60.0, event="open", fine=True)["time"])


def until_killed(rig: Rig, plan: Plan) -> None:
    """A process that hangs is not released: the stand-in must hang until edgecam has given it up."""
    rig.wait_until(lambda: "not ready after" in rig.detector.info.degraded, "end of the opening")


_LOCKER = (
    "import fcntl, os, sys\n"
    "lock = open(sys.argv[1], 'w')\n"
    "fcntl.flock(lock, fcntl.LOCK_EX)\n"
    "print(os.getpid(), file=lock, flush=True)\n"
    "print('ready', flush=True)\n"
    "sys.stdin.read()\n"
)
_LAUNCHER = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True)"


class Strangers:
    """Processes that are not edgecam's and no descendants of it; each ends when this one does, or by `dismiss`."""

    def __init__(self) -> None:
        self._launched: list[tuple[subprocess.Popen[str], int]] = []

    def launch(self, *command: str) -> None:
        """Start one and wait until it is ready: it is an orphan then."""
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        self._launched.append((process, int(process.stdout.readline())))
        assert any(line == "ready\n" for line in process.stdout)
        process.wait()

    def dismiss(self) -> None:
        """Kill them all."""
        while self._launched:
            process, pid = self._launched.pop()
            os.kill(pid, signal.SIGKILL)
            process.communicate()


strangers = Strangers()


def lock_away(rig: Rig, plan: Plan) -> None:
    rig.world.plug()
    strangers.launch("-c", _LOCKER, str(lock_path(list_edge_tpus()[0])))


def steal(rig: Rig, plan: Plan) -> float:
    strangers.launch(str(USER), str(rig.world.library), "usb:0", str(rig.kit.pair.edgetpu))
    return float(rig.world.wait_for(event="abort", why="stolen")["time"])


def dismiss_strangers(rig: Rig, plan: Plan) -> None:
    strangers.dismiss()


def plugged_and(**control: Any) -> Act:
    """A stick from the start, and the stand-in set so."""

    def prepare(rig: Rig, plan: Plan) -> None:
        rig.world.set(**control)
        rig.world.plug()

    return prepare


FAULTS = (
    Fault("absent at start", clear=plug),
    Fault("busy: locked by another edgecam", prepare=lock_away, clear=dismiss_strangers),
    Fault("busy: refuses to open", prepare=plugged_and(open_fault="null"), clear=controlled(open_fault=None)),
    Fault("busy: stolen by another program", steal, clear=dismiss_strangers),
    Fault("error from invoke", controlled(fault="error"), clear=controlled(fault=None)),
    Fault("abort while idle", abort_idle, clear=controlled(fault=None)),
    Fault("abort in invoke", controlled(fault="abort"), clear=controlled(fault=None)),
    Fault("segfault", controlled(fault="segv"), clear=controlled(fault=None)),
    Fault("hang in invoke", controlled(fault="hang"), clear=controlled(fault=None)),
    Fault("hang in open", prepare=plugged_and(open_fault="hang"), last=until_killed, clear=controlled(open_fault=None)),
    Fault("slow open", prepare=open_slowly, last=nothing, clear=wait_until_open),
    Fault("unplug and replug", unplug, clear=plug),
    Fault("replug without firmware", unplug, clear=plug_without_firmware),
    Fault(
        "aborts over and over, opens in 3 s",
        controlled(fault="abort", open_ms=3000),
        last=until_given_up_on,
        clear=controlled(fault=None),
    ),
    Fault("child killed", kill_child, last=nothing),
    Fault("old-ABI libedgetpu", prepare=plugged_and(old_abi=1), clear=controlled(old_abi=None)),
)


@dataclass(frozen=True, slots=True)
class Record:
    """One run. `to_cpu`: seconds from the strike, or from the start, to the CPU's first analysis; `back`: from the
    mending to the Edge TPU's first; `gone`: from the death of edgecam to the end of the last process of its. None where
    that was not measured. `trouble`: why the run did not get through, "" where it did.
    """

    name: str
    outage: float
    to_cpu: float | None = None
    back: float | None = None
    gone: float | None = None
    tally: Tally | None = None
    trouble: str = ""

    def problems(self, leeway: float = 1.0) -> list[str]:
        """What should not be; the limits of time are multiplied by `leeway`."""
        timed = (("to the CPU", self.to_cpu, TO_CPU), ("back", self.back, BACK), ("until all is gone", self.gone, GONE))
        late = [
            f"{seconds:.2f} s {what}, {limit * leeway:g} allowed"
            for what, seconds, limit in timed
            if seconds is not None and seconds > limit * leeway
        ]
        return [text for text in (self.trouble, *late) if text] + (self.tally.problems() if self.tally else [])


def run(fault: Fault, kit: Kit, folder: Path, plan: Plan) -> Record:
    """Do it to an edgecam in a new world in `folder`. The process should do nothing else."""
    world = kit.world(folder)
    with lived_in(world):
        rig = Rig(kit, world, options=ProcessOptions(open_timeout=plan.open_timeout))
        times: tuple[float | None, float | None] = (None, None)
        trouble = ""
        try:
            times = _drive(fault, rig, plan)
        except TimeoutError as error:
            trouble = str(error)
        finally:
            strangers.dismiss()
            tally = rig.stop()
        return Record(fault.name, plan.outage, *times, tally=tally, trouble=trouble)


def _drive(fault: Fault, rig: Rig, plan: Plan) -> tuple[float, float]:
    """From the start to the Edge TPU at work after the fault; seconds to the CPU, and back."""
    fault.prepare(rig, plan)
    if fault.strike:
        rig.world.plug()
    rig.start()
    struck = rig.started
    if fault.strike:
        rig.wait_for(STICK, struck)
        time.sleep(STEADY)
        now = time.monotonic()
        struck = fault.strike(rig, plan) or now
    on_cpu = rig.wait_for("cpu", struck)
    fault.last(rig, plan)
    now = struck if fault.clear is nothing else time.monotonic()
    mended = fault.clear(rig, plan) or now
    back = rig.wait_for(STICK, on_cpu)
    rig.finish_walk()
    return on_cpu - struck, back - mended
