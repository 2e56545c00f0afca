"""`edgecam uninstall`: everything that was installed goes; configuration, data and user with --purge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from edgecam.installation import layout
from edgecam.installation.account import RemoveAccount
from edgecam.installation.files import Remove, RemoveEmptyFolder
from edgecam.installation.host import Host
from edgecam.installation.installing import alone, host_for, require_root
from edgecam.installation.packages import PurgePackages, added
from edgecam.installation.plan import Plan, Step
from edgecam.installation.service import Service

_SHORT = 60.0


class StopService(Step):
    """Stop it, finishing its clips, and have it not start any more."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def describe(self) -> str:
        return f"stop {layout.UNIT_NAME}, and have it not start with the machine"

    def needed(self) -> bool:
        return self._host.path(layout.UNIT).exists()

    def do(self) -> None:
        if self._host.has_systemd:
            Service(self._host).stop()
        self._host.run("systemctl", "disable", "--quiet", layout.UNIT_NAME, timeout=_SHORT)


class Follow(Step):
    """Commands after files are gone; they need not succeed."""

    def __init__(self, host: Host, *commands: tuple[str, ...]) -> None:
        self._host = host
        self._commands = commands

    def describe(self) -> str:
        return "run " + ", ".join(" ".join(command) for command in self._commands)

    def do(self) -> None:
        for command in self._commands:
            self._host.run(*command, timeout=_SHORT)


def uninstall(
    root: Path, tell: Callable[[str], None], show: Callable[[str], None], *, purge: bool, dry_run: bool
) -> int:
    """Take edgecam off; `show` takes the lines of a dry run. Returns the exit code. Raises EdgecamError, OSError."""
    return uninstall_from(host_for(root, tell), show, purge=purge, dry_run=dry_run)


def uninstall_from(host: Host, show: Callable[[str], None], *, purge: bool, dry_run: bool) -> int:
    """As `uninstall`, from that machine."""
    plan = Plan(list(steps(host, purge=purge)))
    if dry_run:
        for line in plan.lines():
            show(line)
        return 0
    require_root(host)
    kept = added(host)
    present = host.path(layout.HOME).exists()
    with alone(host):
        outcome = plan.carry_out(host.tell)
    for line in outcome.shortcomings:
        host.tell(f"left: {line}")
    host.tell("edgecam is removed" if present else "edgecam was not installed")
    if not purge:
        host.tell(f"kept: {layout.CONFIG_FOLDER}, {layout.DATA}, the user {layout.USER} (--purge removes them, too)")
        if kept:
            host.tell(f"kept: the packages that came with it: {' '.join(kept)}")
    return 0


def steps(host: Host, *, purge: bool) -> Iterator[Step]:
    """All steps; the program that runs may be in what is deleted last."""
    yield StopService(host)
    yield Remove(host, layout.UNIT, layout.RULES, layout.SYSUSERS, layout.COMMAND)
    yield RemoveEmptyFolder(host, str(Path(layout.SYSUSERS).parent))
    if host.has_systemd:
        yield Follow(host, ("systemctl", "daemon-reload"), ("systemctl", "reset-failed", layout.UNIT_NAME))
    if host.path("/run/udev/control").exists():
        yield Follow(host, ("udevadm", "control", "--reload"))
    yield RemoveEmptyFolder(host, layout.RUNTIME)
    if purge:
        if host.runner.has("apt-get"):
            yield PurgePackages(host)
        yield Remove(host, layout.CONFIG_FOLDER, layout.DATA, layout.RUNTIME, layout.DROP_INS, *_credentials(host))
        yield RemoveAccount(host)
    yield Remove(host, layout.HOME)


def _credentials(host: Host) -> Iterator[str]:
    for folder in layout.CREDENTIALS:
        yield from (f"{folder}/{file.name}" for file in sorted(host.path(folder).glob(f"{layout.USER}.*")))
