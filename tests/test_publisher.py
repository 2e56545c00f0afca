"""What is recorded reaches a subscriber: in order, once it can, and not a word is lost on the way."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hanging_outbox import HangingOutbox
from mqtt_broker import ACL, CONSUMER, EDGECAM, Listener, Mosquitto, Received, running
from publishing import TOPICS, Publishing, events_of, firsts, plain, publishing
from test_journal import document

from edgecam.mqtt.connection import Connection
from edgecam.mqtt.credentials import Broker
from edgecam.mqtt.delivery import TopicDelivery
from edgecam.mqtt.retained import RetainedTopics
from edgecam.outbox import Moment, Outbox, OutboxMessage, is_late, sent_form
from edgecam.publisher import ANSWER_TIMEOUT, WINDOW
from edgecam.spool import Spool

pytestmark = pytest.mark.any_runtime

VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])
NO_EVENTS = ACL.replace("topic readwrite edgecam/#", "topic readwrite edgecam/available")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "edgecam.db"


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    with Listener(broker, "edgecam/#") as started:
        yield started


def ids(listener: Listener) -> list[int]:
    """The events that have come, each once."""
    return [int(message["after"]["id"]) for message in firsts(events_of(listener))]


@VERSIONS
def test_what_is_recorded_reaches_a_subscriber_in_order(
    broker: Mosquitto, listener: Listener, path: Path, version: str
) -> None:
    with publishing(path, plain(broker, version=version)) as pair:
        pair.wait_until(lambda: pair.worker.connected)
        pair.record(*range(200))
        listener.wait_for(TOPICS.events, count=200)
        pair.wait_until(lambda: pair.worker.spool == 0)
        assert pair.worker.trouble == ""
        pair.wait_until(lambda: pair.worker.acknowledged == pair.worker.sent == 201)
    messages = events_of(listener)
    assert [message["sequence"] for message in messages] == list(range(1, 201))
    assert not any(message["late"] for message in messages)
    assert all(0 <= message["delay"] < 30 for message in messages)
    assert all((each.qos, each.retain) == (1, False) for each in listener.on(TOPICS.events))
    with Outbox(path) as outbox:
        assert outbox.length() == 0


def test_a_broker_absent_at_start_is_no_error(broker: Mosquitto, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Listener(broker, "edgecam/#") as listener:
        broker.stop()
        with publishing(path, plain(broker)) as pair:
            pair.record(1, 2)
            pair.wait_until(lambda: "nobody answers there" in pair.worker.trouble)
            pair.wait_until(lambda: pair.worker.spool == 2)
            pair.wait_until(lambda: pair.worker.oldest_age is not None and pair.worker.oldest_age > 0)
            assert not pair.worker.connected
            broker.start()
            listener.wait_for(TOPICS.events, count=2)
            pair.record(3)
            listener.wait_for(TOPICS.events, count=3)
            assert (pair.worker.connected, pair.worker.trouble) == (True, "")
    assert [(message["late"], message["sequence"]) for message in events_of(listener)] == [
        (True, 1), (True, 2), (False, 3),
    ]  # fmt: skip
    said = [record.getMessage() for record in caplog.records if "edgecam" in record.name]
    assert len([message for message in said if "nobody answers" in message]) == 1
    assert len([message for message in said if "connected, after" in message]) == 1


def test_availability_is_said_and_the_will_speaks_for_the_dead(
    broker: Mosquitto, listener: Listener, path: Path
) -> None:
    with publishing(path, plain(broker)):
        listener.wait_for(TOPICS.available, b"online")
    listener.wait_for(TOPICS.available, b"stopped")
    assert listener.payloads(TOPICS.available) == [b"online", b"stopped"]
    with Listener(broker, TOPICS.available, client_id="later") as later:
        later.wait_for(TOPICS.available, b"stopped")
        assert later.received[0].retain


def test_retained_topics_are_sent_and_sent_again_to_a_broker_that_has_forgotten(
    broker_folder: Path, path: Path
) -> None:
    with running(Mosquitto(broker_folder)) as broker, publishing(path, plain(broker)) as pair:
        pair.retained.put("edgecam/front/person", b"1")
        pair.wait_until(lambda: pair.worker.acknowledged == 2)
        broker.kill()
        (broker_folder / "mosquitto.db").unlink(missing_ok=True)
        pair.wait_until(lambda: not pair.worker.connected)
        for count in range(2, 50):
            pair.retained.put("edgecam/front/person", b"%d" % count)
        broker.start()
        pair.wait_until(lambda: pair.worker.connected)
        with Listener(broker, "edgecam/#") as listener:
            listener.wait_for("edgecam/front/person", b"49")
            listener.wait_for(TOPICS.available, b"online")
            assert len(listener.on("edgecam/front/person")) == 1, "what was overtaken is not sent"


def test_commands_are_handed_over(broker: Mosquitto, path: Path) -> None:
    arrived: list[tuple[str, bytes, bool]] = []
    options = {"commands": lambda *command: arrived.append(command), "subscriptions": ["edgecam/+/detect/set"]}
    with Listener(broker, "none") as consumer, publishing(path, plain(broker), **options) as pair:
        pair.wait_until(lambda: pair.worker.connected and pair.worker.acknowledged)
        consumer.publish("edgecam/front/detect/set", b"OFF")
        consumer.publish("edgecam/front/other", b"OFF")
        consumer.publish("edgecam/front/detect/set", b"\xff\x00")
        pair.wait_until(lambda: len(arrived) == 2)
        broker.kill()
        broker.start()
        pair.wait_until(lambda: not pair.worker.connected)
        pair.wait_until(lambda: pair.worker.connected)
        pair.wait_until(lambda: pair.worker.acknowledged > 1)
        consumer.publish("edgecam/front/detect/set", b"ON")
        pair.wait_until(lambda: len(arrived) > 2)
    assert [payload for _topic, payload, _kept in arrived[:3]] == [b"OFF", b"\xff\x00", b"ON"]
    assert {(topic, kept) for topic, _payload, kept in arrived[:3]} == {("edgecam/front/detect/set", False)}


def test_a_broker_that_does_not_let_us_publish_gets_it_all_once_it_does(
    broker_folder: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        running(Mosquitto(broker_folder, passwords=(EDGECAM, CONSUMER), acl=NO_EVENTS)) as broker,
        Listener(broker, "edgecam/#", login=CONSUMER) as listener,
        publishing(path, plain(broker, username=EDGECAM[0], password=EDGECAM[1])) as pair,
    ):
        listener.wait_for(TOPICS.available, b"online")
        pair.retained.put("edgecam/front/person", b"1")
        pair.record(*range(120))
        pair.wait_until(lambda: "does not let edgecam publish on edgecam/events" in pair.worker.trouble)
        pair.wait_until(lambda: "does not let edgecam publish on edgecam/front/person" in pair.worker.trouble)
        pair.wait_until(lambda: pair.worker.spool == 120)
        assert events_of(listener) == []
        broker.allow(ACL)
        listener.wait_for(TOPICS.events, count=120)
        listener.wait_for("edgecam/front/person", b"1")
        pair.wait_until(lambda: pair.worker.trouble == "")
        assert ids(listener) == list(range(120))
        assert pair.worker.lost == 0
    refusals = [r for r in caplog.records if r.levelno >= logging.ERROR and "does not let" in r.getMessage()]
    assert len(refusals) == 2


def test_a_refused_password_is_trouble_until_it_is_mended(broker_folder: Path, path: Path) -> None:
    login = {"username": EDGECAM[0], "password": EDGECAM[1]}
    strict = Mosquitto(broker_folder, passwords=((EDGECAM[0], "another"), CONSUMER))
    with (
        running(strict),
        Listener(strict, TOPICS.events, login=CONSUMER) as listener,
        publishing(path, plain(strict, **login)) as pair,
    ):
        pair.record(1)
        pair.wait_until(lambda: "refuses the user 'edgecam'" in pair.worker.trouble)
        strict.admit(EDGECAM, CONSUMER)
        listener.wait_for(TOPICS.events)
        assert pair.worker.trouble == ""


def test_a_message_that_is_too_large_for_the_broker_is_kept_and_said(broker_folder: Path, path: Path) -> None:
    with (
        running(Mosquitto(broker_folder, settings="max_packet_size 3000")) as broker,
        publishing(path, plain(broker)) as pair,
    ):
        pair.retained.put("edgecam/front/picture", b"1" * 4000)
        pair.retained.put("edgecam/front/person", b"1")
        pair.record(1)
        pair.wait_until(lambda: "does not take 4000 bytes on edgecam/front/picture" in pair.worker.trouble)
        pair.wait_until(lambda: pair.worker.acknowledged == 3)
        pair.record(2, camera="x" * 3000)
        pair.wait_until(lambda: "bytes on edgecam/events: raise its largest packet size" in pair.worker.trouble)
        pair.wait_until(lambda: pair.worker.spool == 1)


def test_more_than_the_window_is_never_on_its_way(broker: Mosquitto, listener: Listener, path: Path) -> None:
    """A broker that takes the connection and reads nothing costs no memory; afterwards it gets everything."""
    with publishing(path, plain(broker)) as pair:
        pair.wait_until(lambda: pair.worker.acknowledged == 1)
        broker.freeze()
        pair.record(*range(200))
        pair.retained.put("edgecam/front/person", b"1")
        pair.wait_until(lambda: pair.worker.spool == 200)
        assert pair.worker.sent <= 1 + WINDOW
        broker.thaw()
        listener.wait_for(TOPICS.events, count=200)
        listener.wait_for("edgecam/front/person")
    assert ids(listener) == list(range(200))


def test_what_a_broker_does_not_acknowledge_is_said_and_then_sent_anew(
    broker: Mosquitto, listener: Listener, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecam.publisher.ANSWER_TIMEOUT", 2.0)
    assert ANSWER_TIMEOUT == 90.0
    with publishing(path, plain(broker)) as pair:
        pair.wait_until(lambda: pair.worker.acknowledged == 1)
        broker.freeze()
        pair.record(1)
        pair.wait_until(lambda: pair.worker.connected and "does not acknowledge" in pair.worker.trouble)
        pair.wait_until(lambda: not pair.worker.connected)
        broker.thaw()
        listener.wait_for(TOPICS.events)
        pair.wait_until(lambda: pair.worker.trouble == "" and pair.worker.spool == 0)


def test_an_end_while_the_broker_is_frozen_does_not_take_for_ever(broker: Mosquitto, path: Path) -> None:
    with publishing(path, plain(broker)) as pair:
        pair.wait_until(lambda: pair.worker.acknowledged == 1)
        broker.freeze()
        pair.record(1)
    with Outbox(path) as outbox:
        assert outbox.length() == 1


def test_the_spool_is_bounded_and_the_loss_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nobody = Broker("127.0.0.1", 1)
    with publishing(path, nobody, messages=100) as pair:
        pair.record(*range(150))
        pair.wait_until(lambda: pair.worker.lost == 50)
        assert pair.worker.spool == 100
        pair.record(*range(10))
        pair.wait_until(lambda: pair.worker.lost == 60)
    said = [record.getMessage() for record in caplog.records if "given up" in record.getMessage()]
    assert len(said) == 1
    assert "mqtt.spool_messages = 100" in said[0]
    with Outbox(path) as outbox:
        assert (outbox.lost(), outbox.pending(0, 1)[0].sequence) == (60, 61)


def test_an_outbox_that_cannot_be_used_is_trouble_and_no_end(
    broker: Mosquitto, listener: Listener, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = Publishing(path, plain(broker))
    pair.worker.start()
    pair.wait_until(lambda: "cannot be opened" in pair.worker.trouble)
    pair.journal.open()
    pair.record(1)
    listener.wait_for(TOPICS.events)
    pair.wait_until(lambda: pair.worker.trouble == "")
    pair.stop()
    assert any("can be used again" in record.getMessage() for record in caplog.records)


def test_a_damaged_outbox_is_trouble_and_no_end(broker: Mosquitto, listener: Listener, path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 500)
    pair = Publishing(path, plain(broker))
    pair.worker.start()
    pair.wait_until(lambda: "damaged, or no database" in pair.worker.trouble)
    pair.retained.put("edgecam/front/person", b"1")
    listener.wait_for("edgecam/front/person")
    path.unlink()
    pair.journal.open()
    pair.record(1)
    listener.wait_for(TOPICS.events)
    pair.stop()


def test_who_holds_the_file_holds_up_neither_sending_nor_recording(
    broker: Mosquitto, listener: Listener, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was acknowledged is deleted later; the next process would send it again with the same number."""
    monkeypatch.setattr("edgecam.outbox.BUSY_TIMEOUT", 0.01)
    monkeypatch.setattr("edgecam.spool._HELD_TOO_LONG", 0.5)
    with publishing(path, plain(broker)) as pair:
        pair.wait_until(lambda: pair.worker.connected)
        pair.record(*range(10))
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        listener.wait_for(TOPICS.events, count=10)
        pair.wait_until(lambda: "in use by another program" in pair.worker.trouble)
        assert pair.worker.connected
        holder.execute("ROLLBACK")
        holder.close()
        pair.wait_until(lambda: pair.worker.trouble == "")
    with Outbox(path) as outbox:
        assert outbox.length() == 0
    assert ids(listener) == list(range(10))


def test_a_disk_that_hangs_does_not_hold_up_the_topics(broker: Mosquitto, listener: Listener, path: Path) -> None:
    outbox = HangingOutbox(path)
    with outbox.let_go_at_the_end(), publishing(path, plain(broker), outbox=outbox) as pair:
        pair.record(0)
        pair.wait_until(lambda: pair.worker.acknowledged == 2 and pair.worker.spool == 0)
        outbox.hang()
        pair.wait_until(lambda: outbox.waits)
        for number in range(5):
            pair.retained.put("edgecam/street/person", b"%d" % number)
            listener.wait_for("edgecam/street/person", b"%d" % number)
        outbox.go_on()
        pair.record(1)
        listener.wait_for(TOPICS.events, count=2)
        pair.wait_until(lambda: pair.worker.spool == 0)
    assert ids(listener) == [0, 1]


def test_a_publisher_whose_disk_hangs_can_end(broker: Mosquitto, listener: Listener, path: Path) -> None:
    outbox = HangingOutbox(path)
    with outbox.let_go_at_the_end():
        with publishing(path, plain(broker), outbox=outbox) as pair:
            pair.wait_until(lambda: pair.worker.connected)
            outbox.hang()
            pair.wait_until(lambda: outbox.waits)
        listener.wait_for(TOPICS.available, b"stopped")


def test_a_message_says_its_number_and_whether_it_is_late() -> None:
    connected, now = Moment("b", 100.0, 1e9, synced=True), Moment("b", 110.0, 1e9 + 10, synced=True)
    early = OutboxMessage(7, Moment("b", 90.0, 1e9 - 3600, synced=True), '{"type":"new"}')
    assert json.loads(sent_form(early, now, connected)) == {"type": "new", "sequence": 7, "late": True, "delay": 20.0}
    assert not is_late(OutboxMessage(8, Moment("b", 101.0, 0.0, synced=False), "{}"), connected)
    ancient = OutboxMessage(9, Moment("a", 101.0, 0.0, synced=False), '{"x":1}')
    assert json.loads(sent_form(ancient, now, connected)) == {"x": 1, "sequence": 9, "late": True, "delay": None}


def test_a_refused_message_goes_before_those_after_it(path: Path) -> None:
    """Played without a broker: of five messages the second is refused, and those after it taken."""
    pair = Publishing(path, Broker())
    with pair.journal:
        pair.record(*range(1, 6))
    spool = Spool(Outbox(path), messages=100, age=1e6)
    now = Moment("b", 0.0, 1e9, synced=True)
    spool.begin()
    assert [each.sequence for each in spool.due(now, 5)] == [1, 2, 3, 4, 5]
    for sequence in (1, 4, 5):
        spool.acknowledged(sequence, 0.0)
    spool.refused(2, "not allowed", 0.0)
    assert spool.due(now, 5) == [], "the third is still on its way"
    spool.refused(3, "not allowed", 0.0)
    assert spool.due(now, 5) == [], "not yet"
    later = Moment("b", 3.0, 1e9, synced=True)
    assert [each.sequence for each in spool.due(later, 5)] == [2], "alone"
    spool.acknowledged(2, 3.0)
    assert spool.refusal == ""
    assert [each.sequence for each in spool.due(later, 5)] == [3], "4 and 5 were taken"
    spool.acknowledged(3, 3.0)
    assert spool.due(later, 5) == []
    spool.upkeep(Moment("b", 4.0, 1e9, synced=True))
    assert spool.length == 0
    spool.close(later)


def test_a_new_connection_sends_again_what_was_on_its_way(path: Path) -> None:
    pair = Publishing(path, Broker())
    with pair.journal:
        pair.record(*range(1, 6))
    spool = Spool(Outbox(path), messages=100, age=1e6)
    now = Moment("b", 0.0, 1e9, synced=True)
    spool.begin()
    assert [each.sequence for each in spool.due(now, 3)] == [1, 2, 3]
    spool.acknowledged(2, 0.0)
    spool.begin()
    assert [each.sequence for each in spool.due(now, 3)] == [1, 3, 4], "2 was taken, though it is not deleted yet"
    spool.close(now)
    with Outbox(path) as outbox:
        assert [each.sequence for each in outbox.pending(0, 9)] == [1, 3, 4, 5]


def test_topics_are_sent_one_after_the_other_and_only_what_they_say_last() -> None:
    retained = RetainedTopics()
    delivery = TopicDelivery(retained)
    retained.put("a", b"1")
    retained.put("b", b"1")
    assert delivery.due(0.0, 1) == [("a", b"1")]
    retained.put("a", b"2")
    retained.put("a", b"3")
    assert delivery.due(0.0, 9) == [("b", b"1")], "the first word on a is still on its way"
    delivery.refused("a", "not allowed", 0.0)
    assert delivery.due(0.0, 9) == [("a", b"3")], "what was refused is overtaken"
    delivery.refused("a", "not allowed", 0.0)
    delivery.acknowledged("b", 0.0)
    assert delivery.due(1.0, 9) == []
    assert delivery.refusal == "not allowed"
    assert delivery.due(5.0, 9) == [("a", b"3")]
    delivery.acknowledged("a", 5.0)
    assert (delivery.idle, delivery.refusal) == (True, "")
    delivery.begin()
    assert sorted(delivery.due(6.0, 9)) == [("a", b"3"), ("b", b"1")]


def test_wake_never_waits_whoever_calls(broker: Mosquitto, path: Path) -> None:
    pair = Publishing(path, plain(broker))
    pair.worker.wake()
    pair.start()

    def call() -> None:
        for _ in range(20_000):
            pair.worker.wake()

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
        assert not caller.is_alive()
    pair.stop()
    pair.worker.wake()


def test_a_record_wakes_the_publisher(broker: Mosquitto, path: Path) -> None:
    """Were it found only at the next turn, half a second later, a thousand one after the other would take minutes."""
    news = threading.Event()

    def on_message(received: Received) -> None:
        if received.topic == TOPICS.events:
            news.set()

    with Listener(broker, TOPICS.events, on_message=on_message), publishing(path, plain(broker)) as pair:
        pair.wait_until(lambda: pair.worker.connected)
        for number in range(200):
            news.clear()
            pair.record(number)
            assert news.wait(30)
        pair.wait_until(lambda: pair.worker.acknowledged == 201)
        latency = pair.worker.latencies.summary()["acknowledged"]
        assert latency.count == 200
        assert latency.p50 is not None
        assert latency.p50 < 0.05, "half of them in less than a tenth of a turn"


def test_whoever_records_sends_while_the_publisher_only_waits(
    broker: Mosquitto, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    senders: list[threading.Thread] = []
    publish = Connection.publish

    def noting(connection: Connection, topic: str, payload: bytes, *, retain: bool = False) -> int:
        senders.extend([threading.current_thread()] * (topic == TOPICS.events))
        return publish(connection, topic, payload, retain=retain)

    monkeypatch.setattr(Connection, "publish", noting)
    with publishing(path, plain(broker)) as pair:
        pair.wait_until(lambda: pair.worker.acknowledged == 1)
        for number in range(50):
            pair.record(number)
            pair.wait_until(lambda: pair.worker.acknowledged == len(senders) + 1)
        pair.wait_until(lambda: len(senders) == 50)
    assert senders.count(threading.current_thread()) > 25


def test_journals_of_several_threads_reach_the_subscriber(broker: Mosquitto, listener: Listener, path: Path) -> None:
    with publishing(path, plain(broker)) as pair:

        def record(camera: str) -> None:
            with type(pair.journal)(path, outbox=True) as journal:
                for number in range(50):
                    pair.worker.recorded(journal.record_all([(document(f"{camera}{number}", camera=camera), None)]))

        threads = [threading.Thread(target=record, args=(camera,)) for camera in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        listener.wait_for(TOPICS.events, count=150)
    assert [message["sequence"] for message in events_of(listener)] == list(range(1, 151))
    found = [message["after"]["id"] for message in events_of(listener)]
    for camera in "abc":
        assert [each for each in found if each[0] == camera] == [f"{camera}{number}" for number in range(50)]
