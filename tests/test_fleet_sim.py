"""tools/fleet-sim: its traffic, its figures, a small fleet whose broker goes away; and the rules of docs/fleet.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from socket import socketpair
from threading import Event
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt_broker import LIMIT, Mosquitto, mosquitto

from edgecam.journal import Journal
from edgecam.mqtt.connection import Connection, Stage
from edgecam.mqtt.credentials import Broker
from edgecam.outbox import Outbox

pytestmark = pytest.mark.any_runtime

TOOLS = Path(__file__).resolve().parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

appliance, figures, flood, subscriber, traffic, table = (
    import_module(f"fleet_sim.{name}")
    for name in ("appliance", "figures", "flood", "subscriber", "traffic", "__main__")
)
SECONDS = 2000.0


def told(appliances: int, rate: float, until: float, every: float = 0.25) -> list[Any]:
    """All that is due until then, asked for every so often."""
    made = traffic.Traffic(appliances, seed=1)
    made.set_rate(rate, 0.0)
    return [due for n in range(round(until / every)) for due in made.due(n * every)]


def test_a_fleet_tells_as_much_as_it_should() -> None:
    messages = told(10, 0.2, SECONDS)
    assert len(messages) / SECONDS == pytest.approx(10 * 0.2, rel=0.1)
    assert set(Counter(each.appliance for each in messages)) == set(range(10))


@given(st.integers(1, 5), st.floats(0.05, 3.0), st.floats(0.01, 9.0))
def test_visits_have_all_their_messages_in_order_and_in_time(appliances: int, rate: float, every: float) -> None:
    messages = told(appliances, rate, 100.0, every)
    assert [each.at for each in messages] == sorted(each.at for each in messages)
    visits: dict[int, list[Any]] = {}
    for each in messages:
        visits.setdefault(each.visit, []).append(each)
    for of_one in visits.values():
        assert [each.message for each in of_one] == list(range(len(of_one)))
        assert len({each.appliance for each in of_one}) == 1
        assert all(b.at - a.at == pytest.approx(traffic.APART) for a, b in pairwise(of_one))
        assert of_one[0].at + traffic.VISIT > 100.0 - 2 * every or len(of_one) == traffic.MESSAGES


def test_without_a_rate_nobody_comes_and_who_has_come_stays_to_the_end() -> None:
    made = traffic.Traffic(3, seed=2)
    assert list(made.due(1000.0)) == []
    made.set_rate(1.0, 1000.0)
    begun = list(made.due(1010.0))
    made.set_rate(0.0, 1010.0)
    ended = begun + list(made.due(1100.0))
    assert set(Counter(each.visit for each in ended).values()) == {traffic.MESSAGES}
    assert {each.visit for each in ended} == {each.visit for each in begun}


def event(sequence: int, frame_time: float, *, late: bool = False) -> bytes:
    return json.dumps({"sequence": sequence, "late": late, "after": {"frame_time": frame_time}}).encode()


def test_what_has_come_is_counted_by_kind() -> None:
    received = subscriber.Received()
    received.take("fleet/cam-00001/events", event(1, 10.0), 10.5)
    received.take("fleet/cam-00001/events", event(2, 10.0, late=True), 99.0)
    received.take("fleet/cam-00002/status", b"{}", 11.0)
    both = received + subscriber.Received(sequences={"fleet/cam-00001/events": [4]}, events=1)
    assert (both.events, both.others, both.late, both.delays) == (3, 1, 1, [0.5])
    assert subscriber.missing(both.sequences["fleet/cam-00001/events"]) == 1


@given(st.sets(st.integers(1, 60), min_size=1), st.data())
def test_what_is_missing_is_what_was_lost_and_twice_is_not_missing(numbers: set[int], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(sorted(numbers))))
    assert subscriber.missing([*numbers, *again]) == len(set(range(1, max(numbers) + 1)) - numbers)


@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=40))
def test_the_busiest_tenth_of_a_second(moments: list[float]) -> None:
    expected = max(sum(first <= moment and moment - first <= 0.1 for moment in moments) for first in moments)
    assert figures.busiest_tenth(moments) == expected


@given(st.integers(0, 12), st.lists(st.integers(1, 6000)))
def test_a_flood_is_counted_and_answered_however_it_is_cut(count: int, cuts: list[int]) -> None:
    stream = b"".join(flood.publication(flood.TOPIC.format(7), number + 1) for number in range(count))
    taker, answers = flood.Taker(len(flood.publication(flood.TOPIC.format(0), 1))), b""
    for cut in (*cuts, len(stream)):
        answers += taker.take(stream[:cut])
        stream = stream[cut:]
    assert taker.count == count
    assert answers == b"".join(b"\x40\x02" + (number + 1).to_bytes(2, "big") for number in range(count))


@pytest.mark.parametrize(
    ("length", "header"),
    [(0, b"\x30\x00"), (127, b"\x30\x7f"), (128, b"\x30\x80\x01"), (16384, b"\x30\x80\x80\x01")],
)
def test_lengths_of_packets_are_those_of_the_standard(length: int, header: bytes) -> None:
    """MQTT 3.1.1, table 2.4."""
    assert flood.packet(0x30, bytes(length)) == header + bytes(length)


def load(cores: float, busiest: float | None = None) -> Any:
    return figures.Load(cores, cores if busiest is None else busiest, 1)


GOOD = figures.Step(
    rate=1.0, seconds=10.0, offered=100.0, recorded=99.0, delivered=99.0, sent=300.0, received=110.0,
    received_bytes=2e5, broker_cpu=3e-5,
    p50=0.002, p95=0.01, p99=0.02, waiting=0, behind=0.05, cores=2, others=0.1,
    loads={"broker": load(0.1), "publishers": load(0.5), "subscribers": load(0.1)},
)  # fmt: skip


def test_a_load_that_is_borne_gives_nothing() -> None:
    assert figures.judged(GOOD).gave == ""
    assert figures.judged(GOOD).first == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"behind": 3.5}, "messages are recorded up to 3.5 s after their time"),
        ({"delivered": 50.0}, "50 of 99 messages a second arrive"),
        ({"p99": 2.0}, "one message in a hundred takes longer than 2.0 s"),
    ],
)
def test_what_is_not_as_it_should_be_is_said(changes: dict[str, float], said: str) -> None:
    assert figures.judged(replace(GOOD, **changes)).gave == said


@pytest.mark.parametrize(
    ("parts", "others", "said"),
    [
        ({"broker": load(0.95)}, 0.0, "the broker: mosquitto has one thread"),
        ({"subscribers": load(0.9)}, 0.0, "a subscriber: one Python process"),
        ({"publishers": load(1.8, 0.9)}, 0.0, "a process with publishers: one interpreter"),
        ({"publishers": load(1.4, 0.7)}, 0.3, "the machine: all 2 cores are busy, 74% of that with the publishers"),
        ({}, 1.2, "the machine: other programs take 1.2 of its 2 cores"),
        ({}, 0.1, "nothing is used up: somebody waits"),
    ],
)
def test_what_holds_the_others_up_is_named(parts: dict[str, Any], others: float, said: str) -> None:
    step = replace(GOOD, loads={**GOOD.loads, **parts}, others=others)
    assert figures.culprit(step).startswith(said)


def test_a_message_that_was_recorded_slowly_is_named() -> None:
    assert figures.culprit(replace(GOOD, slowest=1.2)) == "nothing is used up: recording one message took 1.2 s"


def test_processor_time_is_that_of_all_but_the_idle(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  100 20 30 5000 600 7 8 9 0 0\ncpu0 1 2 3 4\n")
    assert figures.busy_seconds(tmp_path) == pytest.approx(174 / os.sysconf("SC_CLK_TCK"))


@pytest.mark.parametrize("arguments", [["--publishers", "0"], ["--rate", "-1"], ["--seconds", "nan"], ["--step", "x"]])
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        table.parsed(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def rules() -> str:
    """The access rules as docs/fleet.md has them."""
    document = (TOOLS.parent / "docs" / "fleet.md").read_text(encoding="utf-8")
    block = document.split("<!-- acl -->\n")[1].split("<!-- end -->")[0]
    return "".join(line.removeprefix("    ") for line in block.splitlines(keepends=True))


@pytest.mark.skipif(mosquitto() is None, reason="no MQTT broker: apt-get install mosquitto")
@pytest.mark.parametrize(
    ("user", "topic", "allowed"),
    [
        ("cam-0001", "edgecam/cam-0001/events", True),
        ("cam-0001", "edgecam/cam-0001/front/person/active", True),
        ("cam-0001", "edgecam/cam-0002/events", False),
        ("cam-0001", "edgecam/cam-00012/events", False),
        ("cam-0001", "homeassistant/device/cam-0001/config", False),
        ("backend", "edgecam/cam-0001/front/detect/set", True),
        ("backend", "edgecam/cam-0001/front/snapshot", True),
        ("backend", "edgecam/cam-0001/events", False),
    ],
)
def test_the_rules_of_the_document_do_what_it_says(guarded: Mosquitto, user: str, topic: str, allowed: bool) -> None:  # noqa: FBT001
    """Asked with MQTT 5, in which a broker says that it refuses a message."""
    refused = published(guarded, user, topic)
    assert (refused == "") is allowed, refused


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker with the rules of the document."""
    passwords = tuple((user, f"secret of {user}") for user in ("cam-0001", "cam-0002", "backend"))
    broker = Mosquitto(tmp_path_factory.mktemp("guarded"), passwords=passwords, acl=rules()).start()
    yield broker
    broker.stop()


def published(broker: Mosquitto, user: str, topic: str) -> str:
    """Publish one message; why the broker has refused it, "" where it has not."""
    ends = monotonic() + LIMIT
    woken = Event()
    reach = Broker("127.0.0.1", broker.port, f"{user}-test", username=user, password=f"secret of {user}")
    connection = Connection(reach, f"edgecam/{user}/available", woken.set)
    ours, theirs = socketpair()
    with ours, theirs:
        connection.start()
        assert woken.wait(LIMIT)
        while connection.stage is not Stage.OPEN:
            assert monotonic() < ends, connection.reason
            connection.turn(ours, 0.1)
        connection.publish(topic, b"1")
        while not connection.answers:
            assert monotonic() < ends
            connection.turn(ours, 0.1)
        connection.close(orderly=True)
    return connection.answers[0][1]


def test_an_appliance_of_the_fleet_records_a_visit_without_a_broker(tmp_path: Path) -> None:
    one = appliance.Appliance(7, tmp_path, appliance.Settings(port=1, picture=b"JPEG"), lambda: None)
    one.start()
    for message in range(traffic.MESSAGES):
        one.tell(0, message)
    one.stop(LIMIT)
    with Journal(tmp_path / "7" / "edgecam.db", read_only=True) as journal:
        (event,) = journal.events()
    with Outbox(tmp_path / "7" / "edgecam.db") as outbox:
        assert outbox.length() == traffic.MESSAGES
    assert event["end_time"] is not None


@pytest.mark.skipif(mosquitto() is None, reason="no MQTT broker: apt-get install mosquitto")
@pytest.mark.skipif(not os.environ.get("EDGECAM_LABS"), reason="takes a minute: EDGECAM_LABS=1")
def test_a_small_fleet_loses_nothing_with_the_broker_away_for_a_while() -> None:
    options = {"publishers": 8, "seconds": 3, "rate": 0.5, "step": 2, "limit": 1, "outage": 2}
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    environment = {**os.environ, "PYTHONPATH": str(TOOLS)}
    run = subprocess.run(
        [sys.executable, "-m", "fleet_sim", *given, "--json"],
        env=environment,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    document = json.loads(run.stdout)
    books, storm = document["books"], document["storm"]
    assert books["recorded"] == books["received"] > 20
    assert (books["gaps"], books["given_up"]) == (0, 0)
    assert storm["back"] == 8
    assert document["flood"]["delivered"] > 0
    assert len(list(table.tables(document))) >= 5
