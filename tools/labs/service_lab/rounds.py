"""The rounds by their names."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from service_lab import configuring, examining, hanging, installing, keeping_secrets, starting, upgrading
from service_lab.outcome import Outcome
from service_lab.stage import Stage

ROUNDS: dict[str, Callable[[Stage, Outcome], None]] = {
    "install": installing.install,
    "start": starting.start_times,
    "doctor": examining.doctor,
    "hangs": hanging.hangs,
    "configuration": configuring.configuration,
    "secrets": keeping_secrets.secrets,
    "upgrade": upgrading.upgrade,
    "uninstall": upgrading.uninstall,
}
SHORT = ["install", "doctor", "uninstall"]


def play(name: str, stage: Stage) -> Outcome:
    """One round."""
    outcome = Outcome(name, stage.suite)
    if name != "install" and stage.installed is None:
        outcome.expect(stage.installed, "edgecam is not installed: see the install round")
        return outcome
    try:
        ROUNDS[name](stage, outcome)
    except (OSError, ValueError, LookupError, subprocess.SubprocessError) as error:
        outcome.expect(not error, f"the round broke off: {type(error).__name__}: {error}")
    return outcome
