#!/usr/bin/env python3
"""Writes those parts of docs/api.md that the code knows: paths, queries, keys and an example. Run it after a change.

A part stands between `<!-- NAME -->` and `<!-- end -->`. `tests/test_web_api_docs.py` fails where they are not up to
date.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from mqtt_docs import PART, STARTED, block, car, facts, flattened, table
from pydantic import BaseModel

from edgecam.config import Config
from edgecam.event_search import FoundEvent
from edgecam.events import event_document
from edgecam.testing import ManualClock
from edgecam.types import BBox, EventType
from edgecam.web.api import router
from edgecam.web.api.events import ClipAnswer, Day, EventDetails, EventQuery
from edgecam.web.api.frigate import FrigateStats, event_answer
from edgecam.web.api.history import HistoryAnswer
from edgecam.web.api.switches import CameraAnswer
from edgecam.web.premises import Premises

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "api.md"
FRIGATE = (
    "/api/version",
    "/api/stats",
    "/api/events",
    "/api/events/{event_id}",
    "/api/events/{event_id}/retain",
    "/api/events/{event_id}/snapshot.jpg",
    "/api/events/{event_id}/thumbnail.jpg",
    "/api/events/{event_id}/clip.mp4",
)
"""The paths that Frigate has, too."""
ELSEWHERE = ("edgecam",)
"""Keys that are told elsewhere."""


def openapi() -> dict[str, Any]:
    """The API's OpenAPI document."""
    app = FastAPI(title="edgecam")
    app.include_router(router(Premises(Config(), None, {}, facts, ManualClock(), None)))
    document: dict[str, Any] = app.openapi()
    return document


def paths() -> str:
    """The table of all paths."""
    rows = [("", "path", "says or does", "Frigate")]
    for path, methods in openapi()["paths"].items():
        for method, about in methods.items():
            told = about["description"].replace("\n", " ")
            name = path.replace("{event_id}", "ID").replace("{camera}", "CAMERA").replace("{name}", "SWITCH")
            rows.append((f"`{method.upper()}`", f"`{name}`", told, "yes" if path in FRIGATE else ""))
    return table(rows)


def query(model: type[BaseModel]) -> str:
    """The table of what may be asked for."""
    rows = [("key", "default", "meaning")]
    for key, field in model.model_fields.items():
        rows.append((f"`{key}`", f"`{json.dumps(field.default)}`", field.description or ""))
    return table(rows)


def keys(model: type[BaseModel]) -> str:
    """The table of the keys of an answer."""
    schema = model.model_json_schema()
    return table([("key", "type", "meaning"), *_told(schema)])


def _told(schema: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for row in flattened(schema, schema.get("$defs", {}), ""):
        if not row[0].strip("`").startswith(tuple(f"{name}." for name in ELSEWHERE)):
            yield row


def event_example() -> str:
    """A car that came into the drive, and was recorded."""
    end = {"type": EventType.END, "end": 52.2, "entered_zones": ("drive",), "best_bbox": BBox(0.35, 0.45, 0.6, 0.75)}
    document = event_document(car(**end, frame_size=(1280, 720), best_timestamp=41.4, best_score=0.91))
    answer = event_answer(FoundEvent(1, document, "snapshots/…", None, has_clip=True, kept=False, clip_grows=False))
    start = STARTED - 5
    clip = ClipAnswer(
        n=0, id="9f1c2ab07d35", kind="event", start_time=start, end_time=start + 22.2, bytes=4_718_592, kept=False,
        has_boxes=False,
    )  # fmt: skip
    return block(json.loads(EventDetails(**answer, clips=[clip]).model_dump_json()))


def parts() -> dict[str, str]:
    """What the code knows, by the names of the parts."""
    return {
        "paths": paths(),
        "query-events": query(EventQuery),
        "keys-event": keys(EventDetails),
        "example-event": event_example(),
        "keys-day": keys(Day),
        "keys-camera": keys(CameraAnswer),
        "keys-stats": keys(FrigateStats),
        "keys-history": keys(HistoryAnswer),
    }


def written(text: str) -> str:
    """The document with its parts up to date. Raises KeyError for a part that the code does not know."""
    known = parts()
    return PART.sub(lambda part: f"<!-- {part[1]} -->\n{known[part[1]]}\n<!-- end -->", text)


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
