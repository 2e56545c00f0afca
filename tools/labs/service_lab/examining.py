"""`edgecam doctor` on a healthy machine: all ok, or left out for an honest reason; and it disturbs nothing."""

from __future__ import annotations

import json
import time

from service_lab.container import Container
from service_lab.outcome import Outcome
from service_lab.stage import Stage, start

#: What a container has not, so that a warning of it is right: no board, no Edge TPU, no clock daemon of its own.
MAY_WARN = ("clock",)


def doctor(stage: Stage, outcome: Outcome) -> None:
    """While the service runs."""
    with stage.machine("doctor") as container:
        stage.configure(container)
        if not outcome.expect(start(container), f"did not start: {container.said()[-6:]}"):
            return
        before, began = container.show("MainPID", "NRestarts"), time.monotonic()
        done = container.run("/usr/local/bin/edgecam doctor --json", limit=180)
        outcome.note("edgecam doctor", f"exit {done.returncode}, {time.monotonic() - began:.1f} s")
        try:
            told = json.loads(done.stdout)
        except ValueError:
            outcome.expect(not done.args, f"no JSON: {(done.stdout + done.stderr)[-300:]}")
            return
        findings = told["findings"] if isinstance(told, dict) else told
        states = [finding["state"] for finding in findings]
        outcome.note("findings", ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)))
        for finding in findings:
            if finding["state"] in ("warn", "fail"):
                outcome.note(f"{finding['state']}: {finding['check']}", f"{finding['detail']} | {finding['remedy']}")
            fine = finding["state"] in ("ok", "skipped") or (
                finding["state"] == "warn" and any(word in finding["check"] for word in MAY_WARN)
            )
            outcome.expect(fine, f"{finding['check']}: {finding['state']}: {finding['detail']}")
            outcome.expect(finding["detail"], f"{finding['check']}: {finding['state']} without a word")
        outcome.expect(findings, "no findings")
        outcome.expect(done.returncode == 0, f"exit {done.returncode}")
        outcome.expect(container.show("MainPID", "NRestarts") == before, "the service was disturbed")
        _status(container, outcome)


def _status(container: Container, outcome: Outcome) -> None:
    """`edgecam status` answers from the running service, and says how it is by its exit code."""
    for options in ("", " --json"):
        done = container.run(f"/usr/local/bin/edgecam status{options}", limit=30)
        outcome.note(f"edgecam status{options}", f"exit {done.returncode}, {len(done.stdout)} characters")
        outcome.expect(done.returncode == 0, f"edgecam status{options}: {(done.stdout + done.stderr)[-300:]}")
