"""The options that several commands share."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from edgecam.commands.moments import parse_moment

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


def _moment(text: str) -> datetime:
    try:
        return parse_moment(text, datetime.now().astimezone())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


JournalOption = Annotated[
    Path | None,
    typer.Option(
        "--journal", metavar="FILE", readable=False, help="The journal (default: edgecam.db in the config's data_dir)."
    ),
]
CameraOption = Annotated[str | None, typer.Option("--camera", metavar="NAME", help="Only of this camera.")]
LabelOption = Annotated[str | None, typer.Option("--label", metavar="LABEL", help="Only with this label.")]
ZoneOption = Annotated[str | None, typer.Option("--zone", metavar="NAME", help="Only what was in this zone.")]
SinceOption = Annotated[
    datetime | None,
    typer.Option("--since", metavar="WHEN", parser=_moment, help="Begun since 2h (ago), or since 2026-11-01."),
]
UntilOption = Annotated[
    datetime | None,
    typer.Option("--until", metavar="WHEN", parser=_moment, help="Begun before 30m (ago), or before 2026-11-01."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def journal_file(journal: Path | None, config: Path) -> Path:
    """The journal that is named, or that of the configuration. Its folder is the data folder."""
    from edgecam.config import load

    return journal or load(config).data_dir / "edgecam.db"
