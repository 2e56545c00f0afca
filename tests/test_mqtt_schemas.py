"""The schemas of what is said over MQTT: they are schemas, they let pass what edgecam says and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from test_frigate import ADDED_SINCE, document
from test_mqtt_status import camera, facts

from edgecam.frigate import frigate_message
from edgecam.health.stats import StatsReport
from edgecam.health.status import StatusReport
from edgecam.journal import Journal
from edgecam.mqtt.pictures import SnapshotReference
from edgecam.mqtt.schemas import DIALECT, SCHEMAS, payload_value, schema_for
from edgecam.mqtt.topics import Topics
from edgecam.outbox import Outbox
from edgecam.testing import ManualClock
from edgecam.types import EventType

Message = dict[str, Any]

JPEG = b"\xff\xd8\xff\xe0 and so on \xff\xd9"
REFERENCE = SnapshotReference(
    id="1767225600.300000-abcdef", camera="front", label="person", path="/a.jpg", time=1767225610.0, frame=300
)
REFERENCE_PAYLOAD = REFERENCE.model_dump_json().encode()


def complaints(kind: str, value: object) -> list[str]:
    return [error.message for error in Draft202012Validator(schema_for(kind)).iter_errors(value)]


def sent(message: Message) -> Message:
    """A message as it goes out."""
    return message | {"sequence": 17, "late": False, "delay": 0.002}


def message(kind: EventType = EventType.UPDATE, **more: Any) -> Message:
    return sent(frigate_message(None if kind is EventType.NEW else document(), document(kind, **more)))


@pytest.mark.parametrize("kind", SCHEMAS)
def test_each_is_a_schema_of_a_topic(kind: str) -> None:
    schema = schema_for(kind)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DIALECT == Draft202012Validator.META_SCHEMA["$id"]
    assert hasattr(Topics, kind)
    assert json.loads(json.dumps(schema)) == schema


def test_all_objects_are_closed() -> None:
    def objects(node: object) -> list[Message]:
        inner = [found for each in _children(node) for found in objects(each)]
        return [*inner, node] if isinstance(node, dict) and "properties" in node and "type" in node else inner

    found = objects(schema_for("events"))
    assert len(found) == 4
    assert all(each["additionalProperties"] is False and [*each["properties"]] == each["required"] for each in found)


def _children(node: object) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


@pytest.mark.parametrize("kind", list(EventType))
def test_what_edgecam_says_of_an_event_passes(kind: EventType) -> None:
    assert complaints("events", message(kind)) == []
    assert complaints("events", message(kind, snapshot="/a.jpg", stationary=True, motionless_count=90)) == []


def test_what_it_says_of_an_event_of_an_older_journal_passes() -> None:
    end = message(EventType.END, frame_size=[0, 0], cut="edgecam ended")
    assert complaints("events", end) == []


def test_what_the_journal_tells_of_an_event_cut_by_a_crash_passes(tmp_path: Path) -> None:
    old = {key: value for key, value in document(EventType.NEW).items() if key not in ADDED_SINCE}
    with Journal(tmp_path / "edgecam.db", outbox=True, clock=ManualClock()) as journal:
        for number, opened in enumerate((old, document(EventType.NEW))):
            journal.record(opened | {"id": f"1767225600.300000-abcde{number}"})
        journal.close_open_events("edgecam ended")
    with Outbox(tmp_path / "edgecam.db") as outbox:
        messages = [json.loads(each.payload) for each in outbox.pending(0, 10)]
    assert [each["type"] for each in messages] == ["new", "new", "end", "end"]
    assert [complaints("events", sent(each)) for each in messages] == [[], [], [], []]


def remove(*path: str) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        *way, last = path
        for key in way:
            message = message[key]
        del message[last]

    return change


def put(value: object, *path: str) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        *way, last = path
        for key in way:
            message = message[key]
        message[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        remove("sequence"),
        remove("before"),
        remove("after", "frame_size"),
        remove("after", "snapshot", "box"),
        put("gone", "type"),
        put(0, "sequence"),
        put(-0.1, "delay"),
        put(1, "topic"),
        put(None, "before"),
        put(1, "after", "colour"),
        put([0, 0, 10], "after", "box"),
        put([0.1, 0.2, 0.3, 0.4], "after", "box"),
        put([-1, 0, 10, 10], "after", "box"),
        put(1.01, "after", "score"),
        put(True, "after", "score"),
        put("a person", "after", "end_time"),
        put(1767225610.4, "after", "end_time"),
        put(1767225610.4, "before", "end_time"),
        put(True, "after", "false_positive"),
        put(True, "before", "false_positive"),
        put(True, "after", "stationary"),
        put("person", "after", "id"),
        put(["drive", "drive"], "after", "current_zones"),
        put([{"line": "gate"}], "after", "crossings"),
        put("new", "type"),
        put("end", "type"),
    ],
)
def test_what_it_never_says_of_an_event_does_not_pass(change: Callable[[Message], None]) -> None:
    changed = deepcopy(message())
    change(changed)
    assert complaints("events", changed) != []


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("available", b"online"),
        ("available", b"stopped"),
        ("available", b"offline"),
        ("count", b"0"),
        ("active", b"3"),
        ("total", b"12"),
        ("crossed", b"1"),
        ("set", b"ON"),
        ("state", b"OFF"),
        ("picture", JPEG),
        ("snapshot", JPEG),
        ("snapshot", REFERENCE_PAYLOAD),
        ("snapshot_taken", b'{"time": null, "path": null, "frame": null, "error": "no frame came"}'),
        ("take_snapshot", b"PRESS"),
        ("events", json.dumps(message()).encode()),
    ],
)
def test_payloads_that_pass(kind: str, payload: bytes) -> None:
    assert complaints(kind, payload_value(payload)) == []


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("available", b"Online"),
        ("count", b"-1"),
        ("count", b"1.5"),
        ("count", b'"1"'),
        ("state", b"on"),
        ("set", b"1"),
        ("picture", b"GIF89a"),
        ("picture", REFERENCE_PAYLOAD),
        ("snapshot", b'{"id": "1767225600.300000-abcdef"}'),
        ("snapshot_taken", b"{}"),
    ],
)
def test_payloads_that_do_not(kind: str, payload: bytes) -> None:
    assert complaints(kind, payload_value(payload)) != []


@pytest.mark.parametrize("payload", [b"", b"three", b"\xff", b"nul"])
def test_what_is_no_json_is_a_text(payload: bytes) -> None:
    assert payload_value(payload) == payload.decode("latin-1")
    assert all(complaints(kind, payload_value(payload)) for kind in SCHEMAS)


def test_status_and_statistics_pass(tmp_path: Path) -> None:
    clock = ManualClock()
    status, stats = StatusReport(clock), StatsReport(clock)
    clock.advance(10.0)
    told = facts(tmp_path, front=camera(), back=camera(detector=None, camera_lost_since=3.0))
    for kind, report in (("status", status.document(told)), ("stats", stats.document(told))):
        said = payload_value(report.model_dump_json().encode())
        assert complaints(kind, said) == []
        assert complaints(kind, said | {"colour": 1}) != []
        del said["cameras"]
        assert complaints(kind, said) != []


def test_all_topics_have_a_schema() -> None:
    assert set(SCHEMAS) == {name for name in vars(Topics) if not name.startswith("_")} - {"prefix"}


def test_there_is_no_schema_of_what_is_not_said() -> None:
    with pytest.raises(KeyError):
        schema_for("weather")
