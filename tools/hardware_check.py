#!/usr/bin/env python3
"""Measures edgecam on this machine, with the Edge TPUs, cameras and monitor that it has, and writes one report.

Run it as tools/hardware-check, which sets up what it needs. It leaves hardware-report-DATE-HOST with report.md and
report.json (docs/hardware.md says where to send it). Nothing that a camera saw is kept. Exit 0: every step that could
run ran; 1: one failed or was stopped; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from hardware_report import machine
from hardware_report.privacy import Private
from hardware_report.product import CHECKOUT
from hardware_report.steps import ALONE, KINDS, Step, Workbench
from hardware_report.values import FULL, QUICK, Outcome, State
from hardware_report.writing import Report, new_folder, write
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

MARKS = {State.OK: "green", State.ABSENT: "yellow", State.FAILED: "red", State.STOPPED: "red"}


class Check:
    """Performs steps one after the other and keeps the report up to date with each."""

    def __init__(self, options: argparse.Namespace, folder: Path, started: datetime, screen: Console) -> None:
        self.outcomes: list[Outcome] = []
        self._options = options
        self._folder = folder
        self._started = started
        self._screen = screen
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        shown = (*columns, TimeElapsedColumn())
        self._bar = Progress(*shown, console=screen, transient=True, disable=not screen.is_terminal)
        self._task = self._bar.add_task("")

    @property
    def report(self) -> Report:
        """All that was done so far."""
        from edgecam import __version__

        stand_in = "EDGECAM_HOST_ROOT" in os.environ
        return Report(self._started, __version__, commit(), told(self._options), stand_in, tuple(self.outcomes))

    def run(self, scratch: Path) -> None:
        """All steps that the options ask for. Raises OSError where the report cannot be written."""
        options = self._options
        private = Private.of_this_machine(CHECKOUT, scratch)
        bench = Workbench(QUICK if options.quick else FULL, scratch, private, self._ask, tuple(machine.monitors()))
        with self._bar:
            self._perform(bench.first(pull=options.pull), unseen=not set(options.only) <= ALONE)
            self._perform(list(bench.rest(bench.inventory, interactive=options.interactive)))

    def _perform(self, steps: Iterable[Step], *, unseen: bool = False) -> None:
        """Those of the kinds asked for; with `unseen` also those that look for devices, which are not told then."""
        wanted = [step for step in steps if step.kind in self._options.only]
        ahead = [step for step in steps if step in wanted or (unseen and step.kind not in ALONE)]
        done = len(self.outcomes)
        self._bar.update(self._task, total=done + len(ahead), completed=done)
        for step in ahead:
            self._bar.update(self._task, description=step.name)
            outcome = self._done(step)
            if step in wanted:
                self._keep(outcome)
            self._bar.advance(self._task)

    def _done(self, step: Step) -> Outcome:
        try:
            return step.perform()
        except KeyboardInterrupt:
            self._keep(Outcome(step.name, State.STOPPED, reason="stopped by hand"))
            raise

    def _keep(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        write(self.report, self._folder)
        told_of = escape(outcome.reason or outcome.brief)
        mark = f"[{MARKS[outcome.state]}]{outcome.state:8}[/]"
        self._screen.print(f"{mark} {escape(outcome.step)}: {told_of}", highlight=False)

    def _ask(self, text: str) -> None:
        self._bar.stop()
        self._screen.print(f"\n{escape(text)} [bold]Enter[/]", end=" ", highlight=False)
        sys.stdin.readline()
        self._bar.start()


def told(options: argparse.Namespace) -> list[str]:
    """The options that were given, for the report."""
    flags = [f"--{name}" for name in ("quick", "interactive", "pull") if getattr(options, name)]
    return flags + ([f"--only {kind}" for kind in options.only] if set(options.only) != set(KINDS) else [])


def commit() -> str:
    """The checkout's, shortened; "" where it is not known."""
    command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options; ends the program where they are wrong."""
    parser = argparse.ArgumentParser(
        prog="tools/hardware-check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few seconds for each measurement")
    parser.add_argument("--interactive", action="store_true", help="also unplug and replug things, by hand")
    parser.add_argument("--pull", action="store_true", help="fetch the published models first (9 MB, verified)")
    parser.add_argument("--only", action="append", metavar="STEP", choices=KINDS, help=", ".join(KINDS))
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where the report's folder is made")
    options = parser.parse_args(arguments)
    options.interactive |= "unplug" in (options.only or ())
    options.only = options.only or list(KINDS)
    if options.interactive and not sys.stdin.isatty():
        parser.error("--interactive: somebody has to answer; run it in a terminal")
    return options


def main() -> int:
    """Check, and return the exit code."""
    options = parsed()
    screen = Console(stderr=True, soft_wrap=True)
    started = datetime.now(UTC)
    interrupted = False
    try:
        folder = new_folder(options.out, started)
    except OSError as error:
        screen.print(f"hardware-check: {error}: give --out a folder that can be written to", markup=False)
        return 1
    check = Check(options, folder, started, screen)
    try:
        with tempfile.TemporaryDirectory(prefix="edgecam-check-", ignore_cleanup_errors=True) as scratch:
            check.run(Path(scratch))
    except OSError as error:
        screen.print(f"hardware-check: {error}", markup=False)
        return 1
    except KeyboardInterrupt:
        interrupted = True
        screen.print("stopped; what was done is kept", markup=False)
    print(folder)
    return 0 if check.report.complete and not interrupted else 1


if __name__ == "__main__":
    sys.exit(main())
