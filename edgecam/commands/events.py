"""`edgecam events`: what the journal remembers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from edgecam import console
from edgecam.commands import event_changes
from edgecam.commands.event_archive import write_archive
from edgecam.commands.options import (
    DEFAULT_CONFIG,
    CameraOption,
    ConfigOption,
    JournalOption,
    JsonOption,
    LabelOption,
    SinceOption,
    UntilOption,
    ZoneOption,
    journal_file,
)
from edgecam.commands.selecting import Selection, selected
from edgecam.commands.whole import written_whole
from edgecam.errors import InputError

COLUMNS = ("id", "camera", "label", "score", "start", "lasted")

commands = typer.Typer(help="List, show, export, keep or delete the events in the journal.")


class Format(StrEnum):
    """What an export may look like."""

    JSONL = "jsonl"
    CSV = "csv"
    ZIP = "zip"


EventIdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Only these events (default: all that match).")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    event_changes.register(commands)
    app.add_typer(commands, name="events")


@commands.command("list")
def list_events(  # noqa: PLR0913, PLR0917 (the options of the command)
    config: ConfigOption = DEFAULT_CONFIG,
    journal: JournalOption = None,
    camera: CameraOption = None,
    label: LabelOption = None,
    zone: ZoneOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the newest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the newest events."""
    wanted = Selection(camera=camera, label=label, zone=zone, since=since, until=until)
    found = list(selected(journal_file(journal, config), wanted, limit))
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
    from edgecam.clip_store import ClipStore

    path = journal_file(journal, config)
    event = next(selected(path, Selection((event_id,))))
    with ClipStore(path, read_only=True) as store:
        event["clips"] = [clip.path.as_posix() for clip in store.of_event(event["id"])]
    if as_json:
        console.emit_json(event)
    else:
        console.emit_fields(_readable(event))


@commands.command()
def export(  # noqa: PLR0913, PLR0917 (the options of the command)
    event_ids: EventIdsArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
    journal: JournalOption = None,
    camera: CameraOption = None,
    label: LabelOption = None,
    zone: ZoneOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format", help="JSON lines, CSV with a header, or zip: events.json with the clips and snapshots."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", readable=False, help="To a file, not to stdout; .zip means zip."),
    ] = None,
    boxes: Annotated[
        bool, typer.Option("--boxes", help="In a zip: draw boxes that lie beside a clip into its pictures.")
    ] = False,
) -> None:
    """Write all events that match, oldest first; to a .zip with their clips and snapshots."""
    path = journal_file(journal, config)
    events = selected(path, Selection(tuple(event_ids or ()), camera, label, zone, since, until))
    form = form or (Format.ZIP if out and out.suffix.lower() == ".zip" else Format.JSONL)
    if form is Format.ZIP:
        if out is None:
            raise InputError("a zip needs a file: say where with --out FILE.zip")
        write_archive(out, path, events, boxes=boxes)
        return
    if boxes:
        raise InputError("--boxes draws into clips, which are in a zip only: say --out FILE.zip")
    lines = (_as_csv if form is Format.CSV else _as_jsonl)(events)
    if out is None:
        for line in lines:
            console.emit(line)
    else:
        with written_whole(out) as part, part.open("w", encoding="utf-8", newline="") as file:
            file.writelines(f"{line}\n" for line in lines)


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
