"""`edgecam mqtt` at a real broker: what is wrong is said in plain words, and forgetting takes what is ours, no more."""

from __future__ import annotations

import io
import itertools
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from command_line import Edgecam, command_line
from mqtt_broker import CONSUMER, EDGECAM, Certificates, Listener, Mosquitto, free_port, running

from edgecam.config.mqtt import MqttSection
from edgecam.mqtt.credentials import broker_of
from edgecam.mqtt.directory import KINDS
from edgecam.mqtt.discovery import CameraInfo, discovery_messages
from edgecam.mqtt.forgetting import own
from edgecam.mqtt.topics import SWITCHES, Topics
from edgecam.mqtt.visit import BrokerError, BrokerVisit

pytestmark = pytest.mark.any_runtime

TOPICS = Topics()
Write = Callable[..., Path]


@pytest.fixture
def mqtt(capsys: pytest.CaptureFixture[str]) -> Edgecam:
    return command_line(capsys, "mqtt")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a configuration with these keys of [mqtt] and returns its path."""

    def write(more: str = "", **settings: Any) -> Path:
        path = tmp_path / "edgecam.toml"
        keys = {"enabled": True, "host": "127.0.0.1", **settings}
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
        path.write_text(f"[mqtt]\n{lines}\n{more}")
        return path

    return write


def secure(broker: Mosquitto, tmp_path: Path) -> dict[str, Any]:
    """The settings with which edgecam gets into the secure broker."""
    assert broker.certificates is not None
    return login(broker, tmp_path) | {"tls": True, "ca_file": str(broker.certificates.file("ca.crt"))}


def login(broker: Mosquitto, tmp_path: Path) -> dict[str, Any]:
    """The settings with which edgecam gets into a broker with passwords."""
    password = tmp_path / "password"
    password.write_text(EDGECAM[1])
    password.chmod(0o600)
    return {"port": broker.port, "username": EDGECAM[0], "password_file": str(password)}


def states(document: Mapping[str, Any]) -> dict[str, bool]:
    return {finding["name"]: finding["fine"] for finding in document["findings"]}


def test_check_at_a_broker_that_is_well(broker: Mosquitto, mqtt: Edgecam, write: Write) -> None:
    with Listener(broker) as everybody:
        outcome = mqtt("check", "-c", write(port=broker.port))
        assert outcome.code == 0
        assert f"127.0.0.1:{broker.port} speaks MQTT 5, without a user" in outcome.out
        assert "edgecam/# may be written and read" in outcome.out
        assert "no edgecam has been here" in outcome.out
        assert not any(each.retain for each in everybody.received)
    with Listener(broker, client_id="later") as later:
        later.publish("end", b"")
        later.wait_for("end")
        assert [each.topic for each in later.received] == ["end"]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_check_at_a_broker_with_tls_password_and_rules(
    secure_broker: Mosquitto, mqtt: Edgecam, write: Write, tmp_path: Path, version: str
) -> None:
    config = write(version=version, **secure(secure_broker, tmp_path))
    outcome = mqtt("check", "-c", config, "--json")
    assert outcome.code == 0
    assert outcome.document["port"] == secure_broker.port
    assert states(outcome.document) == dict.fromkeys(("enabled", "connection", "topics", "discovery", "edgecam"), True)
    assert EDGECAM[1] not in outcome.out + outcome.err


def test_check_says_that_mqtt_is_not_enabled(broker: Mosquitto, mqtt: Edgecam, write: Write) -> None:
    outcome = mqtt("check", "-c", write(port=broker.port, enabled=False), "--json")
    assert outcome.code == 1
    assert [name for name, fine in states(outcome.document).items() if not fine] == ["enabled"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"tls": False, "ca_file": ""}, "tls = true"),
        ({"ca_file": "other-ca.crt"}, "mqtt.ca_file"),
        ({"username": "nobody"}, "the user 'nobody': check mqtt.username and the password"),
        ({"username": "", "password_file": ""}, "a client without a user"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho drops the socket after bad TLS
@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_check_says_why_the_broker_does_not_let_it_in(
    secure_broker: Mosquitto,
    mqtt: Edgecam,
    write: Write,
    tmp_path: Path,
    version: str,
    changes: dict[str, Any],
    word: str,
) -> None:
    settings = secure(secure_broker, tmp_path) | {"version": version} | changes
    if settings["ca_file"] and "/" not in settings["ca_file"]:
        assert secure_broker.certificates is not None
        settings["ca_file"] = str(secure_broker.certificates.file(settings["ca_file"]))
    outcome = mqtt("check", "-c", write(**settings))
    assert outcome.code == 1
    assert word in outcome.out


def test_check_says_that_a_client_certificate_is_wanted(
    broker_folder: Path, certificates: Certificates, mqtt: Edgecam, write: Write
) -> None:
    with running(Mosquitto(broker_folder, certificates=certificates, client_certificates=True)) as broker:
        settings = {"port": broker.port, "tls": True, "ca_file": str(certificates.file("ca.crt"))}
        outcome = mqtt("check", "-c", write(**settings))
        assert outcome.code == 1
        assert "mqtt.cert_file" in outcome.out
        keys = {
            f"{kind}_file": str(certificates.file(f"client.{end}")) for kind, end in (("cert", "crt"), ("key", "key"))
        }
        assert mqtt("check", "-c", write(**settings, **keys)).code == 0


def test_check_says_that_nobody_is_there(mqtt: Edgecam, write: Write) -> None:
    outcome = mqtt("check", "-c", write(port=free_port()))
    assert outcome.code == 1
    assert "is the broker running" in outcome.out
    outcome = mqtt("check", "-c", write(host="no-such-host.invalid"))
    assert outcome.code == 1
    assert "check mqtt.host" in outcome.out


def test_check_says_that_a_file_is_missing(mqtt: Edgecam, write: Write) -> None:
    outcome = mqtt("check", "-c", write(tls=True, ca_file="/nowhere/ca.pem"))
    assert outcome.code == 78
    assert "mqtt.ca_file '/nowhere/ca.pem': No such file or directory" in outcome.err


@pytest.mark.parametrize(
    ("rules", "version", "wrong"),
    [
        ("topic read edgecam/#\ntopic write homeassistant/#", "5", {"topics": "may not be written"}),
        ("topic write edgecam/#\ntopic write homeassistant/#", "5", {"topics": "may not be read"}),
        ("topic write edgecam/#\ntopic write homeassistant/#", "3.1.1", {"topics": "not be written or not be read"}),
        ("topic readwrite edgecam/#", "5", {"discovery": "homeassistant/device/+/config may not be written"}),
        ("topic readwrite edgecam/#", "3.1.1", {}),
    ],
)
def test_check_finds_rules_that_are_too_strict(
    broker_folder: Path, mqtt: Edgecam, write: Write, tmp_path: Path, rules: str, version: str, wrong: dict[str, str]
) -> None:
    with running(with_rules(broker_folder, f"user edgecam\n{rules}\n")) as broker:
        outcome = mqtt("check", "-c", write(version=version, **login(broker, tmp_path)), "--json")
    found = {finding["name"]: finding["text"] for finding in outcome.document["findings"] if not finding["fine"]}
    assert found.keys() == wrong.keys()
    assert all(text in found[name] for name, text in wrong.items())
    assert outcome.code == bool(wrong)


def with_rules(folder: Path, rules: str) -> Mosquitto:
    """A broker with passwords, these rules, and a limit to what it queues, as mosquitto has without a setting."""
    return Mosquitto(folder, passwords=(EDGECAM, CONSUMER), acl=rules, settings="max_queued_messages 10000")


def test_check_understands_a_broker_that_hangs_up_on_who_writes_too_much(
    broker_folder: Path, mqtt: Edgecam, write: Write, tmp_path: Path
) -> None:
    rules = "user edgecam\ntopic write edgecam/#\n"
    with running(Mosquitto(broker_folder, passwords=(EDGECAM,), acl=rules)) as broker:
        outcome = mqtt("check", "-c", write(**login(broker, tmp_path)))
    assert outcome.code == 1
    assert "rules (ACL)" in outcome.out


NUMBERS = itertools.count()
LABELS = ("person", "a/b", "cell phone")
ZONES = {"porch": (), "drive": ("car",)}
LINES = {"gate": ("in", "out")}
FOREIGN = {
    "weather/temperature": b"21",
    "edgecamera/front/person": b"1",
    "edgecam/front/notes/mine": b"x",
    "edgecam/garage/available": b"online",
    "edgecam/garage/status": b"{}",
    "edgecam/garage/front/detect/state": b"ON",
    "homeassistant/sensor/edgecam/config": b"{}",
    "homeassistant/device/other/config": b'{"origin": {"name": "other"}, "availability": []}',
    "homeassistant/device/junk/config": b"junk",
}
"""What others have retained; `edgecam/garage` is the prefix of another edgecam."""


def retained_by_edgecam() -> dict[str, bytes]:
    """One retained payload for each topic that edgecam may have, and its discovery messages."""
    said = dict(discovery_messages(MqttSection(), TOPICS, {"front": CameraInfo(LABELS, ZONES, LINES)}, "1"))
    said |= dict.fromkeys((TOPICS.available, TOPICS.status, TOPICS.stats), b"stopped")
    for place in ("front", *ZONES):
        said |= {TOPICS.total(place): b"0", TOPICS.total_active(place): b"0"}
        for label in LABELS:
            said |= dict.fromkeys((TOPICS.count(place, label), TOPICS.active(place, label)), b"0")
    said |= {TOPICS.snapshot("front", label): b"\xff\xd8" for label in LABELS}
    said |= {TOPICS.crossed("front", line, way): b"0" for line, ways in LINES.items() for way in ways}
    said |= {TOPICS.state("front", switch): b"ON" for switch in SWITCHES}
    said |= {TOPICS.set("front", switch): b"ON" for switch in SWITCHES}
    said |= dict.fromkeys(
        (TOPICS.picture("front"), TOPICS.take_snapshot("front"), TOPICS.snapshot_taken("front")), b"1"
    )
    # A camera, and another edgecam's, that are no longer in the configuration.
    said |= {TOPICS.count("attic", "ghost"): b"1"}
    other = discovery_messages(MqttSection(), Topics("house"), {"front": CameraInfo(("person",))}, "1")
    return said | {topic: payload for topic, payload in other if topic not in said}


def still_retained(broker: Mosquitto, login: tuple[str, str] | None = None) -> dict[str, bytes]:
    """All that the broker keeps for whoever comes."""
    with Listener(broker, client_id=f"looker-{next(NUMBERS)}", login=login) as looker:
        looker.publish("end", b"end")
        looker.wait_for("end")
        return {each.topic: each.payload for each in looker.received if each.topic != "end"}


def keep(broker: Mosquitto, said: Mapping[str, bytes], login: tuple[str, str] | None = None) -> None:
    with Listener(broker, "nothing", client_id="writer", login=login) as writer:
        for topic, payload in said.items():
            writer.publish(topic, payload, retain=True)


def house(said: Mapping[str, bytes]) -> dict[str, bytes]:
    """What belongs to the edgecam with the prefix `house`."""
    return {topic: payload for topic, payload in said.items() if "/house" in topic}


def test_forget_takes_all_that_is_ours_and_nothing_else(
    secure_broker: Mosquitto, mqtt: Edgecam, write: Write, tmp_path: Path
) -> None:
    said = retained_by_edgecam()
    others = FOREIGN | house(said)
    keep(secure_broker, said | FOREIGN, CONSUMER)
    assert still_retained(secure_broker, CONSUMER) == said | FOREIGN
    outcome = mqtt("forget", "-c", write(**secure(secure_broker, tmp_path)), "--yes", "--json")
    assert outcome.code == 0
    assert sorted(outcome.document["forgotten"]) == sorted(said.keys() - others.keys())
    assert still_retained(secure_broker, CONSUMER) == others
    again = mqtt("forget", "-c", write(**secure(secure_broker, tmp_path)))
    assert (again.code, again.out) == (0, "0 topics forgotten\n")


def test_forget_takes_more_than_the_window(broker: Mosquitto, mqtt: Edgecam, write: Write) -> None:
    keep(broker, {TOPICS.count("front", f"label {number}"): b"1" for number in range(120)})
    outcome = mqtt("forget", "-c", write(port=broker.port, version="3.1.1"), "-y")
    assert outcome.out.startswith("120 topics forgotten\n")
    assert still_retained(broker) == {}


def test_forget_asks_first(broker: Mosquitto, mqtt: Edgecam, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {TOPICS.count("front", f"label {number}"): b"1" for number in range(12)} | {TOPICS.available: b"online"}
    keep(broker, said)
    config = write(port=broker.port)
    for answer, code, word in (("n\n", 1, "nothing was forgotten"), ("", 1, "give --yes")):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        outcome = mqtt("forget", "-c", config)
        assert outcome.code == code
        assert word in outcome.err
        assert "edgecam is connected to this broker" in outcome.err
        assert "... and 3 more" in outcome.err
        assert outcome.out.strip() == ""
    assert still_retained(broker) == said
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert mqtt("forget", "-c", config).code == 0
    assert still_retained(broker) == {}


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_forget_says_when_it_may_not(
    broker_folder: Path, mqtt: Edgecam, write: Write, tmp_path: Path, version: str
) -> None:
    rules = "user edgecam\ntopic read edgecam/#\n\nuser consumer\ntopic readwrite #\n"
    with running(with_rules(broker_folder, rules)) as broker:
        keep(broker, {TOPICS.status: b"{}"}, CONSUMER)
        outcome = mqtt("forget", "-c", write(version=version, **login(broker, tmp_path)), "-y")
    assert outcome.code == 1
    assert "still keeps 1 of 1 topics, such as edgecam/status: let this user write" in outcome.err


def test_what_lies_below_another_edgecam_is_not_ours() -> None:
    assert dict(own(FOREIGN, MqttSection())) == {}
    below = dict(own(FOREIGN, MqttSection(prefix="edgecam/garage")))
    assert below == {topic: payload for topic, payload in FOREIGN.items() if topic.startswith("edgecam/garage/")}


def test_a_broker_that_says_nothing_is_not_waited_for_without_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        settings = MqttSection(host="127.0.0.1", port=mute.getsockname()[1])
        with pytest.raises(BrokerError, match="does not answer"), BrokerVisit(broker_of(settings), limit=0.2):
            pass


def test_a_broker_that_talks_nonsense_is_told_as_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as other:
        other.submit(_talk_http, server)
        settings = MqttSection(host="127.0.0.1", port=server.getsockname()[1])
        with pytest.raises(BrokerError, match="MQTT broker"), BrokerVisit(broker_of(settings), limit=5):
            pass


def _talk_http(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


CLIENT = """
import sys, time
from edgecam.config.mqtt import MqttSection
from edgecam.mqtt.credentials import broker_of
from edgecam.mqtt.discovery import CameraInfo, discovery_messages
from edgecam.mqtt.topics import Topics
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

config, topics = MqttSection(), Topics()
client = Client(CallbackAPIVersion.VERSION2)
client.will_set(topics.available, b"offline", qos=1, retain=True)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
client.publish(topics.available, b"online", qos=1, retain=True)
for topic, payload in discovery_messages(config, topics, {"front": CameraInfo(("person",))}, "1"):
    client.publish(topic, payload, qos=1, retain=True)
time.sleep(600)
"""
"""What an edgecam says first, then it lives until it is killed."""


def test_discovery_is_retained_and_availability_ends_by_the_will(broker: Mosquitto) -> None:
    process = subprocess.Popen([sys.executable, "-c", CLIENT, str(broker.port)])
    try:
        with Listener(broker, client_id="assistant") as assistant:
            assistant.wait_for("homeassistant/device/edgecam-front/config")
            assert assistant.payloads(TOPICS.available) == [b"online"]
            process.kill()
            assistant.wait_for(TOPICS.available, b"offline")
    finally:
        process.kill()
        process.wait()
    found = still_retained(broker)
    for topic in ("homeassistant/device/edgecam/config", "homeassistant/device/edgecam-front/config"):
        place = json.loads(found[topic])["availability"][0]
        assert found[place["topic"]] == place["payload_not_available"].encode()


def test_every_topic_is_listed(mqtt: Edgecam, write: Write) -> None:
    config = write(
        """
[events]
labels = ["person", "car"]
[cameras.front]
type = "synthetic"
[cameras.front.zones.drive]
polygon = [[0, 0], [1, 0], [1, 1]]
labels = ["car"]
[cameras.front.lines.gate]
points = [[0, 0], [1, 1]]
directions = ["in", "out"]
"""
    )
    listed = {entry["topic"]: entry for entry in mqtt("topics", "-c", config, "--json").document}
    assert len(listed) == 27
    assert listed["edgecam/drive/car/active"]["retained"]
    assert listed["edgecam/front/lines/gate/out"]["name"] == "crossed"
    assert listed["edgecam/front/detect/set"]["command"]
    assert {entry["name"] for entry in listed.values()} == KINDS.keys()
    text = mqtt("topics", "-c", config).out
    assert re.search(r"^edgecam/front/snapshot +others +PRESS", text, re.MULTILINE)
    assert re.search(r"^edgecam/front/person +edgecam, retained +how many", text, re.MULTILINE)


def test_labels_that_are_not_named_are_listed_as_such(mqtt: Edgecam, write: Write) -> None:
    config = write('snapshots = "off"\n[cameras.front]\ntype = "synthetic"\n')
    topics = {entry["topic"] for entry in mqtt("topics", "-c", config, "--json").document}
    assert "edgecam/front/LABEL" in topics
    assert not {"edgecam/front/LABEL/snapshot", "edgecam/front/picture"} & topics


def test_there_is_a_kind_for_everything_that_topics_can_name() -> None:
    assert {name for name in vars(Topics) if not name.startswith("_")} - {"prefix"} == KINDS.keys()


def test_schemas_are_printed(mqtt: Edgecam) -> None:
    everything = mqtt("schema").document
    assert mqtt("schema", "events").document == everything["events"]
    jsonschema.Draft202012Validator.check_schema(everything["events"])
    outcome = mqtt("schema", "nonsense")
    assert outcome.code == 1
    assert outcome.err.startswith("edgecam: no schema nonsense: there are ")
