"""`edgecam clips`: what was recorded, and whether it can be played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecam import console
from edgecam.commands import timelapse
from edgecam.commands.options import (
    DEFAULT_CONFIG,
    CameraOption,
    ConfigOption,
    JournalOption,
    JsonOption,
    SinceOption,
    UntilOption,
    journal_file,
)
from edgecam.errors import InputError, SinkError

if TYPE_CHECKING:
    from edgecam.clip_store import ClipRow, ClipStore

COLUMNS = ("clip", "camera", "kind", "start", "lasts", "size", "kept", "path")
#: A clip may be this much, in seconds, longer or shorter than the journal says.
_TOLERANCE = 0.1

commands = typer.Typer(help="List or check the recorded clips, or make a time-lapse of them.")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    timelapse.register(commands)
    app.add_typer(commands, name="clips")


@commands.command("list")
def list_clips(
    config: ConfigOption = DEFAULT_CONFIG,
    journal: JournalOption = None,
    camera: CameraOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the newest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the newest clips."""
    with _store(journal_file(journal, config)) as store:
        found = list(store.clips(camera=camera, since=since, until=until, limit=limit))
        documents = [_document(clip) | {"events": store.events_of(clip.clip_id)} for clip in found] if as_json else []
    if as_json:
        console.emit_json(documents)
    else:
        console.emit_table(COLUMNS, map(_row, found))


@commands.command()
def check(
    config: ConfigOption = DEFAULT_CONFIG,
    journal: JournalOption = None,
    camera: CameraOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play every clip to its end, and compare it with the journal. Exits 1 where one is broken."""
    path = journal_file(journal, config)
    with _store(path) as store:
        clips = [clip for clip in store.clips(camera=camera, since=since, until=until) if clip.end is not None]
    broken: list[dict[str, Any]] = []
    frames = 0
    with console.progress("checking", len(clips)) as advance:
        for clip in clips:
            verdict = _verdict(clip, path.parent)
            frames += verdict["frames"]
            if verdict["errors"]:
                broken.append(verdict)
                if not as_json:
                    console.emit(f"{verdict['path']}: {'; '.join(verdict['errors'])}")
            advance(1)
    if as_json:
        console.emit_json({"clips": len(clips), "frames": frames, "broken": broken})
    else:
        console.say(f"{len(clips)} clips checked, {frames} frames: {len(broken) or 'none'} broken")
    if broken:
        raise typer.Exit(1)


def _verdict(clip: ClipRow, data: Path) -> dict[str, Any]:
    """What is wrong with one clip: nothing ends the check of the others."""
    from edgecam.clip_files import clip_file
    from edgecam.recording.checking import check as check_clip

    found: dict[str, Any] = {"clip": clip.clip_id, "path": str(clip.path), "frames": 0, "duration": 0.0, "errors": []}
    try:
        path = clip_file(data, clip)
        if not path.exists():
            return found | {"errors": ["the file is missing"]}
        verdict = check_clip(path)
    except (InputError, SinkError) as error:
        return found | {"errors": [str(error)]}
    errors = [*verdict.errors, *_differences(clip, verdict.frames, verdict.duration)]
    return found | {"frames": verdict.frames, "duration": round(verdict.duration, 3), "errors": errors}


def _differences(clip: ClipRow, frames: int, duration: float) -> Iterator[str]:
    expected = (clip.end or clip.start) - clip.start
    if frames != clip.frames:
        yield f"it has {frames} frames, the journal says {clip.frames}"
    if abs(duration - expected) > _TOLERANCE:
        yield f"it lasts {duration:.2f} s, the journal says {expected:.2f} s"


@contextmanager
def _store(path: Path) -> Iterator[ClipStore]:
    from edgecam.clip_store import ClipStore

    with ClipStore(path, read_only=True) as store:
        yield store


def _row(clip: ClipRow) -> list[str]:
    lasts = "growing" if clip.end is None else f"{clip.end - clip.start:.1f} s"
    start = f"{datetime.fromtimestamp(clip.start).astimezone():%Y-%m-%d %H:%M:%S}"
    size = f"{clip.size_bytes / 1e6:.1f} MB"
    return [clip.clip_id, clip.camera, str(clip.kind), start, lasts, size, "kept" if clip.kept else "", str(clip.path)]


def _document(clip: ClipRow) -> dict[str, Any]:
    return {
        "id": clip.clip_id,
        "camera": clip.camera,
        "path": clip.path.as_posix(),
        "start_time": clip.start,
        "end_time": clip.end,
        "clock_synced": clip.clock_synced,
        "frames": clip.frames,
        "bytes": clip.size_bytes,
        "kept": clip.kept,
        "cut": clip.cut,
        "kind": str(clip.kind),
    }
