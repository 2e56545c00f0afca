"""Each worker hangs in turn: systemd restarts the service soon, the journal names the culprit, no event is lost."""

from __future__ import annotations

import json
import re
from pathlib import Path

from service_lab.broker import Listener
from service_lab.container import UNIT, Container
from service_lab.outcome import Outcome
from service_lab.stage import Stage, start

WORKERS = ("capture", "detect", "output", "publish")
BEYOND_WATCHDOG = 3.0
"""What a restart may take more than WatchdogSec, seconds."""
_FAULTS = "/opt/lab/faults.py"
_MICROSECONDS = 1_000_000
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def hangs(stage: Stage, outcome: Outcome) -> None:
    """One after the other, in one run of the container."""
    with stage.machine("hangs") as container:
        stage.configure(container)
        container.disk.write(_FAULTS, (Path(__file__).parent / "faults.py").read_text())
        container.disk.write(
            f"/etc/systemd/system/{UNIT}.d/lab.conf",
            f"[Service]\nExecStart=\nExecStart=/opt/edgecam/current/bin/python {_FAULTS} -v run\n",
        )
        container.run("systemctl daemon-reload")
        watchdog = span(container.run(f"systemctl show {UNIT} --property=WatchdogUSec --value").stdout.strip())
        outcome.note("WatchdogSec", f"{watchdog:g}")
        with stage.listener(container, "hangs").listening() as listener:
            if not outcome.expect(start(container), f"did not start: {container.said()[-6:]}"):
                return
            earlier = _in_the_journal(container) - set(listener.kinds())
            for worker in WORKERS[:1] if stage.short else WORKERS:
                _hang(container, listener, outcome, worker, watchdog)
            container.run(f"systemctl stop {UNIT}", limit=180)
            container.until(lambda: all("end" in kinds for kinds in listener.kinds().values()), 15)
            _nothing_lost(listener, _in_the_journal(container) - earlier, outcome)


def _hang(container: Container, listener: Listener, outcome: Outcome, worker: str, watchdog: float) -> None:
    """Once an event is under way, have the worker hang; then look at what systemd does."""
    known = set(listener.kinds())
    if not outcome.expect(container.until(lambda: set(listener.kinds()) - known, 60), f"{worker}: no event before it"):
        return
    since = float(container.run("date +%s.%N").stdout)
    before = container.show("ExecMainPID")["ExecMainPID"]
    container.run(f"touch /run/edgecam/hang-{worker}")
    replaced = container.until(lambda: _is_another(container, before), watchdog + 60)
    said = container.said(since)
    hung = next((float(found[1]) for line in said if (found := re.search(r"lab: hung \S+ at ([\d.]+)", line))), None)
    if not outcome.expect(hung is not None and replaced is not None, f"{worker}: not restarted: {said[-8:]}"):
        return
    assert hung is not None
    again = int(container.show("ExecMainStartTimestampMonotonic")["ExecMainStartTimestampMonotonic"]) / _MICROSECONDS
    ready = container.until(container.is_active, 60)
    took = again - hung
    outcome.note(f"{worker}: hung to started again", f"{took:.1f} s, ready {ready or 0:.1f} s later")
    limit = watchdog + BEYOND_WATCHDOG
    outcome.expect(took <= limit, f"{worker}: restarted after {took:.1f} s, more than WatchdogSec + 3 = {limit:g} s")
    outcome.expect(ready is not None, f"{worker}: not ready again: {container.said(since)[-6:]}")
    naming = [line for line in said if worker in line and "lab: hung" not in line]
    outcome.note(f"{worker}: journal", naming[0] if naming else "does not name it")
    outcome.expect(naming, f"{worker}: the journal does not name the culprit: {said[-12:]}")
    outcome.expect(any("faults.py" in line for line in said), f"{worker}: no traceback shows where it hung")


def _is_another(container: Container, before: str) -> bool:
    return container.show("ExecMainPID")["ExecMainPID"] not in (before, "0")


def _in_the_journal(container: Container) -> set[str]:
    """The ids of the events that edgecam remembers."""
    listed = container.run("/opt/edgecam/current/bin/edgecam events list --json --limit 100000").stdout
    return {str(event["id"]) for event in json.loads(listed or "[]")}


def _nothing_lost(listener: Listener, kept: set[str], outcome: Outcome) -> None:
    """Every event that was told is in the journal, and came to an end; every one in the journal was told."""
    told = listener.kinds()
    outcome.note("events", f"{len(kept)} in the journal, {len(told)} at the broker")
    outcome.expect(not set(told) - kept, f"not in the journal: {sorted(set(told) - kept)}")
    outcome.expect(not kept - set(told), f"never at the broker: {sorted(kept - set(told))}")
    endless = sorted(event for event, kinds in told.items() if not {"new", "end"} <= kinds)
    outcome.expect(not endless, f"not whole at the broker: {endless}")


def span(text: str) -> float:
    """Seconds of a time as systemd writes it: "1min 30s"."""
    parts = re.findall(r"([\d.]+)(us|ms|s|min|h)\b", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
