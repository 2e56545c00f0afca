"""Discovery messages hold what Home Assistant accepts, and nothing that it would drop."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.config import SyntheticConfig
from edgecam.config.events import EventsSection
from edgecam.config.mqtt import MqttSection
from edgecam.health.facts import CameraFacts, Facts, MqttFacts
from edgecam.health.stats import CameraLatencies, Counts, StatsReport
from edgecam.health.status import StatusReport
from edgecam.latency import Latency
from edgecam.mqtt.discovery import (
    CameraInfo,
    HomeAssistant,
    camera_info,
    discovery_messages,
    identity,
    shown_labels,
    speaks_of,
)
from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.topics import SWITCHES, Topics
from edgecam.testing import ManualClock
from edgecam.types import DetectorInfo

pytestmark = pytest.mark.any_runtime

TOPICS = Topics("edgecam")
ACCEPTED: dict[str, Any] = json.loads((Path(__file__).parent / "home_assistant_keys.json").read_text())["releases"]
CAMERAS = {
    "front_door": CameraInfo(
        ("person", "cell phone"), {"porch": (), "drive": ("car",)}, {"gate": ("in", "out"), "kerb": ("left", "right")}
    ),
    "yard": CameraInfo(("dog",)),
}
EXCLUSIVE = (("availability", "availability_topic"), ("image_topic", "url_topic"))
OBJECT_ID = re.compile(r"[a-zA-Z0-9_-]+")
"""What Home Assistant takes as an id in a discovery topic."""


def documents(
    cameras: Mapping[str, CameraInfo] = CAMERAS, topics: Topics = TOPICS, **settings: Any
) -> dict[str, dict[str, Any]]:
    """The discovery documents by their topics."""
    messages = discovery_messages(MqttSection(prefix=topics.prefix, **settings), topics, cameras, "1.2.3")
    return {topic: json.loads(payload) for topic, payload in messages}


def complaints(document: dict[str, Any], accepted: dict[str, Any]) -> Iterator[str]:
    """What a release of Home Assistant would find wrong, as its schemas say, and more: what it would silently drop."""
    yield from _keys("document", document, accepted["document"])
    for part in ("device", "origin"):
        yield from _keys(part, document.get(part, {}), accepted[part])
    if not document.get("device", {}).get("identifiers"):
        yield "device: nothing identifies it"
    shared = {key: value for key, value in document.items() if key in accepted["inherited"]}
    for name, component in document["components"].items():
        yield from _component(name, component, shared, accepted)


def _keys(where: str, found: dict[str, Any], accepted: dict[str, list[str]]) -> Iterator[str]:
    for key in found.keys() - set(accepted["allowed"]):
        yield f"{where}: {key} is not known"
    for key in set(accepted["required"]) - found.keys():
        yield f"{where}: {key} is missing"


def _component(name: str, component: dict[str, Any], shared: dict[str, Any], accepted: dict[str, Any]) -> Iterator[str]:
    config = dict(component)
    platform = config.pop("platform", None)
    if platform not in accepted["platforms"]:
        yield f"{name}: platform {platform}"
        return
    merged = {
        **{key: value for key, value in shared.items() if key in accepted["platforms"][platform]["allowed"]},
        **config,
    }
    yield from _keys(name, merged, accepted["platforms"][platform])
    for group in EXCLUSIVE:
        if len(merged.keys() & set(group)) > 1:
            yield f"{name}: {' and '.join(group)}"
    if "unique_id" not in config:
        yield f"{name}: unique_id is missing"
    if platform == "image" and not merged.keys() & {"image_topic", "url_topic"}:
        yield f"{name}: no topic"
    yield from _values(name, platform, merged, accepted)


def _values(name: str, platform: str, config: dict[str, Any], accepted: dict[str, Any]) -> Iterator[str]:
    classes = accepted["device_classes"].get(platform)
    if "device_class" in config and classes is not None and config["device_class"] not in classes:
        yield f"{name}: device_class {config['device_class']}"
    if "state_class" in config and config["state_class"] not in accepted["state_classes"]:
        yield f"{name}: state_class {config['state_class']}"
    if "options" in config and (
        config.get("device_class") != "enum" or config.keys() & {"state_class", "unit_of_measurement"}
    ):
        yield f"{name}: options are for enum only"
    category = config.get("entity_category")
    if category not in (None, "diagnostic") and (category != "config" or platform in ("sensor", "binary_sensor")):
        yield f"{name}: entity_category {category}"
    for key, value in config.items():
        if key.endswith("topic") and any(sign in value for sign in "+#\0"):
            yield f"{name}: {key} {value} has a wildcard"
    for place in config.get("availability", ()):
        yield from _keys(f"{name}: availability", place, {
            "required": ["topic"], "allowed": ["topic", "payload_available", "payload_not_available", "value_template"],
        })  # fmt: skip


@pytest.mark.parametrize("release", ACCEPTED)
@pytest.mark.parametrize("snapshots", ["bytes", "reference", "off"])
def test_home_assistant_takes_every_message(release: str, snapshots: str) -> None:
    found = documents(snapshots=snapshots)
    assert len(found) == 3
    for document in found.values():
        assert list(complaints(document, ACCEPTED[release])) == []


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda document: document.pop("origin"), "document: origin is missing"),
        (lambda document: document["origin"].pop("name"), "origin: name is missing"),
        (lambda document: document["device"].update(sw="1"), "device: sw is not known"),
        (lambda document: document["device"].pop("identifiers"), "device: nothing identifies it"),
        (lambda document: document["components"]["all-count"].update(unit="1"), "all-count: unit is not known"),
        (lambda document: document["components"]["all-count"].pop("state_topic"), "all-count: state_topic is missing"),
        (lambda document: document["components"]["all-count"].pop("unique_id"), "all-count: unique_id is missing"),
        (lambda document: document.update(availability_topic="x"), "all-count: availability and availability_topic"),
    ],
)
def test_what_home_assistant_would_drop_is_noticed(spoil: Callable[[dict[str, Any]], None], complaint: str) -> None:
    document = documents()["homeassistant/device/edgecam-yard/config"]
    spoil(document)
    for accepted in ACCEPTED.values():
        assert complaint in set(complaints(document, accepted))


def test_there_is_a_device_for_each_camera_and_one_for_edgecam_which_they_are_reached_through() -> None:
    found = documents()
    assert list(found) == [
        "homeassistant/device/edgecam/config",
        "homeassistant/device/edgecam-front__door/config",
        "homeassistant/device/edgecam-yard/config",
    ]
    hub, door, _ = (document["device"] for document in found.values())
    assert (hub["identifiers"], hub["name"], hub["sw_version"]) == (["edgecam"], "edgecam", "1.2.3")
    assert (door["name"], door["via_device"]) == ("Front door", "edgecam")


def test_no_two_entities_have_an_id_in_common() -> None:
    ids = [component["unique_id"] for document in documents().values() for component in document["components"].values()]
    assert len(ids) == len(set(ids))


def test_within_a_device_no_two_entities_have_a_name_in_common() -> None:
    for document in documents().values():
        names = [component["name"] for component in document["components"].values()]
        assert len(names) == len(set(names))


def test_every_topic_is_one_of_ours() -> None:
    door = documents()["homeassistant/device/edgecam-front__door/config"]
    assert topics_of(door) == {
        TOPICS.available, TOPICS.status, TOPICS.stats,
        TOPICS.total("front_door"), TOPICS.total("porch"), TOPICS.total("drive"),
        *(TOPICS.count(place, label) for place in ("front_door", "porch") for label in ("person", "cell phone")),
        TOPICS.count("drive", "car"),
        *(TOPICS.active("front_door", label) for label in ("person", "cell phone")),
        *(TOPICS.snapshot("front_door", label) for label in ("person", "cell phone")),
        TOPICS.crossed("front_door", "gate", "in"), TOPICS.crossed("front_door", "gate", "out"),
        TOPICS.crossed("front_door", "kerb", "left"), TOPICS.crossed("front_door", "kerb", "right"),
        *(TOPICS.state("front_door", switch) for switch in SWITCHES),
        *(TOPICS.set("front_door", switch) for switch in SWITCHES),
        TOPICS.picture("front_door"), TOPICS.take_snapshot("front_door"),
    }  # fmt: skip


def topics_of(document: dict[str, Any]) -> set[str]:
    places = [
        *document["availability"],
        *(each for component in document["components"].values() for each in component.get("availability", ())),
    ]
    named = list(document["components"].values())
    return {place["topic"] for place in places} | {
        value for component in named for key, value in component.items() if key.endswith("topic")
    }


def test_what_a_camera_sees_is_available_only_while_it_sees() -> None:
    door = documents()["homeassistant/device/edgecam-front__door/config"]
    assert [place["topic"] for place in door["availability"]] == [TOPICS.available, TOPICS.status]
    assert door["availability_mode"] == "all"
    always = {name for name, component in door["components"].items() if "availability" in component}
    assert all(
        [place["topic"] for place in door["components"][name]["availability"]] == [TOPICS.available] for name in always
    )
    assert {name.partition("-")[0] for name in always} == {"switch", "take", "diagnostic", "picture"}
    assert {name.partition("-")[0] for name in door["components"].keys() - always} == {"all", "label", "zone", "line"}


def test_pictures_are_shown_where_pictures_are_sent() -> None:
    def platforms(snapshots: str) -> set[str]:
        found = documents(snapshots=snapshots).values()
        return {component["platform"] for document in found for component in document["components"].values()}

    assert platforms("bytes") - platforms("reference") == {"camera", "image"}
    assert platforms("off") == platforms("reference")


def home_assistant(**settings: Any) -> tuple[HomeAssistant, RetainedTopics]:
    """What speaks to Home Assistant, and what it speaks through."""
    config, retained = MqttSection(**settings), RetainedTopics()
    return HomeAssistant(config, retained, discovery_messages(config, TOPICS, CAMERAS, "1")), retained


def test_without_discovery_nothing_is_said() -> None:
    assert documents(discovery=False) == {}
    speaker, retained = home_assistant(discovery=False)
    speaker.announce()
    assert speaker.subscriptions() == []
    assert not speaker.handle("homeassistant/status", b"online")
    assert retained.take() == []


def test_all_is_said_again_when_home_assistant_is_born() -> None:
    speaker, retained = home_assistant(discovery_prefix="ha")
    speaker.announce()
    said = retained.take()
    assert len(said) == 3
    assert speaker.subscriptions() == ["ha/status"]
    assert not speaker.handle("homeassistant/status", b"online")
    for payload in (b"offline", b"", b"\xff", b"ONLINE"):
        assert speaker.handle("ha/status", payload)
    assert retained.take() == []
    assert speaker.handle("ha/status", b"online")
    assert retained.take() == said


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8) | st.text("ab_-/0", min_size=1, max_size=4)


@given(st.lists(NAMES, min_size=1, max_size=3), st.lists(NAMES, min_size=1, max_size=3))
def test_different_names_have_different_ids_that_home_assistant_takes(ours: list[str], others: list[str]) -> None:
    assert OBJECT_ID.fullmatch(identity(*ours))
    assert (identity(*ours) == identity(*others)) == (ours == others)


def test_messages_are_told_from_those_of_others() -> None:
    for topic, payload in discovery_messages(MqttSection(), TOPICS, CAMERAS, "1"):
        assert topic
        assert speaks_of(payload, TOPICS)
        assert not speaks_of(payload, Topics("house"))
        foreign = json.loads(payload) | {"origin": {"name": "other"}}
        assert not speaks_of(json.dumps(foreign).encode(), TOPICS)


@given(
    st.binary(max_size=64)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["origin", "name", "availability"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_junk_is_nobodys_message(payload: bytes) -> None:
    assert not speaks_of(payload, TOPICS)


def test_labels_that_get_entities_are_few() -> None:
    many = [f"thing {number}" for number in range(80)]
    coco = [*many, "dog", "person", "car", ""]
    assert shown_labels(EventsSection(), coco) == ("person", "car", "dog")
    assert shown_labels(EventsSection(exclude_labels=("car",)), coco) == ("person", "dog")
    assert shown_labels(EventsSection(), ["", *many]) == tuple(many[:8])
    assert shown_labels(EventsSection(labels=("kite", "dog")), coco) == ("kite", "dog")


def test_what_is_configured_is_what_is_shown() -> None:
    camera = SyntheticConfig.model_validate(
        {
            "type": "synthetic",
            "zones": {"drive": {"polygon": [[0, 0], [1, 0], [1, 1]], "labels": ["car"]}},
            "lines": {"gate": {"points": [[0, 0], [1, 1]]}},
        }
    )
    shown = camera_info(camera, EventsSection(), ["person", "car"])
    assert shown == CameraInfo(("person", "car"), {"drive": ("car",)}, {"gate": ("in", "out")})


def facts(folder: Path, **changes: Any) -> Facts:
    """Two cameras and what they have to tell; `changes` are of the front door's."""
    latency = Latency(3, 0.0071, 0.0082, 0.0093)
    well = CameraFacts(
        detector=DetectorInfo("mobiledet", "litert 1.4", "usb:2-1", (320, 320), since=5.0),
        detector_lost_since=None,
        camera_lost_since=None,
        reopened=2,
        switches=dict.fromkeys(SWITCHES, True),
        troubles=(),
        counters=dict.fromkeys(Counts.model_fields, 30),
        latencies=dict.fromkeys(CameraLatencies.model_fields, latency),
    )
    return Facts({"front_door": replace(well, **changes), "yard": well}, MqttFacts(waiting=4, publish=latency), folder)


def told(folder: Path, **changes: Any) -> dict[str, dict[str, Any]]:
    """What is on the topics of status and statistics after ten seconds."""
    clock = ManualClock()
    status, stats = StatusReport(clock), StatsReport(clock, thermal=folder)
    clock.advance(10.0)
    now = facts(folder, **changes)
    return {
        TOPICS.status: json.loads(status.document(now).model_dump_json()),
        TOPICS.stats: json.loads(stats.document(now).model_dump_json()),
    }


def templates(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Name, topic and template of each value that is looked for in a JSON document."""
    for name, component in document["components"].items():
        if component.get("state_topic") in (TOPICS.status, TOPICS.stats):
            yield name, component["state_topic"], component["value_template"]
    for place in document["availability"]:
        if place["topic"] != TOPICS.available:
            yield "sees", place["topic"], place["value_template"]


VALUE = re.compile(r"value_json((?:\.\w+(?![\w(])|\['\w+'\])+)(?!\.get)")
"""What a template looks for in a JSON document."""


def test_every_value_that_is_looked_for_is_told(tmp_path: Path) -> None:
    documents_told = told(tmp_path)
    looked_for = 0
    for document in documents().values():
        for _, topic, template in templates(document):
            camera = re.search(r"set c = (\S+)\.get\((\S+)\)", template)
            within = f"{camera[1]}[{camera[2]}]." if camera else ""
            for path in VALUE.findall(re.sub(r"\bc\.(?=[a-z])", within, template)):
                found = documents_told[topic]
                for key in re.findall(r"\w+", path):
                    found = found[key]
                looked_for += 1
    assert looked_for > 30


def template_engine() -> Any:
    """Home Assistant's template engine with the one filter of its own that is used; strict where that is lenient."""
    jinja2 = pytest.importorskip("jinja2", reason="no template engine like Home Assistant's: install jinja2")
    engine = jinja2.Environment(undefined=jinja2.StrictUndefined)
    engine.filters["as_datetime"] = lambda seconds: datetime.fromtimestamp(seconds, UTC)
    return engine


def rendered(documents_told: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The state of each entity of the front door and of edgecam."""
    engine = template_engine()
    states = {}
    for document in list(documents().values())[:2]:
        for name, topic, template in templates(document):
            states[name] = engine.from_string(template).render(value_json=documents_told[topic])
    return states


def test_home_assistant_shows_how_edgecam_is(tmp_path: Path) -> None:
    states = rendered(told(tmp_path))
    assert float(states.pop("diagnostic-disk")) > 0
    assert float(states.pop("diagnostic-memory")) > 0
    assert float(states.pop("diagnostic-cpu")) >= 0
    assert states == {
        "sees": "online",
        "diagnostic-degraded": "none",
        "diagnostic-reasons": "none",
        "diagnostic-since": "2026-01-01 00:00:10+00:00",
        "diagnostic-clock": "OFF",
        "diagnostic-power": "OFF",
        "diagnostic-runtime": "litert 1.4",
        "diagnostic-spool": "4",
        "diagnostic-oldest": "None",
        "diagnostic-lost": "0",
        "diagnostic-events__lost": "60",
        "diagnostic-temperature": "None",
        "diagnostic-written": "None",
        "diagnostic-uptime": "10.0",
        "diagnostic-publish": "9.3",
        "diagnostic-camera": "ON",
        "diagnostic-reopened": "2",
        "diagnostic-detector": "OFF",
        "diagnostic-device": "usb:2-1",
        "diagnostic-model": "mobiledet",
        "diagnostic-captured": "3.0",
        "diagnostic-analysed": "3.0",
        "diagnostic-inference": "7.1",
        "diagnostic-event": "9.3",
    }


def test_home_assistant_shows_what_is_wrong(tmp_path: Path) -> None:
    lost = rendered(told(tmp_path, camera_lost_since=3.0, troubles=["x" * 300]))
    assert (lost["sees"], lost["diagnostic-camera"]) == ("offline", "OFF")
    assert lost["diagnostic-reasons"].startswith("front_door: the camera is lost; front_door: xxx")
    assert len(lost["diagnostic-reasons"]) == 255
    blind = rendered(told(tmp_path, detector=None, detector_lost_since=3.0))
    assert (blind["sees"], blind["diagnostic-detector"], blind["diagnostic-device"]) == ("offline", "ON", "none")
    gone = {topic: document | {"cameras": {}} for topic, document in told(tmp_path).items()}
    assert {rendered(gone)[name] for name in ("sees", "diagnostic-camera", "diagnostic-captured")} == {""}


@pytest.mark.parametrize(("said", "state"), [("online", "online"), ("stopped", "offline"), ("offline", "offline")])
def test_who_has_stopped_is_not_available(said: str, state: str) -> None:
    engine = template_engine()
    for document in documents().values():
        place = document["availability"][0]
        assert (place["topic"], place["payload_available"], place["payload_not_available"]) == (
            "edgecam/available",
            "online",
            "offline",
        )
        assert engine.from_string(place["value_template"]).render(value=said) == state
