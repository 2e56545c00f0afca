"""From a bare Debian to events at a broker: one command, and `systemctl start`."""

from __future__ import annotations

import json
import re
import time

from service_lab.container import UNIT, Container
from service_lab.image import REPOSITORY
from service_lab.outcome import Outcome
from service_lab.stage import CHECKOUT, CONFIGURATION, INSTALL_LIMIT, Stage, start
from service_lab.tree import Inventory

EXPOSURE = 1.5
"""The most that `systemd-analyze security` may say."""
EXPLAINED = REPOSITORY / "docs" / "service.md"
_NEGLIGIBLE = 0.05


def install(stage: Stage, outcome: Outcome) -> None:
    """The bare machine, the command, then the owner's configuration and a start."""
    with stage.machine("install", bare=True) as container:
        outcome.note("container up", f"{container.boot_time:.2f} s")
        stage.bare = Inventory.of(container)
        began = time.monotonic()
        done = container.run(f"cd {CHECKOUT} && tools/install", limit=INSTALL_LIMIT)
        outcome.note("tools/install", f"exit {done.returncode}, {time.monotonic() - began:.1f} s")
        if not outcome.expect(done.returncode == 0, f"tools/install: {_last_lines(done.stdout + done.stderr)}"):
            outcome.expect(container.is_active(), f"not running: {container.said()[-10:]}")
            return
        outcome.expect(container.is_active(), f"not running after the installation: {container.said()[-6:]}")
        outcome.note("status after the installation", container.show("StatusText").get("StatusText"))
        outcome.note("on the disk", container.run("du -shx /opt/edgecam").stdout.split("\t")[0])
        _no_compiler(container, outcome)
        _again(container, outcome)
        _unit(container, outcome)
        container.run(f"systemctl stop {UNIT}")
        stage.configure(container)
        _watched(stage, container, outcome)
        container.run(f"systemctl stop {UNIT}", limit=120)
        stage.installed = container.disk.changes


def _watched(stage: Stage, container: Container, outcome: Outcome) -> None:
    """Start it with the owner's configuration: ready, and events at the broker."""
    with stage.listener(container, "install").listening() as listener:
        took = start(container)
        outcome.note("systemctl start to ready", f"{took:.2f} s" if took else "failed")
        if not outcome.expect(took, f"did not start: {container.said()[-6:]}"):
            return
        first = container.until(listener.messages, 60)
        outcome.note("first event at the broker", f"{first:.1f} s after ready" if first is not None else "none in 60 s")
        outcome.expect(first is not None, f"no event came to the broker: {container.said()[-6:]}")
        container.until(lambda: any("end" in kinds for kinds in listener.kinds().values()), 60)
        whole = [event for event, kinds in listener.kinds().items() if {"new", "end"} <= kinds]
        outcome.note("events", f"{len(listener.kinds())}, {len(whole)} of them from new to end")
        outcome.expect(whole, "no event came to its end in 60 s")
        outcome.note("status", container.show("StatusText").get("StatusText"))
        began = time.monotonic()
        stopped = container.run(f"systemctl stop {UNIT}", limit=180)
        outcome.note("systemctl stop", f"{time.monotonic() - began:.2f} s")
        result = container.show("Result", "ExecMainStatus")
        outcome.expect(stopped.returncode == 0 and result.get("Result") == "success", f"stop: {result}")
        container.until(lambda: all("end" in kinds for kinds in listener.kinds().values()), 10)
        still_open = [event for event, kinds in listener.kinds().items() if "end" not in kinds]
        outcome.expect(not still_open, f"events without an end after the stop: {still_open}")


def _again(container: Container, outcome: Outcome) -> None:
    """Once more: nothing to do, the configuration untouched, the service running."""
    before = container.run(f"cat {CONFIGURATION}").stdout
    began = time.monotonic()
    done = container.run(f"cd {CHECKOUT} && tools/install", limit=INSTALL_LIMIT)
    outcome.note("tools/install again", f"exit {done.returncode}, {time.monotonic() - began:.1f} s")
    outcome.expect(done.returncode == 0, f"tools/install again: {_last_lines(done.stdout + done.stderr)}")
    outcome.expect(container.run(f"cat {CONFIGURATION}").stdout == before, "the configuration was changed")
    outcome.expect(container.is_active(), "not running after the second installation")


def _no_compiler(container: Container, outcome: Outcome) -> None:
    found = container.run("command -v cc gcc g++ make").stdout.split()
    outcome.expect(not found, f"the installation brought a compiler: {found}")


def _unit(container: Container, outcome: Outcome) -> None:
    """What systemd says of the unit: nothing to complain of, and how exposed it is."""
    done = container.run(f"systemd-analyze verify --man=no /etc/systemd/system/{UNIT}")
    said = done.stdout + done.stderr
    outcome.note("systemd-analyze verify", said.strip() or "clean")
    outcome.expect(done.returncode == 0 and not said.strip(), f"systemd-analyze verify: {said.strip()}")
    found = container.run(f"systemd-analyze security --no-pager {UNIT}").stdout
    level = re.search(r"exposure level for \S+: ([\d.]+)", found)
    outcome.note("systemd-analyze security", level[1] if level else found[-200:])
    outcome.expect(level and float(level[1]) <= EXPOSURE, f"exposure above {EXPOSURE}")
    table = container.run(f"systemd-analyze security --no-pager --json=short {UNIT}").stdout
    left = {row["name"]: float(row["exposure"]) for row in json.loads(table or "[]") if _is_open(row)}
    outcome.note("left open", ", ".join(f"{name} {exposure:g}" for name, exposure in left.items()))
    explained = EXPLAINED.read_text(encoding="utf-8") if EXPLAINED.is_file() else ""
    silent = [name for name in left if _word(name) not in explained]
    outcome.expect(not silent, f"{EXPLAINED.name} does not explain: {', '.join(silent)}")


def _is_open(row: dict[str, object]) -> bool:
    exposure = row.get("exposure")
    return not row.get("set") and exposure is not None and float(str(exposure)) >= _NEGLIGIBLE


def _word(name: str) -> str:
    """What a text would call a row such as "PrivateDevices=" or "RestrictAddressFamilies=~AF_(INET|INET6)"."""
    setting, _, value = name.partition("=")
    return value.lstrip("~").replace("(", "").partition("|")[0] if value.startswith("~") else setting


def _last_lines(said: str) -> str:
    return " / ".join([line for line in said.splitlines() if line.strip()][-8:])
