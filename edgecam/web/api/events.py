"""The paths of events: what there was, its pictures and clips, and what is to stay or go."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from edgecam.clip_store import ClipRow, ClipStore
from edgecam.event_removal import remove_events
from edgecam.event_search import Wanted
from edgecam.health.status import Document
from edgecam.recording.boxes import HEADER, boxes_path
from edgecam.web.api.answers import Done, json_answer, refusals
from edgecam.web.api.archive import Archive
from edgecam.web.api.files import CHANGING, SETTLED, file_answer, picture_answer
from edgecam.web.api.frigate import EventAnswer, event_answer
from edgecam.web.api.thumbnails import Thumbnails

MOST = 5000
"""Events in one answer."""
MOST_THUMBNAILS = 100
"""Thumbnails in one answer: the newest events have them."""
ALL = "all"

_Seconds = Annotated[float, Field(allow_inf_nan=False)]
_Several = Annotated[str, Field(max_length=2000)]
EventId = Annotated[str, Path(description="The event's id.", max_length=200)]
ClipNumber = Annotated[int, Query(ge=0, le=1000, description="Which one, if there are several: from 0.")]


class EventQuery(BaseModel):
    """What is looked for, in Frigate's words. Lists are separated by commas; what is not known is passed over."""

    model_config = ConfigDict(extra="ignore")

    cameras: _Several = Field(default=ALL, description="Names of cameras.")
    camera: _Several = Field(default=ALL, description="The same, as older versions of Frigate call it.")
    labels: _Several = Field(default=ALL, description="Labels.")
    label: _Several = Field(default=ALL, description="The same, as older versions of Frigate call it.")
    zones: _Several = Field(default=ALL, description="Zones; the object was in one of them.")
    zone: _Several = Field(default=ALL, description="The same, as older versions of Frigate call it.")
    after: _Seconds | None = Field(default=None, description="Began later than this, Unix seconds.")
    before: _Seconds | None = Field(default=None, description="Began earlier than this, Unix seconds.")
    limit: int = Field(default=100, ge=1, le=MOST, description="The newest so many.")
    has_clip: bool | None = Field(default=None, description="1: only those with a clip; 0: without.")
    has_snapshot: bool | None = Field(default=None, description="1: only those with a picture; 0: without.")
    in_progress: bool | None = Field(default=None, description="1: only those that last; 0: that are over.")
    favorites: bool = Field(default=False, description="1: only favourites.")
    min_score: _Seconds | None = Field(default=None, description="The least best score.")
    max_score: _Seconds | None = Field(default=None, description="The most best score.")
    include_thumbnails: bool = Field(
        default=False, description=f"1: with thumbnails as base64, the newest {MOST_THUMBNAILS}; Frigate's default."
    )

    def wanted(self) -> Wanted:
        """The same, as the journal understands it."""
        return Wanted(
            cameras=_several(self.cameras, self.camera),
            labels=_several(self.labels, self.label),
            zones=_several(self.zones, self.zone),
            after=self.after,
            before=self.before,
            has_clip=self.has_clip,
            has_snapshot=self.has_snapshot,
            kept=self.favorites or None,
            in_progress=self.in_progress,
            min_score=self.min_score,
            max_score=self.max_score,
        )


class PictureQuery(BaseModel):
    """How a picture is to be."""

    model_config = ConfigDict(extra="ignore")

    h: int | None = Field(default=None, ge=16, le=4320, description="Height in pixels, at most that of the picture.")
    quality: int | None = Field(default=None, ge=1, le=100, description="JPEG quality.")


class ClipAnswer(Document):
    """One clip of an event."""

    n: int = Field(description="Its number: clip.mp4?n=…")
    id: str = Field(description="The clip's id.")
    kind: Literal["event", "continuous"] = Field(description="What it was recorded for.")
    start_time: float = Field(description="When it begins, Unix seconds.")
    end_time: float | None = Field(description="When it ends, Unix seconds; null while it grows.")
    bytes: int = Field(description="Its size; 0 while it grows.")
    kept: bool = Field(description="Whether it is a favourite.")
    has_boxes: bool = Field(description="Whether its boxes are beside it, in clip.vtt, and not in its pictures.")


class EventDetails(EventAnswer):
    """One event, and its clips."""

    clips: list[ClipAnswer] = Field(description="Ours: its clips.")


class Day(Document):
    """One day on which there were events, by the local time of edgecam."""

    day: str = Field(description="The date, as 2026-11-21.")
    events: int = Field(description="How many began on it.")
    start: float = Field(description="When the day begins, Unix seconds.")
    end: float = Field(description="When it is over, Unix seconds.")


class EventRoutes:
    """The paths that begin with /api/events, and /api/days."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._thumbnails = Thumbnails()

    def add_to(self, router: APIRouter) -> None:
        """Add the paths."""
        one, found = "/api/events/{event_id}", refusals(404)
        router.get("/api/events", response_model=list[EventAnswer], responses=refusals())(self.search)
        router.get("/api/days", responses=refusals())(self.days)
        router.get(one, responses=found)(self.show)
        router.delete(one, responses=refusals(404, 409))(self.delete)
        router.post(f"{one}/retain", responses=refusals(404, 409))(self.retain)
        router.delete(f"{one}/retain", responses=refusals(404, 409))(self.let_go)
        for name, kind, send in (
            ("snapshot.jpg", "image/jpeg", self.snapshot),
            ("thumbnail.jpg", "image/jpeg", self.thumbnail),
            ("clip.mp4", "video/mp4", self.clip),
            ("clip.vtt", "text/vtt", self.boxes),
        ):
            path = f"{one}/{name}"
            router.get(path, response_class=Response, responses=_file(kind) | found)(send)
            router.head(path, include_in_schema=False)(send)

    def search(self, query: Annotated[EventQuery, Query()], request: Request) -> Response:
        """The newest events that match, newest first."""
        found = self._archive.search(query.wanted(), query.limit)
        answers = [event_answer(event) for event in found]
        if query.include_thumbnails:
            for event, answer in zip(found[:MOST_THUMBNAILS], answers, strict=False):
                answer["thumbnail"] = self._as_text(event.snapshot and self._thumbnail(event))
        # A day may have thousands: to check each against the model would take longer than to find them.
        return json_answer(request, json.dumps(answers, separators=(",", ":")).encode())

    def days(
        self, camera: Annotated[str | None, Query(description="Only this camera's.", max_length=200)] = None
    ) -> list[Day]:
        """The days on which events began, oldest first."""
        with self._archive.searching() as search:
            return [_day(date, count) for date, count in (search.days(camera) if search else ())]

    def show(self, event_id: EventId) -> EventDetails:
        """All about one event."""
        found = self._archive.event(event_id)
        clips = self._archive.clips(event_id)
        answers = [self._clip_answer(number, clip) for number, clip in enumerate(clips)]
        return EventDetails(**event_answer(found), clips=answers)

    def delete(self, event_id: EventId) -> Done:
        """Delete an event with its picture, and with its clips where no other event is in them; a favourite too."""
        found = self._archive.event(event_id)
        if not found.is_over:
            raise HTTPException(409, f"event {event_id}: is not over: delete it when it is")
        document = dict(found.document) | {"snapshot": found.snapshot}
        with ClipStore(self._archive.journal) as store:
            remove_events(store, self._archive.data, [document], favourites=True)
        return Done(message=f"event {event_id} deleted")

    def retain(self, event_id: EventId) -> Done:
        """Make the clips of an event favourites: they stay whatever their age and size."""
        return self._keep(event_id, kept=True)

    def let_go(self, event_id: EventId) -> Done:
        """The clips of an event need not stay any more."""
        return self._keep(event_id, kept=False)

    def snapshot(self, event_id: EventId, query: Annotated[PictureQuery, Query()], request: Request) -> Response:
        """The picture of an event's best moment, with boxes as the display shows them."""
        found = self._archive.event(event_id)
        path, cache = self._archive.picture(found), _cache(settled=found.is_over)
        if query.h is None and query.quality is None:
            return file_answer(request, path, "image/jpeg", cache)
        return picture_answer(self._thumbnails.scaled(path, query.h, query.quality or 85), cache)

    def thumbnail(self, event_id: EventId) -> Response:
        """A small square picture of the object."""
        found = self._archive.event(event_id)
        path = self._archive.picture(found)
        return picture_answer(self._thumbnails.of(path, found.document["best"]["box"]), _cache(settled=found.is_over))

    def clip(self, event_id: EventId, request: Request, n: ClipNumber = 0) -> Response:
        """A clip of an event, also in ranges; of one that grows what there is now."""
        row, path = self._archive.clip(event_id, n)
        return file_answer(request, path, "video/mp4", _cache(settled=row.end is not None))

    def boxes(self, event_id: EventId, request: Request, n: ClipNumber = 0) -> Response:
        """The boxes of a clip as WebVTT, one cue a frame, in JSON; none where they are in its pictures."""
        row, _ = self._archive.clip(event_id, n)
        path, cache = self._archive.data / boxes_path(row.path), _cache(settled=row.end is not None)
        if not path.is_file():
            return Response(HEADER, media_type="text/vtt", headers={"Cache-Control": cache})
        return file_answer(request, path, "text/vtt", cache)

    def _keep(self, event_id: str, *, kept: bool) -> Done:
        self._archive.event(event_id)
        with ClipStore(self._archive.journal) as store:
            changed = sum(store.keep(clip.clip_id, kept) for clip in store.of_event(event_id))
        if kept and not changed:
            raise HTTPException(409, f"event {event_id}: has no clip to keep")
        return Done(message=f"event {event_id} {'retained' if kept else 'need not stay'}")

    def _thumbnail(self, found: Any) -> bytes | None:
        try:
            path = self._archive.picture(found)
        except HTTPException:
            return None
        return self._thumbnails.of(path, found.document["best"]["box"])

    def _as_text(self, jpeg: bytes | str | None) -> str | None:
        return base64.b64encode(jpeg).decode() if isinstance(jpeg, bytes) else None

    def _clip_answer(self, number: int, clip: ClipRow) -> ClipAnswer:
        return ClipAnswer(
            n=number,
            id=clip.clip_id,
            kind="event" if clip.kind == "event" else "continuous",
            start_time=clip.start,
            end_time=clip.end,
            bytes=clip.size_bytes,
            kept=clip.kept,
            has_boxes=(self._archive.data / boxes_path(clip.path)).is_file(),
        )


def _several(*lists: str) -> tuple[str, ...]:
    """The names of the first list that is given; none where all are wanted."""
    given = next((each for each in lists if each not in {ALL, ""}), "")
    return tuple(dict.fromkeys(name for name in given.split(",") if name))


def _cache(*, settled: bool) -> str:
    return SETTLED if settled else CHANGING


def _file(kind: str) -> dict[int | str, dict[str, Any]]:
    """A file as OpenAPI has it."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"description": "The file.", "content": content},
        206: {"description": "Ranges of it.", "content": content},
        304: {"description": "The browser has it."},
        400: {"description": "The range cannot be read."},
        416: {"description": "There is no such range of it."},
    }


def _day(date: str, count: int) -> Day:
    midnight = datetime.fromisoformat(date)
    start, end = (each.astimezone().timestamp() for each in (midnight, midnight + timedelta(days=1)))
    return Day(day=date, events=count, start=start, end=end)
