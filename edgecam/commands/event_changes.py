"""`edgecam events keep` and `delete`: what stays for good, and what goes at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecam import console
from edgecam.commands.options import (
    DEFAULT_CONFIG,
    CameraOption,
    ConfigOption,
    JournalOption,
    LabelOption,
    SinceOption,
    UntilOption,
    YesOption,
    ZoneOption,
    journal_file,
)
from edgecam.commands.selecting import Selection, selected
from edgecam.errors import InputError

if TYPE_CHECKING:
    from edgecam.event_removal import Removed

AT_A_TIME = 20
"""Events deleted in one go: whoever records waits no longer than for that."""


def register(commands: typer.Typer) -> None:
    """Add the commands."""
    commands.command()(keep)
    commands.command()(delete)


def keep(
    event_ids: Annotated[list[str], typer.Argument(metavar="ID", help="The events, as `list` shows them.")],
    config: ConfigOption = DEFAULT_CONFIG,
    journal: JournalOption = None,
    undo: Annotated[bool, typer.Option("--undo", help="They need not stay any more.")] = False,
) -> None:
    """Make the clips of events favourites: they stay whatever their age and size."""
    from edgecam.clip_store import ClipStore

    path = journal_file(journal, config)
    events = list(selected(path, Selection(tuple(event_ids))))
    with ClipStore(path) as store:
        for event in events:
            clips = store.of_event(event["id"])
            changed = sum(store.keep(clip.clip_id, not undo) for clip in clips)
            if not changed:
                raise InputError(f"event {event['id']}: has no clip to keep")
            console.say(f"{event['id']}: {changed} {'clips' if changed > 1 else 'clip'} {'let go' if undo else 'kept'}")


def delete(  # noqa: PLR0913, PLR0917 (the options of the command)
    event_ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="The events; or say which below.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    journal: JournalOption = None,
    camera: CameraOption = None,
    label: LabelOption = None,
    zone: ZoneOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: YesOption = False,
) -> None:
    """Delete events with their snapshots, and with their clips where no other event is in them.

    Favourites, and events that are not over, stay; a favourite that is named goes as well.
    """
    wanted = Selection(tuple(event_ids or ()), camera, label, zone, since, until)
    if wanted.is_all:
        raise InputError("which events? Name some, or choose by --camera, --label, --zone, --since, --until")
    path = journal_file(journal, config)
    found = list(selected(path, wanted))
    over = [event for event in found if event["end_time"] is not None]
    if len(over) < len(found):
        console.say(f"{len(found) - len(over)} events are not over, and stay")
    if not over:
        console.say("nothing to delete")
        return
    question = f"Delete {len(over)} {'events' if len(over) > 1 else 'event'} with clips and snapshots?"
    if not yes and not typer.confirm(question, err=True):
        raise typer.Abort
    removed = _delete(path, over, favourites=bool(wanted.event_ids))
    freed = f"{removed.freed_bytes / 1e6:.1f} MB freed"
    console.say(f"{removed.events} events and {removed.clips} clips deleted, {freed}")


def _delete(journal: Path, events: list[dict[str, Any]], *, favourites: bool) -> Removed:
    from edgecam.clip_store import ClipStore
    from edgecam.event_removal import Removed, remove_events

    removed = Removed()
    with ClipStore(journal) as store, console.progress("deleting", len(events)) as advance:
        for first in range(0, len(events), AT_A_TIME):
            batch = events[first : first + AT_A_TIME]
            removed += remove_events(store, journal.parent, batch, favourites=favourites)
            advance(len(batch))
    return removed
