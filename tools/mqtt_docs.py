#!/usr/bin/env python3
"""Writes those parts of docs/mqtt.md that the code knows: topics, settings, keys and examples. Run it after a change.

A part stands between `<!-- NAME -->` and `<!-- end -->`. `tests/test_mqtt_docs.py` fails where they are not up to date.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgecam.config.mqtt import MqttSection
from edgecam.events import event_document
from edgecam.frigate import frigate_message
from edgecam.health.board import UNDER_VOLTAGE, Board
from edgecam.health.facts import BoardFacts, CameraFacts, Facts, MqttFacts, StorageFacts
from edgecam.health.stats import CameraLatencies, Counts, Rates, StatsReport
from edgecam.health.status import Disk, StatusReport, Version
from edgecam.latency import Latency
from edgecam.mqtt.directory import KINDS, Kind
from edgecam.mqtt.discovery import CameraInfo, discovery_messages
from edgecam.mqtt.pictures import SnapshotReference, SnapshotState
from edgecam.mqtt.schemas import schema_for
from edgecam.mqtt.topics import SWITCHES, Topics
from edgecam.outbox import Moment, OutboxMessage, sent_form
from edgecam.testing import ManualClock
from edgecam.types import BBox, Crossing, DetectorInfo, Event, EventType

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "mqtt.md"
PART = re.compile(r"<!-- ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)
TOPICS = Topics()
KEYS = ("events", "status", "stats", "snapshot", "snapshot_taken")
"""The kinds of topics whose payload is JSON with keys."""
STARTED = 1795275000.0
PATH = "/var/lib/edgecam/snapshots/front/2026-11-21/1795275000.000000-k3x9qa.jpg"
LATENCY = Latency(1024, 0.0113, 0.0171, 0.0228)


def template(kind: Kind) -> str:
    """The topic of a kind, with the names that vary in capitals."""
    member = inspect.getattr_static(TOPICS, kind.name)
    if isinstance(member, property):
        return str(getattr(TOPICS, kind.name))
    names = list(inspect.signature(member).parameters)[1:]
    return str(member(TOPICS, *map(str.upper, names)))


def topics() -> str:
    """The table of all topics."""

    def row(kind: Kind) -> tuple[str, ...]:
        retained = "yes" if kind.retained else "no"
        return f"`{template(kind)}`", kind.says, "others" if kind.command else "edgecam", retained, f"`{kind.name}`"

    return table([("topic", "says", "from", "retained", "schema"), *map(row, KINDS.values())])


def settings() -> str:
    """The table of the keys of [mqtt]."""
    rows = [("key", "default", "meaning")]
    for key, field in MqttSection.model_fields.items():
        rows.append((f"`{key}`", f"`{json.dumps(field.default)}`", field.description or ""))
    return table(rows)


def keys(kind: str) -> str:
    """The table of the keys of a payload."""
    schema = schema_for(kind)
    rows = [("key", "type", "meaning"), *flattened(schema, schema.get("$defs", {}), "")]
    return table(rows)


def flattened(schema: dict[str, Any], named: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    """Key, type and meaning of all that is in a schema, depth first; each named part of an event once."""
    for option in schema.get("oneOf", schema.get("anyOf", [])):
        yield from flattened(option, named, path)
    for key, inner in schema.get("properties", {}).items():
        if path == "after.":
            return
        own = resolved(inner, named)
        if inner.get("description", own.get("description")):
            yield f"`{path}{key}`", kind_of(own), inner.get("description", own.get("description", ""))
        yield from flattened(own, named, f"{path}{key}.")
    several = schema.get("additionalProperties") or schema.get("items")
    if isinstance(several, dict) and ("$ref" in several or "properties" in several):
        name = "NAME" if "additionalProperties" in schema else "[]"
        yield from flattened(resolved(several, named), named, f"{path}{name}.")


def resolved(schema: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    return named[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def kind_of(schema: dict[str, Any]) -> str:
    """The type of a value, in JSON's words."""
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema.get("enum", [schema.get("const")]))
    kinds = schema.get("type", [kind_of(option) for option in schema.get("oneOf", schema.get("anyOf", []))])
    return kinds if isinstance(kinds, str) else " or ".join(dict.fromkeys(kinds))


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Markdown's."""
    header, *body = rows
    lines = [header, ("---",) * len(header), *body]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def block(document: Any) -> str:
    """JSON in Markdown, lists of plain values on one line."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    text = re.sub(
        r"\[[^\[\]{}]*\]", lambda plain: " ".join(plain[0].split()).replace("[ ", "[").replace(" ]", "]"), text
    )
    return f"```json\n{text}\n```"


def car(**changes: Any) -> Event:
    """A car on its way through the drive, seen for the third time."""
    said: dict[str, Any] = {
        "type": EventType.NEW,
        "event_id": "1795275000.000000-k3x9qa",
        "camera": "front",
        "track_id": 7,
        "label": "car",
        "score": 0.8125,
        "top_score": 0.84,
        "bbox": BBox(0.1, 0.4, 0.3, 0.6),
        "sequence": 1203,
        "timestamp": 40.2,
        "start": 40.0,
        "end": None,
        "best_sequence": 1203,
        "best_bbox": BBox(0.1, 0.4, 0.3, 0.6),
        "best_timestamp": 40.2,
        "best_score": 0.84,
        "started": STARTED,
        "frame_size": (1280, 720),
    }
    return Event(**said | changes)


def event_example() -> str:
    """An update: the car has come into the drive and over the line, and it was sent after an outage."""
    new = event_document(car()) | {"snapshot": PATH}
    moved = {"bbox": BBox(0.35, 0.45, 0.6, 0.75), "sequence": 1239, "timestamp": 41.4}
    best = {"best_sequence": 1239, "best_bbox": moved["bbox"], "best_timestamp": 41.4, "best_score": 0.91}
    there = {
        "current_zones": ("drive",),
        "entered_zones": ("drive",),
        "crossings": (Crossing("gate", "in", 41.1),),
        "score": 0.8711,
        "top_score": 0.91,
    }
    update = event_document(car(type=EventType.UPDATE, **moved, **best, **there)) | {"snapshot": PATH}
    recorded, now = Moment("boot", 41.4, STARTED + 1.4, True), Moment("boot", 103.9, STARTED + 63.9, True)
    connected = Moment("boot", 103.7, STARTED + 63.7, True)
    message = OutboxMessage(4711, recorded, json.dumps(frigate_message(new, update)))
    return block(json.loads(sent_form(message, now, connected)))


def facts() -> Facts:
    """One camera that detects on the CPU, because the Edge TPU is gone."""
    front = CameraFacts(
        detector=DetectorInfo(
            "mobiledet", "ai-edge-litert 1.4.0", "cpu", (320, 320), "no Edge TPU: the CPU detects", 30.0
        ),
        detector_lost_since=None,
        camera_lost_since=None,
        reopened=0,
        switches=dict.fromkeys(SWITCHES, True),
        troubles=(),
        counters=dict.fromkeys(Counts.model_fields, 0)
        | {"frames_captured": 3600, "frames_analysed": 3580, "events": 12},
        latencies=dict.fromkeys(CameraLatencies.model_fields, LATENCY),
    )
    storage = StorageFacts(
        stored_bytes=8_589_934_592,
        deleted=14,
        deleted_bytes=310_378_496,
        written_bytes=402_653_184,
        written_per_day=4_831_838_208,
    )
    board = Board("Raspberry Pi 4 Model B Rev 1.4", throttled_ever=(UNDER_VOLTAGE,), watched=True)
    mqtt = MqttFacts(4, 0, 62.5, 210, 206, LATENCY)
    return Facts({"front": front}, mqtt, Path("/nowhere"), storage=storage, board=BoardFacts(board))


def status_example() -> str:
    clock = ManualClock()
    report = StatusReport(clock)
    clock.advance(120.0)
    document = report.document(facts())
    changes = {
        "version": Version(edgecam="0.5.0", python="3.11.2", runtime="ai-edge-litert 1.4.0"),
        "disk": Disk(path="/var/lib/edgecam", free_bytes=21_474_836_480, total_bytes=31_268_536_320),
    }
    return block(json.loads(document.model_copy(update=changes).model_dump_json()))


def stats_example() -> str:
    clock = ManualClock()
    report = StatsReport(clock, thermal=Path("/nowhere"))
    clock.advance(60.0)
    document = report.document(facts())
    said = {"count": 2, "rss_bytes": 187_432_960, "cpu": 0.61, "temperature_celsius": 54.5}
    process = document.process.model_copy(update=said)
    front = document.cameras["front"]
    rates = front.model_copy(update={"fps": Rates(captured=30.0, analysed=29.83, written=30.0)})
    changed = document.model_copy(update={"process": process, "cameras": {"front": rates}})
    return block(json.loads(changed.model_dump_json()))


def reference_example() -> str:
    said = SnapshotReference(
        id="1795275000.000000-k3x9qa", camera="front", label="car", path=PATH, time=STARTED + 1.4, frame=1239
    )
    return block(json.loads(said.model_dump_json()))


def taken_example() -> str:
    path = "/var/lib/edgecam/snapshots/front/2026-11-21/1795275012.360-requested.jpg"
    return block(json.loads(SnapshotState(time=STARTED + 12.36, path=path, frame=1568, error="").model_dump_json()))


def discovery_example() -> str:
    """The message of a camera with one label, without most of its components."""
    messages = discovery_messages(MqttSection(), TOPICS, {"front": CameraInfo(("person",))}, "0.5.0")
    document = json.loads(messages[1][1])
    kept = ("label-person-occupancy", "switch-detect", "diagnostic-inference")
    document["components"] = {key: document["components"][key] for key in kept}
    return block(document)


def parts() -> dict[str, str]:
    """What the code knows, by the names of the parts."""
    tables = {f"keys-{kind}": keys(kind) for kind in KEYS}
    return tables | {
        "topics": topics(),
        "settings": settings(),
        "example-events": event_example(),
        "example-status": status_example(),
        "example-stats": stats_example(),
        "example-snapshot": reference_example(),
        "example-snapshot_taken": taken_example(),
        "example-discovery": discovery_example(),
    }


def written(text: str) -> str:
    """The document with its parts up to date. Raises KeyError for a part that the code does not know."""
    known = parts()
    return PART.sub(lambda part: f"<!-- {part[1]} -->\n{known[part[1]]}\n<!-- end -->", text)


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
