"""A bad configuration, a service that ends at once over and over, a machine that boots again."""

from __future__ import annotations

import time
from functools import partial

from service_lab.container import UNIT, Container
from service_lab.hanging import span
from service_lab.outcome import Outcome
from service_lab.stage import CONFIGURATION, Stage, start

BAD_CONFIGURATION = 78


def configuration(stage: Stage, outcome: Outcome) -> None:
    """All of it, in one container."""
    with stage.machine("configuration") as container:
        stage.configure(container)
        _reload(stage, container, outcome)
        _refused(stage, container, outcome)
        _limited(container, outcome)
        _booted_again(stage, container, outcome)


def _reload(stage: Stage, container: Container, outcome: Outcome) -> None:
    """SIGHUP: a bad file keeps the running one, a good one is taken; the process stays."""
    if not outcome.expect(start(container), f"did not start: {container.said()[-6:]}"):
        return
    process = container.show("MainPID")
    for name, more in {"bad": "[events]\nthreshold = 7\n", "good": "[events]\nthreshold = 0.6\n"}.items():
        since = time.time()
        stage.configure(container, more)
        container.run(f"systemctl reload {UNIT}")
        told = container.until(partial(_about_configuration, container, since), 10)
        lines = _about_configuration(container, since)
        outcome.note(f"reload, {name} file", lines[0] if lines else "nothing said")
        outcome.expect(told is not None, f"reload with a {name} file: the journal says nothing of it")
        outcome.expect(container.show("MainPID") == process, f"reload with a {name} file: another process")
        outcome.expect(container.is_active(), f"reload with a {name} file: not running any more")
    container.run(f"systemctl stop {UNIT}", limit=120)


def _about_configuration(container: Container, since: float) -> list[str]:
    words = ("threshold", "configuration", CONFIGURATION)
    return [line for line in container.said(since) if any(word in line for word in words)]


def _refused(stage: Stage, container: Container, outcome: Outcome) -> None:
    """Exit 78, no other try, the complaint in the journal."""
    stage.configure(container, "[events]\nthreshold = 7\n")
    since = time.time()
    failed = start(container) is None
    time.sleep(8)  # a restart would come in this time
    shown = container.show("ExecMainStatus", "NRestarts", "ActiveState", "Result", "RestartUSec")
    outcome.note("bad configuration", ", ".join(f"{name}={value}" for name, value in shown.items()))
    outcome.expect(failed, "systemctl start did not fail")
    outcome.expect(shown["ExecMainStatus"] == str(BAD_CONFIGURATION), f"exit {shown['ExecMainStatus']}, not 78")
    outcome.expect(shown["NRestarts"] == "0" and shown["ActiveState"] == "failed", f"tried again: {shown}")
    complaint = [line for line in container.said(since) if "threshold" in line]
    outcome.note("in the journal", complaint[0] if complaint else "nothing about it")
    outcome.expect(complaint, f"the complaint is not in the journal: {container.said(since)[-5:]}")
    stage.configure(container)


def _limited(container: Container, outcome: Outcome) -> None:
    """Something that ends at once is started a few times, then no more."""
    drop_in = f"/etc/systemd/system/{UNIT}.d/lab.conf"
    container.disk.write(drop_in, "[Service]\nExecStart=\nExecStart=/bin/false\n")
    container.run(f"systemctl daemon-reload; systemctl reset-failed {UNIT}; systemctl start --no-block {UNIT}")
    shown = container.show("RestartUSec", "StartLimitBurst", "StartLimitIntervalUSec")
    limit = span(shown["StartLimitIntervalUSec"]) + 60
    settled = container.until(lambda: container.show("ActiveState")["ActiveState"] == "failed", limit)
    counted = container.show("NRestarts", "Result")["NRestarts"]
    outcome.note("crash loop", f"{counted} restarts; left alone after {settled or limit:.0f} s")
    outcome.note("its limits", ", ".join(f"{name}={value}" for name, value in shown.items()))
    outcome.expect(settled is not None, f"a crash loop is not limited: {counted} restarts in {limit:g} s")
    (container.disk.root / drop_in.lstrip("/")).unlink()
    container.run(f"systemctl daemon-reload; systemctl reset-failed {UNIT}")


def _booted_again(stage: Stage, container: Container, outcome: Outcome) -> None:
    """The machine boots again: the service is there by itself."""
    stage.configure(container)
    container.reboot()
    ready = container.until(container.is_active, 60)
    outcome.note("booted again", f"{container.boot_time:.1f} s, ready {ready or 60:.1f} s later")
    outcome.expect(ready is not None, f"not running after a reboot: {container.said()[-6:]}")
    outcome.expect(container.show("NRestarts")["NRestarts"] == "0", "it needed more than one try after the reboot")
