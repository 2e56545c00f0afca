"""A password in a credential of systemd's: used, shown nowhere; files with secrets that all can read are told."""

from __future__ import annotations

import json
import time

from service_lab import broker
from service_lab.container import UNIT, Container
from service_lab.outcome import Outcome
from service_lab.stage import PASSWORD_FILE, Stage, start

WRONG = "canary-wrong-5c80aa17e2"
_EDGECAM = "/usr/local/bin/edgecam"
#: Where a password could come out, and the command that shows it.
_PLACES = {
    "the journal of the whole machine": "journalctl --all --no-pager --output=export",
    "edgecam status": f"{_EDGECAM} status; {_EDGECAM} status --json",
    "edgecam config show": f"{_EDGECAM} config show; {_EDGECAM} config check",
    "edgecam doctor": f"{_EDGECAM} doctor --json",
    "edgecam mqtt topics": f"{_EDGECAM} mqtt topics",
    "systemctl": f"systemctl show {UNIT}; systemctl cat {UNIT}; systemctl status --full --no-pager {UNIT}",
    "the process": f"cd /proc/$(systemctl show {UNIT} -P MainPID) && cat environ cmdline | tr '\\0' '\\n'",
    "what it keeps": "find /var/lib/edgecam /run/edgecam -type f -exec cat {} +",
}


def secrets(stage: Stage, outcome: Outcome) -> None:
    """All of it, in one container."""
    with stage.machine("secrets") as container:
        container.disk.write("/root/password", broker.PASSWORD, 0o600)
        container.disk.write(
            f"/etc/systemd/system/{UNIT}.d/lab.conf", "[Service]\nLoadCredential=mqtt-password:/root/password\n"
        )
        stage.configure(container, password_file=False)
        container.run(f"rm {PASSWORD_FILE}; systemctl daemon-reload")
        with stage.listener(container, "secrets").listening() as listener:
            outcome.expect(start(container), f"did not start: {container.said()[-6:]}")
            used = container.until(listener.messages, 60)
            outcome.note("password from the credential", f"used: an event after {used:.0f} s" if used else "no event")
            outcome.expect(used is not None, f"no event came to the broker: {container.said()[-6:]}")
        _look(container, outcome, "running", broker.PASSWORD)
        _killed(container, outcome)
        _refused(container, outcome)
        _readable_by_all(stage, container, outcome)


def _look(container: Container, outcome: Outcome, when: str, password: str) -> None:
    for place, command in _PLACES.items():
        shown = container.run(command, limit=120)
        outcome.expect(password not in shown.stdout + shown.stderr, f"{when}: the password is in {place}")
    outcome.note(f"{when}: looked into", ", ".join(_PLACES))


def _killed(container: Container, outcome: Outcome) -> None:
    """As the watchdog kills it: with the tracebacks in the journal, and no core."""
    since = time.time()
    container.run(f"systemctl kill --kill-whom=main --signal=ABRT {UNIT}")
    back = container.until(lambda: container.is_active() and _restarted(container), 60)
    outcome.expect(back is not None, f"killed, and not running again: {container.said(since)[-6:]}")
    trace = [line for line in container.said(since) if "File " in line and ", line " in line]
    outcome.note("killed: lines of traceback in the journal", len(trace))
    outcome.expect(trace, "SIGABRT left no traceback in the journal")
    limit = container.run("grep 'core file' /proc/$(systemctl show edgecam.service -P MainPID)/limits").stdout
    cores = container.run("find / -xdev -name 'core*' -type f -size +100k -newer /root/password").stdout.split()
    outcome.note("core file size", " ".join(limit.split()[4:6]))
    outcome.note("core files", ", ".join(cores) or "none")
    outcome.expect(limit.split()[4:5] == ["0"] or limit.split()[5:6] == ["0"], "it may leave a core: set LimitCORE=0")
    _look(container, outcome, "killed", broker.PASSWORD)


def _restarted(container: Container) -> bool:
    return container.show("NRestarts")["NRestarts"] != "0"


def _refused(container: Container, outcome: Outcome) -> None:
    """A password that the broker does not take: said, without the password."""
    since = time.time()
    container.disk.write("/root/password", WRONG, 0o600)
    container.run(f"systemctl restart {UNIT}", limit=180)
    wanted = ("refuse", "authoris", "authoriz", "password", "not allowed")
    said = container.until(lambda: [line for line in container.said(since) if any(word in line for word in wanted)], 30)
    lines = [line for line in container.said(since) if any(word in line for word in wanted)]
    outcome.note("wrong password", lines[0] if lines else "nothing said")
    outcome.expect(said is not None, f"a wrong password is not told: {container.said(since)[-6:]}")
    _look(container, outcome, "refused", WRONG)


def _readable_by_all(stage: Stage, container: Container, outcome: Outcome) -> None:
    """The password in a file that every user may read: the log and the doctor warn, and name it."""
    stage.configure(container)
    container.run(f"rm /etc/systemd/system/{UNIT}.d/lab.conf; systemctl daemon-reload; chmod 0644 {PASSWORD_FILE}")
    since = time.time()
    container.run(f"systemctl restart {UNIT}", limit=180)
    told = [line for line in container.said(since) if PASSWORD_FILE in line]
    outcome.note("readable by all, journal", told[0] if told else "nothing said")
    outcome.expect(told, "the journal does not warn of a password that everyone may read")
    done = container.run(f"{_EDGECAM} doctor --json", limit=180)
    try:
        told = [one for one in _findings(done.stdout) if PASSWORD_FILE in one and '"ok"' not in one]
    except ValueError:
        told = []
    outcome.note("readable by all, doctor", told[0] if told else "nothing said")
    outcome.expect(told, "the doctor does not warn of a password that everyone may read")


def _findings(document: str) -> list[str]:
    told = json.loads(document)
    return [json.dumps(finding) for finding in (told["findings"] if isinstance(told, dict) else told)]
