"""What becomes of the detector process when edgecam itself is killed, whatever it is doing then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgecam.journal import Journal
from edgecam.ports import Sink
from edgecam.types import Event
from edgetpu.faults import Record
from edgetpu.kit import PATIENCE, Kit, lived_in
from edgetpu.measuring import inhabitants, wait_until
from edgetpu.rig import JOURNAL, Rig
from edgetpu.standin import StandIn

#: When it is killed: what the stand-in does, and what its log tells by then. While it opens libedgetpu holds the GIL;
#: with exec=model there is a grandchild, the model's runner.
MOMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "parent killed at work": ({"exec": "model"}, "invoke"),
    "parent killed while it opens": ({"open_fault": "hang"}, "fault"),
    "parent killed in a hanging invoke": ({"fault": "hang", "fault_after": 60}, "fault"),
}


class TellingSink(Sink):
    """Writes the id of each event to stdout; it stands behind the journal, where the event is by then."""

    def publish(self, event: Event) -> None:
        os.write(1, f"{event.event_id}\n".encode())


def live(kit: Kit, folder: Path) -> None:
    """Be the edgecam that is going to be killed."""
    world = StandIn(folder, kit.library)
    with lived_in(world):
        Rig(kit, world, sinks=[TellingSink()]).start()
        time.sleep(PATIENCE)


def run(name: str, kit: Kit, folder: Path) -> Record:
    """Kill one at that moment, with an event under way; `gone` is how long the last process of its outlives it."""
    world = kit.world(folder)
    control, sign = MOMENTS[name]
    world.set(**control)
    world.plug()
    order = {"kit": str(kit.folder), "library": str(kit.library), "folder": str(folder), "run": "live"}
    command = [sys.executable, "-m", "edgetpu.one_run", json.dumps(order)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = process.stdout.readline()
        world.wait_for(event=sign)
        alive = inhabitants(folder)
        process.kill()
        killed = time.monotonic()
        told += process.stdout.read()
    gone = wait_until(lambda: not inhabitants(folder), PATIENCE, lambda: f"{inhabitants(folder)} live on") - killed
    return Record(name, 0.0, gone=gone, trouble=_trouble(told.split(), alive, folder, control))


def _trouble(told: list[str], alive: list[int], folder: Path, control: dict[str, Any]) -> str:
    """What is wrong with a run: nothing was there to be gone, or an event was lost that was told of."""
    expected = 2 if control.get("exec") == "model" else 1
    with Journal(folder / JOURNAL, read_only=True) as journal:
        kept = {document["id"] for document in journal.events()}
    missing = set(told) - kept
    if len(alive) != expected or not told:
        return f"{len(alive)} processes instead of {expected}, {len(told)} events told: this run shows nothing"
    return f"{len(missing)} of {len(set(told))} events are not in the journal" if missing else ""
