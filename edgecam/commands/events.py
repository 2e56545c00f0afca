"""`edgecam events`: what the journal remembers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecam import console
from edgecam.commands.moments import parse_moment
from edgecam.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from edgecam.commands.whole import written_whole
from edgecam.errors import InputError

if TYPE_CHECKING:
    from edgecam.journal import Journal

COLUMNS = ("id", "camera", "label", "score", "start", "lasted")

commands = typer.Typer(help="List, show or export the events in the journal.")


class Format(StrEnum):
    """What an export may look like."""

    JSONL = "jsonl"
    CSV = "csv"


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
SinceOption = Annotated[
    datetime | None,
    typer.Option("--since", metavar="WHEN", parser=_moment, help="Begun since 2h (ago), or since 2026-11-01."),
]
UntilOption = Annotated[
    datetime | None,
    typer.Option("--until", metavar="WHEN", parser=_moment, help="Begun before 30m (ago), or before 2026-11-01."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(commands, name="events")


@commands.command("list")
def list_events(
    config: ConfigOption = DEFAULT_CONFIG,
    journal: JournalOption = None,
    camera: CameraOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the newest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the newest events."""
    with _journal(journal, config) as events:
        found = list(events.events(camera=camera, label=label, since=since, until=until, limit=limit))
    if as_json:
        console.emit_json(found)
    else:
        console.emit_table(COLUMNS, map(_row, found))


@commands.command()
def show(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="The event, as `list` shows it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    journal: JournalOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all about one event."""
    with _journal(journal, config) as events:
        event = events.event(event_id)
    if event is None:
        raise InputError(f"no event {event_id} in the journal: see `edgecam events list`")
    if as_json:
        console.emit_json(event)
    else:
        console.emit_fields(_readable(event))


@commands.command()
def export(
    config: ConfigOption = DEFAULT_CONFIG,
    journal: JournalOption = None,
    camera: CameraOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    form: Annotated[Format, typer.Option("--format", help="JSON lines, or CSV with a header.")] = Format.JSONL,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", readable=False, help="To a file, not to stdout.")
    ] = None,
) -> None:
    """Write all events that match, oldest first."""
    write = _as_csv if form is Format.CSV else _as_jsonl
    with _journal(journal, config) as events:
        lines = write(events.events(camera=camera, label=label, since=since, until=until))
        if out is None:
            for line in lines:
                console.emit(line)
        else:
            with written_whole(out) as part, part.open("w", encoding="utf-8", newline="") as file:
                file.writelines(f"{line}\n" for line in lines)


def _journal(journal: Path | None, config: Path) -> Journal:
    """The journal named, or that of the configuration, to be opened for reading."""
    from edgecam.config import load
    from edgecam.journal import Journal

    return Journal(journal or load(config).data_dir / "edgecam.db", read_only=True)


def _row(event: dict[str, Any]) -> list[str]:
    """One line of the list."""
    start, end = event["start_time"], event["end_time"]
    lasted = "open" if end is None else f"{end - start:.1f} s"
    return [event["id"], event["camera"], event["label"], f"{event['top_score']:.2f}", _local(start), lasted]


def _local(timestamp: float) -> str:
    return f"{datetime.fromtimestamp(timestamp).astimezone():%Y-%m-%d %H:%M:%S}"


def _readable(event: dict[str, Any]) -> dict[str, Any]:
    """All that is known of an event, with times that people read."""
    times = {name for name in event if name.endswith("_time")}
    known = {name: value for name, value in event.items() if value is not None}
    return {name: _local(value) if name in times else value for name, value in known.items()}


def _as_jsonl(events: Iterable[dict[str, Any]]) -> Iterator[str]:
    return map(json.dumps, events)


def _as_csv(events: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A header, then a line for each event; what is nested stands as JSON."""
    header: list[str] = []
    for event in events:
        if not header:
            header = list(event)
            yield _csv_line(header)
        yield _csv_line([json.dumps(value) if isinstance(value, list | dict) else value for value in event.values()])


def _csv_line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
