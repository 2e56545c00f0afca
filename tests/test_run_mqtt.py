"""`edgecam run` at a real broker: what a subscriber gets is what the journal has, whatever was killed in between."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mqtt_broker import EDGECAM, Listener, Mosquitto

from edgecam.bundled import demo_clip
from edgecam.journal import Journal

pytestmark = pytest.mark.any_runtime

LIMIT = 240.0
"""Seconds after which a run has hung; generous, for the slower runtime on a busy machine."""


def write_config(folder: Path, broker: Mosquitto, *, pace: str = "fast", loop: bool = False, mqtt: str = "") -> Path:
    """edgecam on the bundled clip, without the video that would take most of its time."""
    config = folder / "edgecam.toml"
    config.write_text(
        f"""
data_dir = "data"
[detector]
model = "edgecam-demo"
[video]
enabled = false
[mqtt]
enabled = true
host = "127.0.0.1"
port = {broker.port}
stats_interval = 1
{mqtt}
[cameras.street]
type = "video_file"
path = "{demo_clip()}"
pace = "{pace}"
loop = {str(loop).lower()}
""",
        encoding="utf-8",
    )
    return config


def start(config: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgecam", "run", "-c", str(config), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, json.loads(out) if out else {}, err


def events(listener: Listener) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in listener.payloads("edgecam/events")]


def unique(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages without the duplicates that QoS 1 permits, which bear the same number."""
    return list({message["sequence"]: message for message in messages}.values())


def assert_complete(messages: list[dict[str, Any]], journal: Path) -> None:
    """Numbered without a gap, in order, one `new` and one `end` for each event, and as the journal has them."""
    told = unique(messages)
    assert [message["sequence"] for message in told] == list(range(1, len(told) + 1))
    begun = [message["after"]["id"] for message in told if message["type"] == "new"]
    ended = [message["after"]["id"] for message in told if message["type"] == "end"]
    assert len(begun) == len(set(begun)) > 0
    assert sorted(begun) == sorted(ended)
    with Journal(journal, read_only=True) as reader:
        assert sorted(event["id"] for event in reader.events()) == sorted(begun)


@pytest.mark.timeout(LIMIT + 60)
def test_a_subscriber_gets_what_the_journal_has(tmp_path: Path, broker: Mosquitto) -> None:
    with Listener(broker, "edgecam/#", "homeassistant/#") as listener:
        code, summary, err = finish(start(write_config(tmp_path, broker)))
        assert code == 0, err
        listener.wait_for("edgecam/available", b"stopped")
        assert_complete(events(listener), tmp_path / "data" / "edgecam.db")
        assert summary["mqtt"]["spool"] == 0
        assert summary["mqtt"]["lost"] == 0
        assert listener.payloads("edgecam/available")[-2:] == [b"online", b"stopped"]
        now = listener.retained()
        status = json.loads(now["edgecam/status"])
        assert status["cameras"]["street"]["detector"]["model"] == "edgecam-demo"
        assert now["edgecam/street/detect/state"] == b"ON"
        assert now["edgecam/street/person"] == b"0", "all events have ended"
        assert now["edgecam/street/person/snapshot"].startswith(b"\xff\xd8")
        assert any(topic.startswith("homeassistant/device/") for topic in now)
        assert json.loads(now["edgecam/stats"])["cameras"]["street"]["counters"]["frames_captured"] > 0


@pytest.mark.timeout(2 * LIMIT)
def test_what_happened_without_a_broker_is_told_by_the_next_run(tmp_path: Path, broker: Mosquitto) -> None:
    with Listener(broker, "edgecam/#") as listener:
        broker.stop()
        code, summary, err = finish(start(write_config(tmp_path, broker)))
        assert code == 0, err
        assert summary["mqtt"]["spool"] > 0
        broker.start()
        process = start(write_config(tmp_path, broker, pace="realtime"))
        listener.wait_until(lambda: any(message["late"] for message in events(listener)), limit=LIMIT)
        listener.wait_until(lambda: len(events(listener)) >= summary["mqtt"]["spool"], limit=LIMIT)
        process.send_signal(signal.SIGTERM)
        code, summary, err = finish(process)
        assert code == 0, err
        listener.wait_for("edgecam/available", b"stopped")
        assert_complete(events(listener), tmp_path / "data" / "edgecam.db")


@pytest.mark.timeout(2 * LIMIT)
def test_events_that_a_kill_left_open_are_ended_by_the_next_run(tmp_path: Path, broker: Mosquitto) -> None:
    with Listener(broker, "edgecam/#") as listener:
        process = start(write_config(tmp_path, broker, pace="realtime", loop=True))
        listener.wait_for("edgecam/events", limit=LIMIT)
        process.kill()
        process.communicate()
        listener.wait_for("edgecam/available", b"offline")
        code, _, err = finish(start(write_config(tmp_path, broker)))
        assert code == 0, err
        listener.wait_for("edgecam/available", b"stopped", limit=LIMIT)
        assert_complete(events(listener), tmp_path / "data" / "edgecam.db")
        cut = [message for message in events(listener) if message["after"]["cut"]]
        assert cut
        assert {message["type"] for message in cut} == {"end"}


@pytest.mark.timeout(LIMIT + 60)
def test_detection_is_switched_off_and_on_over_mqtt(tmp_path: Path, broker: Mosquitto) -> None:
    with Listener(broker, "edgecam/#") as listener:
        process = start(write_config(tmp_path, broker, pace="realtime", loop=True))
        listener.wait_for("edgecam/street/detect/state", b"ON", limit=LIMIT)
        listener.wait_for("edgecam/events", limit=LIMIT)
        listener.publish("edgecam/street/detect/set", "OFF")
        listener.wait_for("edgecam/street/detect/state", b"OFF")
        listener.wait_until(lambda: open_events(listener) == set(), limit=60.0)
        listener.publish("edgecam/street/snapshot", "PRESS")
        listener.wait_for("edgecam/street/snapshot/state")
        listener.publish("edgecam/street/detect/set", "perhaps")
        seen = len(events(listener))
        listener.publish("edgecam/street/detect/set", "ON")
        listener.wait_until(lambda: len(events(listener)) > seen, limit=LIMIT)
        process.send_signal(signal.SIGTERM)
        code, summary, err = finish(process)
        assert code == 0, err
        assert "perhaps" in err
        assert summary["frames_skipped"] > 0
        taken = json.loads(listener.payloads("edgecam/street/snapshot/state")[-1])
        assert Path(taken["path"]).read_bytes().startswith(b"\xff\xd8")


def open_events(listener: Listener) -> set[str]:
    """The ids of the events that are not over."""
    last = {message["after"]["id"]: message["type"] for message in events(listener)}
    return {event_id for event_id, kind in last.items() if kind != "end"}


@pytest.mark.timeout(LIMIT + 60)
def test_a_password_and_tls(tmp_path: Path, secure_broker: Mosquitto) -> None:
    assert secure_broker.certificates is not None
    secret = tmp_path / "password"
    secret.write_text(EDGECAM[1] + "\n", encoding="utf-8")
    secret.chmod(0o600)
    authority = secure_broker.certificates.file("ca.crt")
    mqtt = f'tls = true\nca_file = "{authority}"\nusername = "{EDGECAM[0]}"\npassword_file = "password"'
    code, summary, err = finish(start(write_config(tmp_path, secure_broker, mqtt=mqtt)))
    assert code == 0, err
    assert summary["mqtt"]["acknowledged"] > 0
    assert summary["mqtt"]["spool"] == 0
    assert EDGECAM[1] not in err
    assert EDGECAM[1] not in json.dumps(summary)


def test_a_certificate_that_is_not_there_is_a_configuration_error(tmp_path: Path, broker: Mosquitto) -> None:
    code, summary, err = finish(start(write_config(tmp_path, broker, mqtt='tls = true\nca_file = "nowhere.crt"')))
    assert (code, summary) == (78, {})
    assert "mqtt.ca_file" in err
    assert "nowhere.crt" in err
