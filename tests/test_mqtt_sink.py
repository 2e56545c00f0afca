"""What a camera sees now: counts, crossings and pictures on their topics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from sink_stories import annotated, event, story, tell

from edgecam.mqtt.pictures import SnapshotReference, SnapshotState
from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.topics import Topics
from edgecam.outlet import Outlet
from edgecam.ports import Sink
from edgecam.sinks.jpeg import Snapshot
from edgecam.sinks.mqtt import MqttSink
from edgecam.sinks.requested import PAUSE, RequestedSnapshotSink
from edgecam.sinks.snapshot import SnapshotSink
from edgecam.testing import ManualClock
from edgecam.types import Crossing, Event, EventType

NEW, UPDATE, END = EventType.NEW, EventType.UPDATE, EventType.END
DAY = f"{datetime(2026, 1, 1, tzinfo=UTC).astimezone():%Y-%m-%d}"


class Broker:
    """What would lie on a broker, by topic below edgecam/."""

    def __init__(self) -> None:
        self.retained = RetainedTopics()
        self._lies: dict[str, bytes] = {}

    def sink(self, **keywords: Any) -> MqttSink:
        return MqttSink(self.retained, Topics(), "front", **keywords)

    def take(self) -> dict[str, bytes]:
        """What is new."""
        new = {topic.removeprefix("edgecam/"): payload for topic, payload in self.retained.take()}
        self._lies |= new
        return new

    def lies(self) -> dict[str, bytes]:
        """All there is."""
        self.take()
        return self._lies

    def numbers(self) -> dict[str, int]:
        return {topic: int(payload) for topic, payload in self.lies().items()}


def about(kind: EventType, number: int, **changes: Any) -> Event:
    return replace(event(kind, number, f"{number}.0-a"), **changes)


def test_what_is_expected_is_announced_with_nothing() -> None:
    broker = Broker()
    keywords = {"labels": ("dog", "cat"), "zones": {"yard": ("cat",), "gate": ()}, "lines": {"door": ("in", "out")}}
    broker.sink(**keywords).open()
    places = {"front": ("dog", "cat", "all"), "yard": ("cat", "all"), "gate": ("dog", "cat", "all")}
    counts = {f"{place}/{label}" for place, labels in places.items() for label in labels}
    crossed = {"front/lines/door/in", "front/lines/door/out"}
    assert broker.numbers() == dict.fromkeys(counts | {f"{each}/active" for each in counts} | crossed, 0)


def test_events_are_counted_by_label_until_they_end() -> None:
    broker = Broker()
    sink = broker.sink()
    tell(sink, about(NEW, 1), about(NEW, 2), about(NEW, 3, label="dog"), about(UPDATE, 1))
    assert broker.numbers() == {
        "front/person": 2, "front/person/active": 2, "front/dog": 1, "front/dog/active": 1,
        "front/all": 3, "front/all/active": 3,
    }  # fmt: skip
    tell(sink, about(END, 1), about(END, 3, label="dog"))
    assert broker.take() == {
        "front/person": b"1", "front/person/active": b"1", "front/dog": b"0", "front/dog/active": b"0",
        "front/all": b"1", "front/all/active": b"1",
    }  # fmt: skip


def test_who_stands_still_is_there_but_not_active() -> None:
    broker = Broker()
    sink = broker.sink()
    tell(sink, about(NEW, 1), about(UPDATE, 1, stationary=True))
    assert broker.numbers() == {"front/person": 1, "front/person/active": 0, "front/all": 1, "front/all/active": 0}
    tell(sink, about(UPDATE, 1))
    assert broker.take() == {"front/person/active": b"1", "front/all/active": b"1"}


def test_who_walks_from_zone_to_zone_is_counted_where_he_is() -> None:
    broker = Broker()
    sink = broker.sink(zones={"yard": (), "gate": ()})
    sink.open()
    tell(sink, about(NEW, 1, current_zones=("gate",)))
    assert {topic for topic, count in broker.numbers().items() if count} == {
        "front/person", "front/person/active", "front/all", "front/all/active",
        "gate/person", "gate/person/active", "gate/all", "gate/all/active",
    }  # fmt: skip
    tell(sink, about(UPDATE, 1, current_zones=("gate", "yard")))
    assert (broker.numbers()["gate/person"], broker.numbers()["yard/person"]) == (1, 1)
    tell(sink, about(UPDATE, 1, current_zones=("yard",)))
    assert (broker.numbers()["gate/person"], broker.numbers()["yard/all"]) == (0, 1)
    tell(sink, about(END, 1, current_zones=("yard",)))
    assert set(broker.numbers().values()) == {0}


def test_the_counts_are_those_of_the_open_events_whatever_happens() -> None:
    random, broker = Random(3), Broker()
    sink = broker.sink(zones={"yard": (), "gate": ()})
    still_open: dict[int, Event] = {}
    for _ in range(2000):
        number = random.randrange(12)
        kind = random.choice((UPDATE, END)) if number in still_open else NEW
        zones = tuple(random.sample(("yard", "gate"), random.randrange(3)))
        now = about(
            kind, number, label=("cat", "dog")[number % 2], current_zones=zones, stationary=random.random() < 0.3
        )
        tell(sink, now)
        still_open[number] = now
        if kind is END:
            del still_open[number]
        assert {topic: count for topic, count in broker.numbers().items() if count} == counted(still_open)


def counted(still_open: dict[int, Event]) -> dict[str, int]:
    """The counts that are not 0, made the long way."""
    counts: dict[str, int] = {}
    for each in still_open.values():
        for place in ("front", *each.current_zones):
            for label in (each.label, "all"):
                for topic in (f"{place}/{label}", f"{place}/{label}/active")[: 1 if each.stationary else 2]:
                    counts[topic] = counts.get(topic, 0) + 1
    return counts


def test_each_crossing_counts_once_however_many_messages_tell_of_it() -> None:
    broker = Broker()
    sink = broker.sink(lines={"door": ("in", "out")})
    sink.open()
    went_in, went_out, again = Crossing("door", "in", 1.0), Crossing("door", "out", 2.0), Crossing("door", "in", 3.0)
    tell(sink, about(NEW, 1, crossings=(went_in,)), about(UPDATE, 1, crossings=(went_in,)))
    tell(sink, about(NEW, 2, crossings=(went_in,)))
    tell(sink, about(UPDATE, 1, crossings=(went_in, went_out, again)), about(END, 1, crossings=(went_out, again)))
    crossed = {topic: count for topic, count in broker.numbers().items() if "/lines/" in topic}
    assert crossed == {"front/lines/door/in": 3, "front/lines/door/out": 1}


def test_a_label_that_is_no_plain_name_is_one_level_of_a_topic() -> None:
    broker = Broker()
    sink = broker.sink()
    tell(sink, about(NEW, 1, label="a/b+#"), about(NEW, 2, label="detect"))
    assert {"front/a_b__", "front/detect_", "front/all"} < set(broker.numbers())


def test_an_end_of_which_nothing_else_was_heard_is_harmless() -> None:
    broker = Broker()
    sink = broker.sink()
    tell(sink, about(END, 9))
    assert set(broker.numbers().values()) == {0}


def test_it_waits_for_no_frame() -> None:
    assert not Outlet(Broker().sink(), ManualClock()).takes_frames


def with_pictures(folder: Path, sink: MqttSink) -> SnapshotSink:
    return SnapshotSink(folder, on_saved=sink.saved)


def jpegs(payloads: dict[str, bytes]) -> Iterator[str]:
    for topic, payload in payloads.items():
        if payload.startswith(b"\xff\xd8"):
            assert cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR) is not None
            yield topic


def test_the_picture_of_an_event_lies_on_its_label_and_its_camera(tmp_path: Path) -> None:
    broker = Broker()
    sink = broker.sink()
    told = []
    with with_pictures(tmp_path, sink) as pictures:
        for part in story():
            tell(pictures, part)
            told.append(sorted(jpegs(broker.take())))
    topics = ["front/person/snapshot", "front/picture"]
    assert [each for each in told if each] == [topics, topics], "with the first look, and with the best one at the end"
    (file,) = tmp_path.rglob("*.jpg")
    assert {broker.lies()[topic] for topic in topics} == {file.read_bytes()}


def test_where_a_picture_lies_may_be_said_instead(tmp_path: Path) -> None:
    broker = Broker()
    sink = broker.sink(snapshots="reference")
    tell(with_pictures(tmp_path, sink).__enter__(), *story())
    (file,) = tmp_path.rglob("*.jpg")
    (payload,) = broker.lies().values()
    reference = json.loads(payload)
    Draft202012Validator(SnapshotReference.model_json_schema()).validate(reference)
    assert list(broker.lies()) == ["front/person/snapshot"]
    assert reference == {
        "id": "1767225600.5-abcdef",
        "camera": "front",
        "label": "person",
        "path": str(file),
        "time": pytest.approx(1767225600.5),
        "frame": 5,
    }


def test_pictures_may_stay_at_home(tmp_path: Path) -> None:
    broker = Broker()
    tell(with_pictures(tmp_path, broker.sink(snapshots="off")).__enter__(), *story())
    assert broker.lies() == {}


def on_request(folder: Path, sink: MqttSink) -> RequestedSnapshotSink:
    return RequestedSnapshotSink(folder, "front", ManualClock(), on_saved=sink.saved, on_failed=sink.failed)


def state(broker: Broker) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(broker.lies()["front/snapshot/state"])
    Draft202012Validator(SnapshotState.model_json_schema()).validate(document)
    return document


def test_a_picture_is_taken_of_the_next_frame_and_said_to_be(tmp_path: Path) -> None:
    broker = Broker()
    pictures = on_request(tmp_path, broker.sink())
    with pictures:
        tell(pictures, annotated(0))
        assert broker.lies() == {}
        pictures.request()
        pictures.request()
        tell(pictures, *map(annotated, range(1, 30)))
    path = tmp_path / "front" / DAY / "1767225600.100-requested.jpg"
    assert [*tmp_path.rglob("*.jpg")] == [path]
    assert state(broker) == {"time": 1767225600.1, "path": str(path), "frame": 1, "error": ""}
    assert broker.lies()["front/picture"] == path.read_bytes()
    assert pictures.saved == 1


@pytest.mark.parametrize("snapshots", ["reference", "off"])
def test_a_picture_that_was_asked_for_is_taken_where_none_goes_out(tmp_path: Path, snapshots: str) -> None:
    broker = Broker()
    pictures = on_request(tmp_path, broker.sink(snapshots=snapshots))
    pictures.request()
    tell(pictures, annotated(0))
    assert list(broker.lies()) == ["front/snapshot/state"]
    assert Path(state(broker)["path"]).is_file()


def test_whoever_asks_without_end_gets_a_picture_a_second(tmp_path: Path) -> None:
    broker = Broker()
    pictures = on_request(tmp_path, broker.sink())
    for sequence in range(95):
        pictures.request()
        tell(pictures, annotated(sequence))
    assert pictures.saved == 10
    assert state(broker)["time"] == pytest.approx(1767225600 + 9 * PAUSE)


def test_a_picture_that_cannot_be_saved_costs_no_frame_and_is_answered(tmp_path: Path) -> None:
    (tmp_path / "front").write_text("")
    broker = Broker()
    pictures = on_request(tmp_path, broker.sink())
    outlet = Outlet(pictures, ManualClock())
    outlet.open()
    pictures.request()
    assert outlet.write(annotated(0))
    told = state(broker)
    assert (told["time"], told["path"], told["frame"]) == (None, None, None)
    assert "part of the path is a file" in told["error"]
    (tmp_path / "front").unlink()
    pictures.request()
    assert outlet.write(annotated(20))
    assert state(broker)["error"] == ""


def test_the_same_answer_is_given_twice_to_who_asks_twice(tmp_path: Path) -> None:
    broker = Broker()
    sink = broker.sink()
    for _ in range(2):
        sink.failed("no disk")
        assert "front/snapshot/state" in broker.take()


def test_the_sinks_that_take_pictures_take_frames() -> None:
    assert all(kind.write is not Sink.write for kind in (SnapshotSink, RequestedSnapshotSink))


def test_a_saved_picture_says_what_it_is_of(tmp_path: Path) -> None:
    saved: list[Snapshot] = []
    with SnapshotSink(tmp_path, on_saved=saved.append) as sink:
        tell(sink, *story())
    assert [(each.event_id, each.label, each.camera, each.sequence) for each in saved] == [
        ("1767225600.5-abcdef", "person", "front", 3),
        ("1767225600.5-abcdef", "person", "front", 5),
    ]
    assert [each.taken for each in saved] == pytest.approx([1767225600.3, 1767225600.5])
    assert saved[1].path.read_bytes() == saved[1].jpeg
