"""`edgecam clips timelapse`: a day in a minute or five."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from edgecam import console
from edgecam.commands.options import DEFAULT_CONFIG, ConfigOption, JournalOption, JsonOption, journal_file
from edgecam.commands.whole import written_whole
from edgecam.errors import InputError

_LONGEST = timedelta(hours=1)
"""A segment that begins so long before midnight may reach into the day."""


def _speed(value: float) -> float:
    if not 2 <= value <= 100_000:
        raise typer.BadParameter(f"{value:g}: allowed is 2 to 100000")
    return value


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command()(timelapse)


def timelapse(
    camera: Annotated[str, typer.Option("--camera", metavar="NAME", help="Of this camera.")],
    day: Annotated[datetime, typer.Option("--day", formats=["%Y-%m-%d"], help="Of this day, local time.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.mp4", readable=False, help="The video to write.")],
    speed: Annotated[
        float, typer.Option("--speed", metavar="N", callback=_speed, help="So many times as fast as it was.")
    ] = 300.0,
    config: ConfigOption = DEFAULT_CONFIG,
    journal: JournalOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a time-lapse of a day, from continuous recording, or from the clips of events where there is none."""
    from edgecam.clip_files import clip_file
    from edgecam.clip_store import ClipKind, ClipStore
    from edgecam.recording.timelapse import Piece, make_timelapse

    if out.suffix.lower() != ".mp4":
        raise InputError(f"{out}: a time-lapse is an MP4: name it so")
    since = day.astimezone()
    until = (day + timedelta(days=1)).astimezone()
    path = journal_file(journal, config)
    with ClipStore(path, read_only=True) as store:
        for kind in (ClipKind.CONTINUOUS, ClipKind.EVENT):
            rows = store.clips(camera=camera, kind=kind, since=since - _LONGEST, until=until)
            found = [row for row in rows if row.end is not None and row.end > since.timestamp()]
            if found:
                break
    if not found:
        raise InputError(
            f"camera {camera}: nothing was recorded on {day:%Y-%m-%d}: `edgecam clips list` shows what was"
        )
    pieces = sorted((Piece(clip_file(path.parent, row), row.start) for row in found), key=lambda piece: piece.start)
    with console.progress("making the time-lapse", len(pieces)) as advance, written_whole(out) as part:
        part.unlink(missing_ok=True)
        span = since.timestamp(), until.timestamp()
        lapse = make_timelapse(pieces, part, speed=speed, span=span, advance=advance)
    figures = {"clips": lapse.pieces, "frames": lapse.info.frames, "seconds": round(lapse.info.duration, 2)}
    if as_json:
        console.emit_json({"out": str(out), "kind": str(kind), **figures, "unread": list(lapse.unread)})
        return
    for complaint in lapse.unread:
        console.say(f"left out: {complaint}")
    made_of = "segments" if kind is ClipKind.CONTINUOUS else "clips"
    console.say(f"{out}: {lapse.info.duration:.1f} s, made of {lapse.pieces} {made_of}")
