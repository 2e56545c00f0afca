"""A connection comes about, or says in plain words why not and what to do."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from mqtt_broker import ACL, CONSUMER, EDGECAM, Certificates, Listener, Mosquitto, free_port, running
from publishing import plain, secured

from edgecam.mqtt import connection as connection_module
from edgecam.mqtt.connection import Connection, Stage
from edgecam.mqtt.credentials import Broker
from edgecam.mqtt.link import GREETING_TIMEOUT, Link

pytestmark = pytest.mark.any_runtime

LIMIT = 30.0
AVAILABLE = "edgecam/available"
#: paho leaves a socket whose handshake failed to be closed with its last reference.
FAILED_HANDSHAKE = pytest.mark.filterwarnings(
    "ignore:unclosed <ssl.SSLSocket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])


class Waiting:
    """Turns connections until something is so."""

    def __init__(self) -> None:
        self.wake, self._wakes = socket.socketpair()
        self.wake.setblocking(False)

    def waker(self) -> None:
        with suppress(OSError):  # the thread that connects may be slower than the test
            self._wakes.send(b"\0")

    def turn(self, connection: Connection, done: Callable[[], object]) -> None:
        ends = monotonic() + LIMIT
        while not done():
            assert monotonic() < ends
            connection.turn(self.wake, 0.1)
            try:
                self.wake.recv(100)
            except BlockingIOError:
                continue

    def connect(self, broker: Broker) -> Connection:
        """The connection, open or over."""
        connection = Connection(broker, AVAILABLE, self.waker)
        connection.start()
        self.turn(connection, lambda: connection.stage in (Stage.OPEN, Stage.OVER))
        return connection

    def close(self) -> None:
        self.wake.close()
        self._wakes.close()


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    made = Waiting()
    yield made
    made.close()


def refusal(waiting: Waiting, broker: Broker) -> str:
    connection = waiting.connect(broker)
    stage, reason = connection.stage, connection.reason
    connection.close()
    assert stage is Stage.OVER
    assert "\n" not in reason
    return reason.removeprefix(f"MQTT broker {broker.address}: ")


def secure(broker: Mosquitto, **options: Any) -> Broker:
    """The same, as whoever `username` says: nobody unless given."""
    return secured(broker, **({"username": ""} | options))


@VERSIONS
def test_messages_go_out_and_come_in(broker: Mosquitto, waiting: Waiting, version: str) -> None:
    connection = waiting.connect(plain(broker, version=version))
    connection.subscribe(["x/#", "y"])
    numbers = [connection.publish("x/1", b"one"), connection.publish("y", b"two"), connection.publish("z", b"three")]
    waiting.turn(connection, lambda: len(connection.answers) == 3 and len(connection.messages) == 2)
    assert connection.answers == [(number, "") for number in numbers]
    assert connection.messages == [("x/1", b"one", False), ("y", b"two", False)]
    connection.close(orderly=True)
    connection.close()


@VERSIONS
def test_only_an_orderly_end_takes_the_will_back(broker: Mosquitto, waiting: Waiting, version: str) -> None:
    with Listener(broker, "edgecam/#") as listener:
        for orderly in (True, False):
            waiting.connect(plain(broker, version=version)).close(orderly=orderly)
        listener.wait_for(AVAILABLE, b"offline")
    assert len(listener.received) == 1


def test_a_broker_with_tls_and_passwords_lets_us_in(secure_broker: Mosquitto, waiting: Waiting) -> None:
    for host in ("localhost", "127.0.0.1"):
        for version in ("5", "3.1.1"):
            settings = secure(secure_broker, host=host, username=EDGECAM[0], version=version)
            connection = waiting.connect(settings)
            assert connection.stage is Stage.OPEN, connection.reason
            connection.publish("edgecam/x", b"1" * 100_000)
            waiting.turn(connection, partial(getattr, connection, "answers"))
            connection.close(orderly=True)


@VERSIONS
def test_a_refused_password_is_named(secure_broker: Mosquitto, waiting: Waiting, version: str) -> None:
    wrong = secure(secure_broker, username="nobody", version=version)
    assert refusal(waiting, wrong) == "refuses the user 'nobody': check mqtt.username and the password"
    nameless = refusal(waiting, secure(secure_broker, version=version))
    assert nameless == "refuses a client without a user: check mqtt.username and the password"


@FAILED_HANDSHAKE
def test_a_certificate_that_is_not_trusted_is_named(
    secure_broker: Mosquitto, certificates: Certificates, waiting: Waiting
) -> None:
    for ca in ("", str(certificates.file("other-ca.crt"))):
        said = refusal(waiting, secure(secure_broker, ca_file=ca))
        assert said.startswith("its certificate is not trusted (")
        assert said.endswith("): set mqtt.ca_file to the authority that signed it")


@FAILED_HANDSHAKE
def test_a_certificate_for_another_name_is_named(secure_broker: Mosquitto, waiting: Waiting) -> None:
    said = refusal(waiting, secure(secure_broker, host="127.1"))
    assert said.startswith("its certificate is for another name (")


@FAILED_HANDSHAKE
def test_tls_on_one_side_only_is_named(broker: Mosquitto, secure_broker: Mosquitto, waiting: Waiting) -> None:
    to_plain = secure(secure_broker, port=broker.port)
    assert "mqtt.tls = false" in refusal(waiting, to_plain) or "hangs up" in refusal(waiting, to_plain)
    assert (
        refusal(waiting, plain(secure_broker)) == "hangs up at once: if it speaks TLS on this port, set mqtt.tls = true"
    )


@FAILED_HANDSHAKE
def test_a_client_certificate_is_shown_where_it_is_wanted(
    broker_folder: Path, certificates: Certificates, waiting: Waiting
) -> None:
    def client(name: str) -> dict[str, str]:
        return {
            f"{kind}_file": str(certificates.file(f"{name}.{end}")) for kind, end in (("cert", "crt"), ("key", "key"))
        }

    with running(Mosquitto(broker_folder, certificates=certificates, client_certificates=True)) as strict:
        for version in ("5", "3.1.1"):
            connection = waiting.connect(secure(strict, version=version, **client("client")))
            assert connection.stage is Stage.OPEN, connection.reason
            connection.close(orderly=True)
        for files in ({}, client("stranger")):
            assert "set mqtt.cert_file and mqtt.key_file" in refusal(waiting, secure(strict, **files))


def test_a_broker_that_is_not_there_is_named(waiting: Waiting) -> None:
    said = refusal(waiting, Broker(host="127.0.0.1", port=free_port()))
    assert said == "nobody answers there: is the broker running, and are mqtt.host and mqtt.port right?"
    said = refusal(waiting, Broker(host="no-such-host.invalid"))
    assert said == "there is no such host: check mqtt.host, and the network"
    assert "check mqtt.host" in refusal(waiting, Broker(host="a..b"))


@contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """The port of a server that says the same to all who come, after they have spoken."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            client, _ = listener.accept()
            with client:
                client.recv(1000)
                client.sendall(answer)
                client.settimeout(LIMIT)
                with suppress(ConnectionError):
                    client.recv(1000)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield listener.getsockname()[1]
        thread.join(LIMIT)


@pytest.mark.parametrize(
    ("answer", "version", "words"),
    [
        (b"\x20\x02\x00\x01", "5", "does not speak MQTT 5: set mqtt.version to the other one"),
        (b"\x20\x03\x00\x84\x00", "5", "does not speak MQTT 5: set mqtt.version to the other one"),
        (b"\x20\x03\x00\x85\x00", "5", "does not take the client id 'edgecam': set another mqtt.client_id"),
        (b"\x20\x02\x00\x02", "3.1.1", "does not take the client id 'edgecam': set another mqtt.client_id"),
        (b"\x20\x03\x00\x89\x00", "5", "refuses the connection: Server busy"),
        (b"\x20\x02\x00\x03", "3.1.1", "refuses the connection: Server unavailable"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 5, "5", ""),
        (b"\x20\x01\x00", "5", "what it says makes no sense"),
        (b"\x20\x06\x00\x00\xff\xff\xff\xff", "5", "what it says makes no sense"),
        (bytes(range(256)), "3.1.1", ""),
    ],
)
def test_what_a_stranger_answers_is_understood_as_far_as_it_can_be(
    waiting: Waiting, answer: bytes, version: str, words: str
) -> None:
    with answering(answer) as port:
        said = refusal(waiting, Broker(host="127.0.0.1", port=port, version=version))
    assert said.startswith(words)
    assert said


def test_the_brokers_limits_are_known(broker_folder: Path, waiting: Waiting) -> None:
    settings = "max_packet_size 1000\nmax_inflight_messages 7"
    with running(Mosquitto(broker_folder, settings=settings)) as narrow:
        connection = waiting.connect(plain(narrow))
        assert connection.window == 7
        assert connection.takes("x", b"1" * 900)
        assert not connection.takes("x", b"1" * 1000)
        connection.close()


def test_a_broker_that_says_so_tells_of_another_client_with_our_id(waiting: Waiting) -> None:
    with answering(b"\x20\x03\x00\x00\x00" + b"\xe0\x01\x8e") as port:
        connection = waiting.connect(Broker(host="127.0.0.1", port=port))
        waiting.turn(connection, partial(is_over, connection))
        assert connection.taken_over
        connection.close()


def test_another_client_with_our_id_ends_the_connection(broker: Mosquitto, waiting: Waiting) -> None:
    """mosquitto 2.0.11 does not say why."""
    first = waiting.connect(plain(broker))
    second = waiting.connect(plain(broker))
    waiting.turn(first, partial(is_over, first))
    assert second.stage is Stage.OPEN
    second.close()


def test_who_does_not_let_us_publish_is_heard(
    broker_folder: Path, waiting: Waiting, certificates: Certificates
) -> None:
    with running(Mosquitto(broker_folder, passwords=(EDGECAM, CONSUMER), acl=ACL)) as strict:
        connection = waiting.connect(plain(strict, username=EDGECAM[0], password=EDGECAM[1]))
        numbers = [connection.publish("elsewhere", b"1"), connection.publish("edgecam/x", b"1")]
        waiting.turn(connection, lambda: len(connection.answers) == 2)
        assert dict(connection.answers) == {numbers[0]: "Not authorized", numbers[1]: ""}
        connection.close()


def test_a_connection_given_up_while_it_comes_about_is_closed(broker: Mosquitto, waiting: Waiting) -> None:
    connections = [Connection(plain(broker, client_id=f"c{n}"), AVAILABLE, waiting.waker) for n in range(20)]
    for connection in connections:
        connection.start()
        connection.close()
    assert all(connection.stage is Stage.OVER for connection in connections)
    for thread in threading.enumerate():
        if thread.name == "mqtt-reach":
            thread.join(LIMIT)
    sockets = [connection._client.socket() for connection in connections]
    assert [each for each in sockets if each is not None and each.fileno() >= 0] == []


def test_a_broker_that_takes_the_connection_and_says_nothing_is_given_up(waiting: Waiting) -> None:
    with answering(b"") as port:
        link = Link(Broker(host="127.0.0.1", port=port), AVAILABLE, waiting.waker, now=0.0)
        link.tend(0.0)
        current = link._current
        assert current is not None
        waiting.turn(current, lambda: current.stage is Stage.GREETING)
        link.tend(GREETING_TIMEOUT + 1)
        link.tend(GREETING_TIMEOUT + 1)
    assert "takes the connection and does not answer" in link.outage


def is_over(connection: Connection) -> bool:
    return connection.stage is Stage.OVER


def test_tries_come_slower_and_slower_and_not_all_at_once(waiting: Waiting) -> None:
    link = Link(Broker(host="127.0.0.1", port=free_port()), AVAILABLE, waiting.waker, now=0.0)
    now, waits = 0.0, []
    for _ in range(12):
        link.tend(now)
        current = link._current
        assert current is not None
        waiting.turn(current, partial(is_over, current))
        link.tend(now)
        waits.append(link._next_try - now)
        now = link._next_try
    assert all(0.74 * 2**n <= wait <= 1.26 * 2**n for n, wait in enumerate(waits[:5]))
    assert all(44.9 <= wait <= 75.1 for wait in waits[7:])
    assert len(set(waits)) == len(waits), "no two of a fleet come at the same moment, not even at the longest wait"
    link.close()


@pytest.mark.parametrize("taken_over", [True, False])
def test_a_fight_over_a_client_id_is_said_until_it_is_over(waiting: Waiting, taken_over: bool) -> None:  # noqa: FBT001
    """Played with connections that are set to be open and over: a broker of 3.1.1 gives no reason, one of 5 does."""
    link = Link(Broker(client_id="twin"), AVAILABLE, waiting.waker, now=0.0)
    now = 0.0
    for _ in range(3):
        connection = Connection(link._broker, AVAILABLE, waiting.waker)
        connection.stage = Stage.OPEN
        link._current = connection
        assert link.tend(now)
        now += 1.0
        connection.stage, connection.taken_over, connection.reason = Stage.OVER, taken_over, "the connection was lost"
        assert not link.tend(now)
        assert not taken_over or "another client uses the client id 'twin' too" in link.clash
    assert "client id 'twin'" in link.clash
    assert link._next_try - now >= 3.0, "the back-off goes on, though each try succeeded"
    connection = Connection(link._broker, AVAILABLE, waiting.waker)
    connection.stage = Stage.OPEN
    link._current = connection
    link.tend(now)
    link.tend(now + 30)
    assert link.clash
    link.tend(now + 61)
    assert not link.clash


def test_certificates_made_at_home_are_good_enough(secure_broker: Mosquitto) -> None:
    context = secure(secure_broker).tls
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_the_largest_command_is_small(broker: Mosquitto, waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker of version 5 keeps what is larger to itself."""
    monkeypatch.setattr(connection_module, "LARGEST_COMMAND_BYTES", 1000)
    connection = waiting.connect(plain(broker))
    connection.subscribe(["x"])
    with Listener(broker, "x") as other:
        for size in (2000, 10):
            other.publish("x", b"1" * size)
        waiting.turn(connection, lambda: connection.messages)
    assert connection.messages == [("x", b"1" * 10, False)]
    connection.close()
