"""`edgecam demo`: the whole job on the bundled clip, with the bundled model, scored against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecam import console
from edgecam.commands.options import JsonOption

OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the results go.")]
DisplayOption = Annotated[
    bool,
    typer.Option("--display", help="Show it, in a window or on the bare monitor. Keys: q quit, f full screen, space."),
]
SecondsOption = Annotated[
    float | None, typer.Option("--seconds", metavar="N", min=0.04, help="Only the first so many seconds of the clip.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    out: OutOption = Path("demo-out"),
    seconds: SecondsOption = None,
    display: DisplayOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run the bundled model on the bundled clip: no hardware, no network, no configuration."""
    from edgecam.clock import SystemClock
    from edgecam.demonstration import Demonstration
    from edgecam.sinks import screen

    shown_on = screen.create(fullscreen=False) if display else None
    demonstration = Demonstration(out, SystemClock(), shown_on, seconds=seconds)
    shown = 0
    with console.progress("demo", demonstration.frames) as advance:

        def tick(written: int) -> None:
            nonlocal shown
            advance(written - shown)
            shown = written

        summary = demonstration.run(tick)
    if as_json:
        console.emit_json(summary)
    else:
        console.emit_fields(summary)
        console.emit(f"\nLook at {out / 'annotated.mp4'}, {out / 'events.jsonl'} and {out / 'snapshots'}.")
