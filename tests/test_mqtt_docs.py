"""docs/mqtt.md says what the code does: every topic, key and setting, and none that there is not."""

from __future__ import annotations

import json
import re
import sys
import textwrap
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mqtt_broker import EDGECAM, Mosquitto, running

from edgecam.config.mqtt import MqttSection
from edgecam.mqtt.checking import check, check_topic
from edgecam.mqtt.directory import KINDS
from edgecam.mqtt.discovery import discovery_topic
from edgecam.mqtt.schemas import SCHEMAS, payload_value, schema_for
from edgecam.mqtt.topics import SWITCHES, Topics

pytestmark = pytest.mark.any_runtime

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
mqtt_docs = import_module("mqtt_docs")

TEXT = (ROOT / "docs" / "mqtt.md").read_text(encoding="utf-8")
TOPIC = re.compile(r"(?<![\w/-])edgecam/[\w/#+]+")
CAPITALS = re.compile(r"[A-Z]+")


def test_the_parts_that_the_code_knows_are_up_to_date() -> None:
    assert mqtt_docs.written(TEXT) == TEXT, "run tools/mqtt_docs.py"
    assert set(mqtt_docs.PART.findall(TEXT)) == mqtt_docs.parts().keys()


def test_every_topic_has_its_row_and_its_schema() -> None:
    assert set(SCHEMAS) == KINDS.keys()
    for kind in KINDS.values():
        assert f"| `{mqtt_docs.template(kind)}` | {kind.says} |" in TEXT


def test_every_setting_has_its_row() -> None:
    for key in MqttSection.model_fields:
        assert f"| `{key}` |" in TEXT


def keys_of(schema: Any) -> set[str]:
    """All keys that a schema has names for, however deep."""
    if isinstance(schema, list):
        return {key for each in schema for key in keys_of(each)}
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", {})) | {key for inner in schema.values() for key in keys_of(inner)}


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_key_of_every_payload_is_told(kind: str) -> None:
    for key in keys_of(schema_for(kind)):
        assert re.search(rf"[`.]{key}`", TEXT), f"{kind}: {key}"


@pytest.mark.parametrize("kind", mqtt_docs.KEYS)
def test_the_examples_are_what_is_said(kind: str) -> None:
    (example,) = re.findall(rf"<!-- example-{kind} -->\n```json\n(.*?)```", TEXT, re.DOTALL)
    jsonschema.validate(payload_value(example.encode()), schema_for(kind))


def is_known(topic: str) -> bool:
    """Whether a topic of the text fits one of ours, with any names for those in capitals."""
    for kind in KINDS.values():
        pattern = CAPITALS.sub("[^/]+", mqtt_docs.template(kind)).replace(
            "[^/]+/set", f"({'|'.join(SWITCHES)}|SWITCH)/set"
        )
        if re.fullmatch(pattern, topic):
            return True
    return topic in (f"{Topics().prefix}/#", check_topic(MqttSection()))


def test_every_topic_of_the_text_is_one_of_ours() -> None:
    topics = set(TOPIC.findall(TEXT))
    assert {"edgecam/events", "edgecam/front/detect/set", "edgecam/front/snapshot"} <= topics
    assert [topic for topic in topics if not is_known(topic)] == []


def test_a_topic_that_there_is_not_would_be_noticed() -> None:
    assert not is_known("edgecam/event")
    assert not is_known("edgecam/front/motion/set")
    assert not is_known("edgecam/front/person/state/now")


def test_the_discovery_topics_of_the_text_are_ours() -> None:
    assert discovery_topic("homeassistant", "ID") in TEXT
    assert discovery_topic("homeassistant", "+") in TEXT
    assert "homeassistant/status" in TEXT


def test_the_commands_of_the_text_exist() -> None:
    from edgecam.commands import mqtt

    told = set(re.findall(r"edgecam mqtt ([a-z]+)", TEXT))
    assert told == {
        command.callback.__name__ if command.callback else "" for command in mqtt.commands.registered_commands
    }


def blocks(first: str) -> list[str]:
    """The indented blocks of the text that begin with this line."""
    found = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", TEXT, re.MULTILINE)
    plain = [textwrap.dedent(block).lstrip("\n") for block in found]
    return [block for block in plain if block.startswith(first)]


def test_the_settings_of_the_text_are_taken() -> None:
    told = [tomllib.loads(block)["mqtt"] for block in blocks("[mqtt]\n")]
    assert len(told) == 2
    for settings in told:
        assert MqttSection.model_validate(settings).enabled


def test_the_rules_of_the_text_let_edgecam_do_all_it_needs(
    broker_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rules,) = blocks("user edgecam\n")
    with running(
        Mosquitto(broker_folder, passwords=(EDGECAM,), acl=rules, settings="max_queued_messages 1000")
    ) as broker:
        settings = MqttSection(enabled=True, host="127.0.0.1", port=broker.port, username=EDGECAM[0])
        monkeypatch.setenv("EDGECAM_MQTT_PASSWORD", EDGECAM[1])
        findings = list(check(settings))
    assert [finding for finding in findings if not finding.fine] == []
    assert len(findings) == 5


def test_the_automation_of_the_text_understands_an_event() -> None:
    template = re.search(r"value_template: >\n(.*?)\n +actions", TEXT, re.DOTALL)
    assert template
    jinja2 = pytest.importorskip("jinja2", reason="no template engine like Home Assistant's: install jinja2")
    (example,) = re.findall(r"<!-- example-events -->\n```json\n(.*?)```", TEXT, re.DOTALL)
    event = json.loads(example)
    for late, label, state in ((False, "person", "True"), (True, "person", "False"), (False, "car", "False")):
        event["late"], event["after"]["label"] = late, label
        said = jinja2.Template(template[1]).render(trigger={"payload_json": event})
        assert said.strip() == state
