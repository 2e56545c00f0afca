"""JSON Schemas (draft 2020-12) of all that is said over MQTT, by the name that `Topics` has for the topic."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from edgecam.health.stats import StatsDocument
from edgecam.health.status import StatusDocument
from edgecam.mqtt.pictures import SnapshotReference, SnapshotState

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _closed(properties: dict[str, Schema], **more: Any) -> Schema:
    """An object with exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


def _of(kind: str, description: str, **more: Any) -> Schema:
    return {"type": kind, "description": description, **more}


def _time(description: str) -> Schema:
    return _of("number", f"Unix seconds: {description}", minimum=0)


def _score(description: str) -> Schema:
    return _of("number", description, minimum=0, maximum=1)


def _names(description: str) -> Schema:
    return _of("array", description, items={"type": "string", "minLength": 1}, uniqueItems=True)


def _pixels(description: str, count: int) -> Schema:
    items = {"type": "integer", "minimum": 0, "maximum": 65535}
    return _of("array", description, items=items, minItems=count, maxItems=count)


_BEST = _closed(
    {
        "frame_time": _time("when it was seen best."),
        "box": _pixels("Its box then.", 4),
        "area": _of("integer", "Of the box, in pixels.", minimum=0),
        "region": _pixels("The whole frame.", 4),
        "score": _score("Its score then."),
        "attributes": _of("array", "Always empty.", maxItems=0),
    },
    description="The best look at the object so far.",
)
_CROSSING = _closed(
    {
        "line": _of("string", "Its name.", minLength=1),
        "direction": _of("string", "By the name that the line has for it.", minLength=1),
        "time": _time("when it was crossed."),
    }
)
_OBJECT = _closed(
    {
        "id": _of("string", "The same in all messages of an event.", pattern=r"^[0-9]+\.[0-9]{6}-[a-z0-9]{6}$"),
        "camera": _of("string", "Its name.", minLength=1),
        "frame_time": _time("of the frame that this speaks of."),
        "snapshot": {"oneOf": [_BEST, {"type": "null"}], "description": "Null before it was announced."},
        "label": _of("string", "What it is.", minLength=1),
        "sub_label": _of("null", "Always null."),
        "top_score": _score("The best score so far."),
        "false_positive": _of("boolean", "True only before it was announced."),
        "start_time": _time("when it was first seen."),
        "end_time": {**_time("when it was last seen; null while it is there."), "type": ["number", "null"]},
        "score": _score("The median of its recent scores."),
        "box": _pixels("xmin, ymin, xmax, ymax in pixels of frame_size.", 4),
        "area": _of("integer", "Of the box, in pixels.", minimum=0),
        "ratio": _of("number", "The box's width by its height.", minimum=0),
        "region": _pixels("The part of the frame that was looked at: all of it.", 4),
        "current_zones": _names("The zones it is in."),
        "entered_zones": _names("The zones it has been in, in the order of entering."),
        "thumbnail": _of("null", "Always null."),
        "has_snapshot": _of("boolean", "Whether there is a picture of it."),
        "has_clip": _of("boolean", "Whether there is a clip of it."),
        "active": _of("boolean", "The opposite of stationary."),
        "stationary": _of("boolean", "Whether it has stood still for long."),
        "motionless_count": _of("integer", "Analyses since it last moved.", minimum=0),
        "position_changes": _of("integer", "How often it moved again after it was stationary.", minimum=0),
        "attributes": _of("object", "Always empty.", maxProperties=0),
        "current_attributes": _of("array", "Always empty.", maxItems=0),
        "current_estimated_speed": _of("number", "Always 0: not measured.", const=0),
        "average_estimated_speed": _of("number", "Always 0: not measured.", const=0),
        "velocity_angle": _of("number", "Always 0: not measured.", const=0),
        "recognized_license_plate": _of("null", "Always null."),
        "recognized_license_plate_score": _of("null", "Always null."),
        "frame_size": _pixels("Width and height of the frame, in pixels; 0, 0 where not known.", 2),
        "frame": _of("integer", "Sequence of the frame that this speaks of.", minimum=0),
        "track_id": _of("integer", "Counts the objects of a camera since edgecam started.", minimum=1),
        "clock_synced": _of("boolean", "Whether the clock was known to be right when the event was announced."),
        "crossings": _of("array", "The lines it went over.", items=_CROSSING),
        "cut": {"type": ["string", "null"], "description": "Why the event has no proper end; null where it has."},
    },
    oneOf=[{"properties": {"active": {"const": on}, "stationary": {"const": not on}}} for on in (True, False)],
)


def _where_type(kind: str, then: Schema, otherwise: Schema) -> Schema:
    return {"if": {"properties": {"type": {"const": kind}}}, "then": then, "else": otherwise}


def _side(name: str, key: str, rule: Schema) -> Schema:
    return {"properties": {name: {"properties": {key: rule}}}}


_UNANNOUNCED = _side("before", "false_positive", {"const": True})
_ANNOUNCED = _side("before", "false_positive", {"const": False})
_ENDED = _side("after", "end_time", {"type": "number"})
_LASTING = _side("after", "end_time", {"type": "null"})
_EVENTS = _closed(
    {
        "type": _of("string", "Which message of the event this is.", enum=["new", "update", "end"]),
        "before": {"$ref": "#/$defs/object", "description": "The object as it was told last."},
        "after": {"$ref": "#/$defs/object", "description": "The object as it is."},
        "sequence": _of("integer", "One more with each message; the same when one is sent twice.", minimum=1),
        "late": _of("boolean", "Whether it could not be sent at once."),
        "delay": {
            "type": ["number", "null"],
            "minimum": 0,
            "description": "Seconds from being recorded to being sent; null where the clock cannot tell.",
        },
    },
    allOf=[
        _where_type(
            "end", _side("after", "end_time", {"type": "number"}), _side("after", "end_time", {"type": "null"})
        ),
        _where_type("new", _UNANNOUNCED, _ANNOUNCED),
        _side("after", "false_positive", {"const": False}),
        _side("before", "end_time", {"type": "null"}),
    ],
    **{"$defs": {"object": _OBJECT}},
)

_COUNT = _of("integer", "How many.", minimum=0)
_SWITCH = _of("string", "A switch.", enum=["ON", "OFF"])
_JPEG = _of(
    "string", "A JPEG, one character for each byte.", contentMediaType="image/jpeg", pattern="^\u00ff\u00d8\u00ff"
)

_BY_HAND: dict[str, Schema] = {
    "available": _of("string", "Offline is said by the will.", enum=["online", "stopped", "offline"]),
    "events": _EVENTS,
    "count": _COUNT,
    "active": _COUNT,
    "total": _COUNT,
    "total_active": _COUNT,
    "crossed": _COUNT,
    "snapshot": {"oneOf": [_JPEG, SnapshotReference.model_json_schema(mode="serialization")]},
    "picture": _JPEG,
    "take_snapshot": _of("string", "The command, here in capitals.", const="PRESS"),
    "set": _SWITCH,
    "state": _SWITCH,
}
_MODELS: dict[str, type[BaseModel]] = {
    "status": StatusDocument,
    "stats": StatsDocument,
    "snapshot_taken": SnapshotState,
}

SCHEMAS = (*_BY_HAND, *_MODELS)
"""What there are schemas of: all topics, by the names of `Topics`."""


def schema_for(kind: str) -> Schema:
    """The schema of the payloads of one kind of topic. Raises KeyError for a name that is not in SCHEMAS."""
    schema = _BY_HAND[kind] if kind in _BY_HAND else _MODELS[kind].model_json_schema(mode="serialization")
    return {"$schema": DIALECT, "title": kind} | schema


def payload_value(payload: bytes) -> Any:
    """What a schema speaks of: the payload's JSON, or where it is none its text, a picture's with a character for each
    byte."""
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("latin-1")
