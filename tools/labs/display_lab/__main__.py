"""The display lab's command line; `tools/labs/display` is the one that sets up what it needs."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated

import cv2
import typer
from guest import Guest, LabFault
from image import CannotRun, prepare
from rich.console import Console
from rich.table import Table
from steps import Steps

CANNOT_RUN = 77
CACHE = Path(os.environ.get("EDGECAM_LABS_CACHE", Path.home() / ".cache/edgecam/labs")) / "display"
"""Two to three GB, on a disk and not in the repository."""

GROUPS = {
    "demo": ("demo", "boxes", "console"),
    "service": ("taken", "monitor", "unplugged", "stopped", "killed"),
    "camera": ("contract", "errors"),
}
"""What can be asked for alone, and its steps."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Row:
    """One step: what it did, whether that was right, what was seen, and the seconds it took."""

    step: str
    does: str
    right: bool
    seen: str
    seconds: float


@app.command()
def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(GROUPS)}; several may be given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write the best screendump of the demonstration here.")] = None,
) -> None:
    """edgecam on a bare monitor and on a V4L2 camera, in a Debian in QEMU, judged from outside."""
    if unknown := set(only or ()) - GROUPS.keys():
        raise typer.BadParameter(f"{', '.join(unknown)}: give of {', '.join(GROUPS)}", param_hint="--only")
    try:
        rows, steps, accelerator = _run([name for group in only or GROUPS for name in GROUPS[group]])
    except CannotRun as reason:
        print(f"display lab: it cannot run here: {reason}", file=sys.stderr)
        raise typer.Exit(CANNOT_RUN) from reason
    if picture and steps.picture is not None:
        cv2.imwrite(str(picture), steps.picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    if as_json:
        print(
            json.dumps({"accelerator": accelerator, "steps": [asdict(row) for row in rows], **steps.figures}, indent=1)
        )
    else:
        _print(rows)
    if not all(row.right for row in rows):
        raise typer.Exit(1)


def _run(names: list[str]) -> tuple[list[Row], Steps, str]:
    """Boot a guest and do the steps; one that fails does not hold up the others. Raises CannotRun."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        guest = Guest(prepare(CACHE, Path(folder)), Path(folder))
        steps = Steps(guest)
        try:
            rows = [_row("boot", "Debian with systemd", lambda: _booted(guest))]
            if rows[0].right:
                for name in names:
                    step = getattr(steps, name)
                    rows.append(_row(name, step.__doc__.strip(), step))
        finally:
            guest.stop()
        return rows, steps, guest.accelerator


def _booted(guest: Guest) -> str:
    guest.start()
    return f"{guest.accelerator.partition(',')[0]}, Linux {guest.must('uname -r').strip()}"


def _row(name: str, does: str, step: object) -> Row:
    started = monotonic()
    assert callable(step)
    try:
        seen, right = step(), True
    except (LabFault, OSError, LookupError, ValueError) as fault:
        seen, right = f"{type(fault).__name__}: {fault}", False
    row = Row(name, does, right, seen, round(monotonic() - started, 1))
    print(f"display lab: {name}: {'right' if right else 'WRONG'}: {seen}", file=sys.stderr, flush=True)
    return row


def _print(rows: list[Row]) -> None:
    table = Table("step", "", "what was done", "what was seen", "s")
    for row in rows:
        table.add_row(row.step, "right" if row.right else "WRONG", row.does, row.seen, f"{row.seconds:.0f}")
    Console(width=None if sys.stdout.isatty() else 160).print(table)


app()
