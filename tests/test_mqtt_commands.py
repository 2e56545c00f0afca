"""Commands: the valid ones are obeyed and answered, anything else changes nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from random import Random

import pytest

from edgecam.mqtt.commands import LONGEST, QUIET, Commands
from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.topics import SWITCHES, Topics
from edgecam.switches import Switches
from edgecam.testing import ManualClock

pytestmark = pytest.mark.any_runtime

TOPICS = Topics("home/cams")
CAMERAS = ("front", "back-yard")
FUZZ = 100_000


class Desk:
    """Two cameras' switches, and whoever commands them."""

    def __init__(self) -> None:
        self.switches = {camera: Switches() for camera in CAMERAS}
        self.retained = RetainedTopics()
        self.pictures: list[str] = []
        self.clock = ManualClock()
        self.commands = Commands(TOPICS, self.switches, self.retained, self.pictures.append, self.clock)

    def states(self) -> dict[str, bool]:
        return {f"{camera} {name}": own[name] for camera, own in self.switches.items() for name in SWITCHES}

    def told(self) -> dict[str, bytes]:
        return dict(self.retained.take())


def test_how_the_switches_stand_is_told_from_the_start() -> None:
    told = Desk().told()
    assert told == {TOPICS.state(camera, name): b"ON" for camera in CAMERAS for name in SWITCHES}


def test_it_listens_to_every_command() -> None:
    assert sorted(Desk().commands.subscriptions()) == sorted(
        f"home/cams/{camera}/{topic}"
        for camera in CAMERAS
        for topic in ("detect/set", "recordings/set", "snapshots/set", "snapshot")
    )


@pytest.mark.parametrize("payload", [b"OFF", b"off", b"Off"])
@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_set_and_says_so(name: str, payload: bytes) -> None:
    desk = Desk()
    desk.told()
    desk.commands.handle(f"home/cams/front/{name}/set", payload)
    assert [switch for switch, on in desk.states().items() if not on] == [f"front {name}"]
    assert desk.told() == {f"home/cams/front/{name}/state": b"OFF"}
    desk.commands.handle(f"home/cams/front/{name}/set", b"ON")
    assert all(desk.states().values())
    assert desk.told() == {f"home/cams/front/{name}/state": b"ON"}


def test_a_command_that_changes_nothing_is_answered_too() -> None:
    desk = Desk()
    desk.told()
    desk.commands.handle("home/cams/front/detect/set", b"ON")
    assert desk.told() == {"home/cams/front/detect/state": b"ON"}


def test_a_picture_is_asked_for() -> None:
    desk = Desk()
    for payload in (b"PRESS", b"press", b"", b"now"):
        desk.commands.handle("home/cams/back-yard/snapshot", payload)
    assert desk.pictures == ["back-yard", "back-yard"]


def test_what_the_broker_kept_from_before_is_not_obeyed(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.commands.handle("home/cams/front/detect/set", b"OFF", True)
    desk.commands.handle("home/cams/front/snapshot", b"PRESS", True)
    assert (all(desk.states().values()), desk.pictures) == (True, [])
    assert "kept by the broker from before, not obeyed: send commands without retain" in caplog.text


def test_junk_is_refused_with_a_line_that_says_what_is_allowed(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.commands.handle("home/cams/front/detect/set", b"\x00\xff maybe\n" + b"x" * 1_000_000)
    desk.clock.advance(QUIET)
    desk.commands.handle("home/cams/front/snapshot", b"ON")
    desk.clock.advance(QUIET)
    desk.commands.handle("home/cams/nobody\n/detect/set", b"ON")
    assert [record.getMessage() for record in caplog.records] == [
        rf"mqtt: b'\x00\xff maybe\n{'x' * 51}'… on 'home/cams/front/detect/set': not understood: allowed is ON or OFF",
        "mqtt: b'ON' on 'home/cams/front/snapshot': not understood: allowed is PRESS",
        r"mqtt: b'ON' on 'home/cams/nobody\n/detect/set': not understood: allowed is another topic",
    ]


def test_much_junk_is_a_few_lines_that_count_it(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    for _ in range(60):
        desk.commands.handle("home/cams/front/detect/set", b"junk")
        desk.clock.advance(QUIET / 20)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert not lines[0].endswith("more before it)")
    assert lines[2].endswith("(19 more before it)")


WORDS = (b"ON", b"OFF", b"PRESS", b"on", b"oFf", b"press")
ALMOST = (b" ON", b"ON\n", b"ON\0", b'"ON"', b"true", b"1", b"", b"\0", b"\xff\xfe", b"O\xcc\x84N", b"ON ", b"OFFF")
DOCUMENTS: tuple[object, ...] = ({"state": "ON"}, ["OFF"], 1e300, None, {"a": [[[]]] * 5}, "PRESS")
KINDS: tuple[Callable[[Random], bytes], ...] = (
    lambda random: random.randbytes(random.randrange(12)),
    lambda random: bytes(random.choices(b"ONFonfPRESpres\0 ", k=random.randrange(7))),
    lambda random: random.choice(WORDS),
    lambda random: random.choice(ALMOST),
    lambda random: json.dumps(random.choice(DOCUMENTS)).encode(),
    lambda random: "".join(map(chr, random.choices(range(0x10FFFF), k=4))).encode(errors="ignore"),
    lambda random: random.choice(WORDS) * random.randrange(2, 50),
    lambda random: b"ON" + bytes(1 << random.randrange(20) if random.random() < 0.001 else 9),
)
"""Payloads such as somebody, or something, might send."""


def near_misses(topic: str) -> Iterator[str]:
    """Topics that look like this one."""
    yield from (topic + "/", "/" + topic, topic.upper(), topic + "\0", topic.replace("front", "frönt"), topic[:-1])
    yield from (topic.replace("/set", "/state"), topic.replace("home/cams", "edgecam"), topic + "/set", "", "#", "+")


def test_whatever_is_sent_only_valid_commands_change_anything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    random, desk = Random(5), Desk()
    expected, pictures, obeyed = desk.states(), 0, 0
    for number in range(FUZZ):
        for topic in desk.commands.subscriptions():
            payload, retained = random.choice(KINDS)(random), random.random() < 0.1
            desk.commands.handle(topic, payload, retained)
            camera, name, *_ = topic.removeprefix("home/cams/").split("/")
            if not retained and name in SWITCHES and payload.upper() in (b"ON", b"OFF"):
                expected[f"{camera} {name}"] = payload.upper() == b"ON"
                obeyed += 1
            pictures += not retained and name == "snapshot" and payload.upper() == b"PRESS"
        if number % 10 == 0:
            assert desk.states() == expected
    assert desk.states() == expected
    assert len(desk.pictures) == pictures
    assert min(pictures, obeyed) > FUZZ / 20
    assert desk.told() == {
        TOPICS.state(camera, name): b"ON" if expected[f"{camera} {name}"] else b"OFF"
        for camera in CAMERAS
        for name in SWITCHES
    }


def test_a_topic_that_is_nearly_right_is_not(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    topics = desk.commands.subscriptions()
    misses = {miss for topic in topics for miss in near_misses(topic)} - {*topics}
    for miss in sorted(misses):
        for payload in WORDS:
            desk.commands.handle(miss, payload)
            desk.clock.advance(QUIET)
    assert (all(desk.states().values()), desk.pictures) == (True, [])
    assert len(caplog.records) == len(misses) * len(WORDS)


def test_the_longest_command_is_understood() -> None:
    assert max(map(len, (b"ON", b"OFF", b"PRESS"))) == LONGEST
