"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_CONFIG = Path("/etc/edgecam/edgecam.toml")

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", metavar="FILE", readable=False, envvar="EDGECAM_CONFIG", help="The configuration."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME|FILE", help="A model's name or file (default: the best one present)."),
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(
        "--labels", "-l", metavar="FILE", readable=False, help="A label file (default: the model's own labels)."
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device", "-d", metavar="DEVICE", help="auto, cpu, edgetpu, usb, usb:0 …, as [detector] device has it."
    ),
]
ThreadsOption = Annotated[int, typer.Option("--threads", metavar="N", min=0, help="CPU threads; 0: as suits.")]


def _score(value: float) -> float:
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"{value:g}: allowed is 0 to 1")
    return value


ThresholdOption = Annotated[
    float, typer.Option("--threshold", "-t", metavar="S", callback=_score, help="Least score that counts, 0 to 1.")
]
