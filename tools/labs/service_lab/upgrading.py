"""From the commit before to this one with data and configuration kept; a broken version; off the machine again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from service_lab.container import UNIT, Container
from service_lab.image import REPOSITORY, copy_of_checkout
from service_lab.outcome import Outcome
from service_lab.stage import CHECKOUT, CONFIGURATION, INSTALL_LIMIT, Stage, start
from service_lab.tree import Inventory

PREVIOUS = os.environ.get("EDGECAM_LABS_PREVIOUS", "HEAD~1")
"""The commit that is upgraded from."""
_BROKEN = "/root/broken"
_EDGECAM = "/usr/local/bin/edgecam"
KEPT = ("/etc/edgecam", "/var/lib/edgecam", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")
"""What stays without --purge: configuration, data, the user."""


def upgrade(stage: Stage, outcome: Outcome) -> None:
    """Install the wheel of the commit before, run it, then this checkout, then one that does not start."""
    with stage.machine("upgrade", bare=True) as container:
        wheel = build_wheel(container.disk.root / "root" / "wheels", stage.folder / "previous", PREVIOUS)
        outcome.note("from", f"{PREVIOUS}: {described(PREVIOUS)}")
        done = container.run(f"cd {CHECKOUT} && tools/install --wheel /root/wheels/{wheel}", limit=INSTALL_LIMIT)
        if not outcome.expect(done.returncode == 0, f"the wheel before: {_tail(done)}"):
            return
        stage.configure(container)
        before = _some_events(stage, container, outcome)
        old, configured = _current(container), container.run(f"cat {CONFIGURATION}").stdout
        began = time.monotonic()
        done = container.run(f"cd {CHECKOUT} && tools/install", limit=INSTALL_LIMIT)
        outcome.note("upgrade", f"exit {done.returncode}, {time.monotonic() - began:.1f} s")
        outcome.expect(done.returncode == 0 and container.is_active(), f"upgrade: {_tail(done)}")
        new = _current(container)
        outcome.note("releases", container.run("ls /opt/edgecam/releases").stdout.split())
        outcome.expect(new != old, "`current` is still the release before")
        outcome.expect(container.run(f"test -d {old}").returncode == 0, "the release before is gone")
        outcome.expect(container.run(f"cat {CONFIGURATION}").stdout == configured, "the configuration was changed")
        after = _events(container)
        outcome.note("events", f"{len(before)} before, {len(before & after)} of them after")
        outcome.expect(before <= after, "events are gone")
        _broken(container, outcome, new)


def _broken(container: Container, outcome: Outcome, good: str) -> None:
    """A version that cannot run: the one before is put back by itself, and that is said."""
    container.run(f"cp -a {CHECKOUT} {_BROKEN}")
    module = container.disk.root / _BROKEN.lstrip("/") / "edgecam" / "app.py"
    module.write_text(module.read_text() + '\nraise RuntimeError("broken on purpose")\n')
    began = time.monotonic()
    done = container.run(f"cd {_BROKEN} && tools/install", limit=INSTALL_LIMIT)
    outcome.note("a broken version", f"exit {done.returncode}, {time.monotonic() - began:.1f} s: {_tail(done, 3)}")
    outcome.expect(done.returncode == 1, f"a broken version: exit {done.returncode}, not 1")
    outcome.expect(_current(container) == good, f"`current` is {_current(container)}, not {good}")
    back = container.until(container.is_active, 30)
    outcome.expect(back is not None, f"the version before does not run again: {container.said()[-6:]}")
    words = ("back", "before", "previous")
    told = done.stdout + done.stderr
    outcome.expect(any(word in told for word in words) and Path(good).name in told, "it does not say what it did")


def uninstall(stage: Stage, outcome: Outcome) -> None:
    """Without and with --purge; what is left is compared with the machine before edgecam."""
    assert stage.bare is not None
    with stage.machine("uninstall") as container:
        stage.configure(container)
        outcome.expect(start(container), f"did not start: {container.said()[-6:]}")
        done = container.run(f"{_EDGECAM} uninstall", limit=300)
        outcome.note("uninstall", f"exit {done.returncode}: {_tail(done, 2)}")
        outcome.expect(done.returncode == 0, f"uninstall: {_tail(done)}")
        left = Inventory.of(container)
        found = left.beside(stage.bare)
        outcome.note("left without --purge", ", ".join(found) or "nothing")
        strange = [line for line in found if not line[2:].startswith(KEPT)]
        outcome.expect(not strange, f"left without --purge: {', '.join(strange[:20])}")
        outcome.expect(f"+ {Path(CONFIGURATION).parent}" in found, "the configuration is gone without --purge")
        outcome.expect("+ /var/lib/edgecam" in found, "the data is gone without --purge")
        done = container.run(f"cd {CHECKOUT} && tools/install uninstall --purge", limit=300)
        outcome.note("uninstall --purge", f"exit {done.returncode}: {_tail(done, 2)}")
        outcome.expect(done.returncode == 0, f"uninstall --purge: {_tail(done)}")
        purged = Inventory.of(container)
        found = purged.beside(stage.bare)
        outcome.note("left with --purge", ", ".join(found) or "nothing")
        outcome.expect(not found, f"left with --purge: {', '.join(found[:20])}")
        packages = sorted(purged.packages - stage.bare.packages)
        outcome.note("packages of Debian's that stay", ", ".join(packages) or "none")
        outcome.expect(not packages, f"packages left with --purge: {', '.join(packages)}")


def build_wheel(target: Path, scratch: Path, commit: str) -> str:
    """The wheel of a commit, in a folder; its name."""
    copy_of_checkout(scratch, commit)
    target.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(scratch)]
    subprocess.run(pip, check=True, capture_output=True, timeout=300)
    return next(target.glob("edgecam-*.whl")).name


def described(commit: str) -> str:
    """A commit in a line."""
    shown = subprocess.run(
        ["git", "log", "-1", "--format=%h %s", commit], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    return shown.stdout.strip()


def _some_events(stage: Stage, container: Container, outcome: Outcome) -> set[str]:
    """Run until events came to their end, then stop; the ids in the journal."""
    with stage.listener(container, "upgrade").listening() as listener:
        container.run(f"systemctl restart {UNIT}", limit=180)
        ended = container.until(lambda: any("end" in kinds for kinds in listener.kinds().values()), 90)
        outcome.expect(ended is not None, f"no event with the version before: {container.said()[-6:]}")
    return _events(container)


def _events(container: Container) -> set[str]:
    listed = container.run(f"{_EDGECAM} events list --json --limit 100000").stdout
    return {str(event["id"]) for event in json.loads(listed or "[]")}


def _current(container: Container) -> str:
    return container.run("readlink -f /opt/edgecam/current").stdout.strip()


def _tail(done: subprocess.CompletedProcess[str], lines: int = 8) -> str:
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return " / ".join(said[-lines:])
