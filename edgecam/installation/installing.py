"""`edgecam install`: the steps of an installation, which is also the upgrade, in their order."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecam.errors import EdgecamError
from edgecam.installation import layout, source
from edgecam.installation.account import MakeAccount
from edgecam.installation.configuration import ShowNewKeys, WriteConfig
from edgecam.installation.coral import GetLibrary
from edgecam.installation.files import PlaceFile, PlaceLink
from edgecam.installation.host import Bystander, Host, Processes
from edgecam.installation.model_files import PullModel
from edgecam.installation.options import Options
from edgecam.installation.packages import Apt, InstallPackages
from edgecam.installation.plan import Plan, Step
from edgecam.installation.releases import MakeRelease, PruneReleases, Target
from edgecam.installation.service import CheckConfig, Enable, RunDoctor, StandReady, Start

Tell = Callable[[str], None]
_RELOAD_UDEV = (("udevadm", "control", "--reload"), ("udevadm", "trigger", "--subsystem-match=usb"))
_RELOAD_UNITS = (("systemctl", "daemon-reload"),)


def install(options: Options, tell: Tell, show: Tell) -> int:
    """Install or upgrade; `show` takes the lines of a dry run. Returns the exit code. Raises EdgecamError, OSError."""
    return install_on(host_for(options.root, tell), options, show, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))


def install_on(host: Host, options: Options, show: Tell, stamp: str) -> int:
    """As `install`, on that machine; `stamp` tells this release from others of its version."""
    come_from = source.WheelFile(options.wheel) if options.wheel else source.running()
    target = Target(host, come_from, stamp, options.python, options.offline)
    plan = Plan(list(steps(target, options)))
    if options.dry_run:
        for line in plan.lines():
            show(line)
        return 0
    require_root(host)
    with alone(host):
        outcome = plan.carry_out(host.tell)
    for line in (*outcome.shortcomings, *outcome.unfinished):
        host.tell(f"left to do: {line}")
    what = "is installed" if outcome.done else "was already installed, nothing was to be done"
    host.tell(f"edgecam {come_from.version} {what}{'' if not outcome.unfinished else ', but it is not ready'}")
    if not host.has_systemd:
        host.tell(f"systemd does not run here: start edgecam with `{layout.COMMAND} -v run`")
    return 1 if outcome.unfinished else 0


def steps(target: Target, options: Options) -> Iterator[Step]:
    """All steps; which of them are needed is asked one after the other, when the ones before are done."""
    host, come_from = target.host, target.source
    apt = Apt(host)
    has_apt = options.apt and host.runner.has("apt-get")
    default = come_from.require("config/edgecam.toml")
    if has_apt:
        yield InstallPackages(apt)
    yield MakeRelease(target)
    if has_apt and options.coral:
        yield GetLibrary(apt, options.offline)
    if host.runner.has("systemd-sysusers"):
        accounts = come_from.require("systemd/edgecam.sysusers")
        yield PlaceFile(host, layout.SYSUSERS, accounts)
        yield MakeAccount(host, accounts)
    udev = _RELOAD_UDEV if host.path("/run/udev/control").exists() else ()
    yield PlaceFile(host, layout.RULES, come_from.require("systemd/60-edgecam-edgetpu.rules"), udev)
    yield WriteConfig(target, default)
    yield CheckConfig(target, layout.CONFIG)
    yield from (PullModel(target, model) for model in options.models)
    yield from switching(target, options)
    yield ShowNewKeys(target, default)
    yield PruneReleases(target)
    if host.has_systemd and options.start:
        yield RunDoctor(host)


def switching(target: Target, options: Options) -> Iterator[Step]:
    """From the release before to this one; a failure in here goes back to it."""
    host = target.host
    starts = host.has_systemd and options.start
    unit = PlaceFile(
        host,
        layout.UNIT,
        target.source.require(f"systemd/{layout.UNIT_NAME}"),
        _RELOAD_UNITS if host.has_systemd else (),
    )
    changed = unit.needed()
    yield PlaceLink(host, layout.COMMAND, f"{layout.CURRENT}/bin/edgecam")
    if starts:
        yield StandReady(target, options.ready_within)
    yield unit
    yield PlaceLink(host, layout.CURRENT, f"releases/{target.name}")
    if host.runner.has("systemctl"):
        yield Enable(host)
    if starts:
        yield Start(target, options.ready_within, changed=changed)


def host_for(root: Path, tell: Tell) -> Host:
    """The machine itself, or a folder that stands for one."""
    whole = root.resolve() == Path("/")
    runner = Processes()
    return Host(Path("/") if whole else root.resolve(), tell, runner if whole else Bystander(tell, runner))


def require_root(host: Host) -> None:
    """Raises EdgecamError where the machine is to be changed by somebody who may not."""
    if host.is_whole and os.geteuid() != 0:
        raise EdgecamError(
            "this changes the whole machine: run it as root, with sudo (--dry-run shows what it would do)"
        )
    os.umask(0o022)


@contextmanager
def alone(host: Host) -> Iterator[None]:
    """Only one installation at a time. Raises EdgecamError where another one runs."""
    file = host.path(layout.LOCK)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EdgecamError("another installation of edgecam runs: wait for its end") from None
        yield
