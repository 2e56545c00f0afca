"""`edgecam doctor`: what is wrong with this machine, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edgecam import console
from edgecam.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption

if TYPE_CHECKING:
    from edgecam.doctor import Finding, Surroundings

_INDENT = 21


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("doctor")(doctor)


def doctor(
    config: ConfigOption = DEFAULT_CONFIG,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="This check; more than once for several (default: all)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at the cameras, the Edge TPU, the board, the disk, the broker and the service; say what to do.

    ok: as it should be; warn: works, but worse than it could; fail: does not work; skipped: not to be told here. Exits
    1 where anything fails. A running service is asked, never disturbed. With sudo it can tell more.
    """
    from edgecam.doctor import CHECKS, look
    from edgecam.doctor.examination import worst

    unknown = [name for name in only or () if name not in CHECKS]
    if unknown:
        raise typer.BadParameter(f"--only {unknown[0]}: there is {', '.join(CHECKS)}")
    names = [name for name in CHECKS if not only or name in only]
    here = look(config, named=config != DEFAULT_CONFIG)
    findings = list(_watched(here, names, shown=not as_json))
    state = worst(findings)
    counts = Counter(finding.state for finding in findings)
    if as_json:
        console.emit_json({"state": state, "findings": [asdict(finding) for finding in findings]})
    else:
        console.say(", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    if state == "fail":
        raise typer.Exit(1)


def _watched(here: Surroundings, names: Sequence[str], *, shown: bool) -> Iterator[Finding]:
    """The findings as they come, each shown at once."""
    from edgecam.doctor import examine

    with console.progress("looking", len(names)) as advance:
        for name in names:
            for finding in examine(here, name):
                if shown:
                    console.emit(lines_of(finding))
                yield finding
            advance(1)


def lines_of(finding: Finding) -> str:
    """A finding as it is read: its state, its check, what was seen; the remedy below."""
    first = f"{finding.state:8} {finding.check:12}{finding.detail}"
    return f"{first}\n{' ' * _INDENT}-> {finding.remedy}" if finding.remedy else first
