"""The service as systemd has it: started, waited for, and gone back to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edgecam.errors import EdgecamError
from edgecam.installation.host import Host
from edgecam.installation.layout import CURRENT, UNIT_NAME
from edgecam.installation.plan import Shortcoming, Step, Unfinished
from edgecam.installation.releases import Target, name_in_use

_ASKED = ("ActiveState", "SubState", "Result", "StatusText", "MainPID", "NRestarts", "ExecMainStatus")
_PAUSE = 0.5
#: It has to stay ready so long, in seconds.
_SETTLED = 2.0
#: A start that systemd has taken on begins within this time.
_BEGUN = 10.0
#: Longest time of a systemctl that waits for nothing but systemd; a stop may take as long as clips need.
_SHORT, _STOPPED = 30.0, 150.0
_JOURNAL_LINES = 12


class Readiness(Enum):
    """How a start went."""

    READY = "is ready"
    #: Alive, but not ready in time: a camera that is not there, say.
    WAITING = "is not ready yet"
    FAILED = "does not run"


@dataclass(frozen=True)
class Service:
    """The unit on this machine."""

    host: Host

    def show(self) -> dict[str, str]:
        """What systemd knows of it; unknown units are inactive."""
        options = [word for name in _ASKED for word in ("-p", name)]
        said = self.host.require("systemctl", "show", UNIT_NAME, *options, timeout=_SHORT)
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def is_active(self) -> bool:
        """Whether it runs and is ready."""
        return self.show().get("ActiveState") == "active"

    def runs(self, release: str) -> bool:
        """Whether its process is of that release."""
        process = self.show().get("MainPID", "0")
        try:
            command = self.host.path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return command[0].startswith(str(self.host.path(f"/opt/edgecam/releases/{release}/")).encode())

    def stop(self) -> None:
        """Stop it; it finishes its clips. Raises EdgecamError."""
        self.host.require("systemctl", "stop", UNIT_NAME, timeout=_STOPPED)

    def start(self, limit: float) -> Readiness:
        """Stop it, start it, and wait until it is ready or has failed, at most `limit` seconds."""
        self.stop()
        self.host.run("systemctl", "reset-failed", UNIT_NAME, timeout=_SHORT)
        self.host.require("systemctl", "start", "--no-block", UNIT_NAME, timeout=_SHORT)
        begun = self.host.now()
        ready_since: float | None = None
        while (now := self.host.now()) < begun + limit:
            state = self.show()
            if _has_failed(state, now - begun):
                return Readiness.FAILED
            ready_since = (ready_since or now) if state.get("ActiveState") == "active" else None
            if ready_since is not None and now - ready_since >= _SETTLED:
                return Readiness.READY
            self.host.wait(_PAUSE)
        return Readiness.READY if ready_since is not None else Readiness.WAITING

    def explain(self) -> str:
        """What it says of itself, or how it ended."""
        state = self.show()
        if state.get("ActiveState") in {"active", "activating"} and state.get("StatusText"):
            return state["StatusText"]
        return f"{state.get('Result', 'unknown')}, exit code {state.get('ExecMainStatus', '?')}"

    def tell_journal(self) -> None:
        """The last lines of its log."""
        lines = ("--lines", str(_JOURNAL_LINES), "--no-pager", "--output", "cat")
        said = self.host.run("journalctl", "--unit", UNIT_NAME, *lines, timeout=_SHORT)
        for line in said.output.splitlines():
            self.host.tell(f"  {line}")


class Enable(Step):
    """Start with the machine."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def describe(self) -> str:
        return f"have {UNIT_NAME} start with the machine (systemctl enable)"

    def needed(self) -> bool:
        wanted_by = self._host.path("/etc/systemd/system/multi-user.target.wants")
        return not (wanted_by / UNIT_NAME).is_symlink()

    def do(self) -> None:
        self._host.require("systemctl", "enable", "--quiet", UNIT_NAME, timeout=_SHORT)

    def undo(self) -> None:
        self._host.require("systemctl", "disable", "--quiet", UNIT_NAME, timeout=_SHORT)


class StandReady(Step):
    """Know how to go back: when a later step fails, the release before is started again."""

    changes = False

    def __init__(self, target: Target, limit: float) -> None:
        self._target = target
        self._service = Service(target.host)
        self._limit = limit

    def describe(self) -> str:
        return f"stand ready to go back to {self._target.previous or 'the release before'}, which runs until then"

    def needed(self) -> bool:
        return self._target.previous not in {None, self._target.name}

    def do(self) -> None:
        """What is before is kept by the steps that change it."""

    def undo(self) -> None:
        tell, before = self._target.host.tell, name_in_use(self._target.host)
        if self._service.runs(str(before)) and self._service.is_active():
            tell(f"{before} was not touched: it runs")
            return
        tell(f"going back to {before}")
        readiness = self._service.start(self._limit)
        tell(f"{before} {readiness.value}: {self._service.explain()}")


class Start(Step):
    """Start the service with the new release, and wait until it is ready."""

    def __init__(self, target: Target, limit: float, *, changed: bool) -> None:
        self._target = target
        self._service = Service(target.host)
        self._limit = limit
        self._changed = changed
        self._was_ready = False

    def describe(self) -> str:
        return f"start {UNIT_NAME} and wait until it has analysed a frame (at most {self._limit:g} s)"

    def needed(self) -> bool:
        return self._changed or not self._service.is_active() or not self._service.runs(self._target.name)

    def do(self) -> None:
        self._was_ready = self._service.is_active()
        readiness = self._service.start(self._limit)
        said = self._service.explain()
        if readiness is Readiness.READY:
            self._target.host.tell(f"ready: {said}")
            return
        self._service.tell_journal()
        message = f"edgecam {self._target.source.version} {readiness.value}: {said}"
        previous = self._target.previous
        if previous not in {None, self._target.name} and (readiness is Readiness.FAILED or self._was_ready):
            raise EdgecamError(f"{message}: {previous} is in use, as before")
        raise Unfinished(f"{message}: see `journalctl -u edgecam` and `edgecam doctor`")

    def undo(self) -> None:
        self._service.stop()


class CheckConfig(Step):
    """Have the new release read the configuration before anything is switched to it."""

    changes = False

    def __init__(self, target: Target, config: str) -> None:
        self._target = target
        self._config = config

    def describe(self) -> str:
        return f"check {self._config} with the new release"

    def needed(self) -> bool:
        return self._target.name != self._target.previous

    def do(self) -> None:
        host = self._target.host
        done = host.run(self._target.command(), "config", "check", "-c", str(host.path(self._config)), timeout=120.0)
        if done.code:
            for line in done.output.splitlines():
                host.tell(f"  {line}")
            message = f"{self._config}: edgecam {self._target.source.version} does not take it: mend it, then again"
            if self._target.previous:
                raise EdgecamError(f"{message}; {self._target.previous} is in use, as before")
            raise Unfinished(message)


class RunDoctor(Step):
    """Look at the whole machine once; what is found is told, and mended by its owner."""

    changes = False

    def __init__(self, host: Host) -> None:
        self._host = host

    def describe(self) -> str:
        return "look at the machine (edgecam doctor)"

    def do(self) -> None:
        done = self._host.run(str(self._host.path(f"{CURRENT}/bin/edgecam")), "doctor", timeout=300.0)
        for line in done.output.splitlines():
            self._host.tell(f"  {line}")
        if done.code:
            raise Shortcoming("the doctor found something to mend: see above, or `edgecam doctor`")


def _has_failed(state: dict[str, str], since_start: float) -> bool:
    """Its process ended: for good, or so that systemd starts it again."""
    active, sub = state.get("ActiveState"), state.get("SubState")
    restarted = state.get("NRestarts", "0") not in {"0", ""}
    idle = active == "inactive" and since_start > _BEGUN
    return active == "failed" or sub == "auto-restart" or restarted or idle
