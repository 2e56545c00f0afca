#!/usr/bin/env python3
"""The MQTT lab's command line; `tools/labs/mqtt` is the one that sets up what it needs."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import mqtt_lab  # noqa: E402
import typer  # noqa: E402
from mqtt_broker import mosquitto  # noqa: E402

P50, P99 = 0.005, 0.025
"""What a message may take beyond inference, seconds."""
MEMORY_BYTES = 8_000_000
"""What a frozen broker may cost."""

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="A whole edgecam at a real broker.",
)
Folder = Annotated[Path | None, typer.Option(help="Where the journal lies: its disk is part of what is measured.")]


@app.callback()
def needs_a_broker() -> None:
    if mosquitto() is None:
        print("mqtt lab: it cannot run here: no mosquitto: apt-get install mosquitto", file=sys.stderr)
        raise typer.Exit(77)


@app.command()
def latency(seconds: Annotated[float, typer.Option(min=1)] = 60.0, folder: Folder = None) -> None:
    """From a frame's timestamp to its event message at a subscriber, less the inference; JSON."""
    found = []
    for recording in (False, True):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            found.append(mqtt_lab.latency(Path(place), seconds=seconds, recording=recording))
    _tell(
        found,
        fine=all(one["beyond_inference"]["p50"] <= P50 and one["beyond_inference"]["p99"] <= P99 for one in found),
    )


@app.command()
def stall(frozen: Annotated[float, typer.Option(min=1)] = 60.0, folder: Folder = None) -> None:
    """A broker that takes the connection and does nothing more; JSON."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        found = mqtt_lab.stall(Path(place), frozen=frozen, before=10.0)
    fine = found["in_order"] and not found["events_lost"] and found["grown_bytes"] < MEMORY_BYTES
    _tell(found, fine=fine and found["meanwhile"]["captured"] >= 0.98 * found["before"]["captured"])


def _tell(found: Any, *, fine: bool) -> None:
    print(json.dumps(found, indent=1))
    raise typer.Exit(0 if fine else 1)


if __name__ == "__main__":
    app()
