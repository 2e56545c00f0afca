"""Whether the service is installed, runs, and is well."""

from __future__ import annotations

from collections.abc import Iterator

from edgecam.doctor.finding import Finding, fail, ok, skipped, warn
from edgecam.doctor.surroundings import AS_ROOT, UNIT, Service, Surroundings

BAD_CONFIG = "78"
"""The exit code after which systemd does not start it again."""
RELEASE = "opt/edgecam/current"
_JOURNAL = "`journalctl -u edgecam -e` says why"


def check_service(here: Surroundings) -> Iterator[Finding]:
    """Its unit is loaded, starts at boot and runs; and what the service says of itself."""
    service = here.service
    if not here.at("run/systemd/system").is_dir() or not service.unit:
        yield skipped("systemd does not run here")
    elif not service.installed:
        yield _missing(here)
    elif service.unit["LoadState"] != "loaded":
        yield _not_loaded(service)
    else:
        yield _activity(service)
        yield from _settings(service)
    if service.told:
        yield from _own_words(service)
    elif service.closed:
        yield skipped("what edgecam says of itself: this user may not ask", f"{AS_ROOT}, or join the group edgecam")
    elif service.running:
        yield warn("edgecam runs, but gives no answer at its status socket", _JOURNAL)


def _missing(here: Surroundings) -> Finding:
    remedy = "`sudo edgecam install`"
    if here.at(RELEASE).exists():
        return fail(f"{here.at(RELEASE)} is there, but {UNIT} is not", f"install it again: {remedy}")
    return skipped(f"{UNIT} is not installed", remedy)


def _not_loaded(service: Service) -> Finding:
    state = service.unit["LoadState"]
    if state == "masked":
        return fail(f"{UNIT} is masked", f"`sudo systemctl unmask {UNIT}`, then `sudo systemctl enable --now {UNIT}`")
    return fail(f"{UNIT} cannot be loaded ({state})", f"`systemd-analyze verify {UNIT}` names the line")


def _activity(service: Service) -> Finding:
    unit = service.unit
    state, text = unit.get("ActiveState", ""), unit.get("StatusText", "")
    exited = unit.get("ExecMainStatus") or "?"
    if unit.get("SubState") == "auto-restart":
        return fail(f"{UNIT} ends again and again (exit {exited})", _JOURNAL)
    if state == "failed" and exited == BAD_CONFIG:
        return fail(f"{UNIT} does not start: its configuration cannot be used", "`edgecam config check` names it")
    if state == "failed":
        return fail(f"{UNIT} has failed ({unit.get('Result') or 'no reason told'}, exit {exited})", _JOURNAL)
    if state == "inactive":
        return warn(f"{UNIT} is stopped", f"`sudo systemctl start {UNIT}`")
    told = f": {text}" if text else ""
    if state == "active":
        return _up(service, told)
    return warn(f"{UNIT} is {state}{told}", f"look again in a minute; {_JOURNAL}")


def _up(service: Service, told: str) -> Finding:
    restarts = int(service.unit.get("NRestarts") or 0)
    if restarts:
        return warn(f"{UNIT} runs, but was started again {restarts} times{told}", _JOURNAL)
    if told.startswith(": degraded") and not service.told:
        return warn(f"{UNIT} runs{told}", "`sudo edgecam status` shows more")
    return ok(f"{UNIT} runs{told}")


def _settings(service: Service) -> Iterator[Finding]:
    if service.unit.get("NeedDaemonReload") == "yes":
        yield warn(f"{UNIT} was changed on the disk", f"`sudo systemctl daemon-reload`, then restart {UNIT}")
    if service.unit.get("UnitFileState") == "disabled":
        yield warn(f"{UNIT} does not start at boot", f"`sudo systemctl enable {UNIT}`")


def _own_words(service: Service) -> Iterator[Finding]:
    """What it says over its socket."""
    status = service.told["status"]
    if status.get("status") == "ok":
        yield ok("edgecam says that it is well")
    for reason in status.get("reasons", ()):
        yield warn(f"edgecam says: {reason}", "`edgecam status` shows more")
