"""A real broker for tests: mosquitto with a password, TLS and access rules, to be stopped, killed, frozen and mended;
and a subscriber that misses nothing."""

from __future__ import annotations

import getpass
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:  # the camera lab has no paho, and no tests that listen
    from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
    from paho.mqtt.enums import MQTTProtocolVersion
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

LIMIT = 30.0
"""Seconds that anything here may take."""
EDGECAM = ("edgecam", "correct horse")
"""User and password of the appliance at a broker with passwords; it may use edgecam/# and homeassistant/#."""
CONSUMER = ("consumer", "battery staple")
"""User and password of who listens and commands there; may do anything."""
ACL = """
user edgecam
topic readwrite edgecam/#
topic readwrite homeassistant/#

user consumer
topic readwrite #
"""
_IDENTIFIERS = "basicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
SESSION = 3600
"""Seconds for which the broker keeps a listener's session."""


def mosquitto() -> str | None:
    """The broker's program; Debian has it in /usr/sbin, which is not on every user's path."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives out: a client trying it while the broker is
    down can then not happen to be connected to itself."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@dataclass(frozen=True)
class Certificates:
    """An authority with a server's and a client's certificate, and another authority with a client's."""

    folder: Path

    def file(self, name: str) -> Path:
        """One of ca.crt, server.crt, server.key, client.crt, client.key, other-ca.crt, stranger.crt, stranger.key."""
        return self.folder / name


def make_certificates(folder: Path) -> Certificates:
    """Certificates for localhost and 127.0.0.1, good for two days."""
    (folder / "server.ext").write_text(_IDENTIFIERS + "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    (folder / "client.ext").write_text(_IDENTIFIERS + "extendedKeyUsage=clientAuth\n")
    for authority in ("ca", "other-ca"):
        openssl(
            folder, "req", "-x509", *_key(authority), "-out", f"{authority}.crt", "-days", "2",
            "-subj", f"/CN=edgecam test {authority}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip
    for name, authority, extensions in (
        ("server", "ca", "server.ext"), ("client", "ca", "client.ext"), ("stranger", "other-ca", "client.ext"),
    ):  # fmt: skip
        openssl(folder, "req", *_key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", "-days", "2", "-extfile", extensions,
            "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial",
        )  # fmt: skip
    return Certificates(folder)


def _key(name: str) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]


def openssl(folder: Path, *arguments: str) -> None:
    """Run openssl in a folder."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=LIMIT)


class Mosquitto:
    """One broker on 127.0.0.1, with its memory in `folder`; its port is the same however often it starts.

    `certificates`: speaks TLS; `client_certificates`: only to who shows one of the same authority. `passwords`: only
    who knows one gets in. `acl`: who may use which topics, in mosquitto's own words. `careful`: writes down what
    it holds at every change, as one must that will be killed, not only when it is stopped. `settings`: further lines.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        certificates: Certificates | None = None,
        client_certificates: bool = False,
        passwords: tuple[tuple[str, str], ...] = (),
        acl: str = "",
        careful: bool = False,
        settings: str = "",
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.certificates = certificates
        self.process: subprocess.Popen[bytes] | None = None
        self._client_certificates = client_certificates
        self._careful = careful
        self._settings = settings
        folder.mkdir(parents=True, exist_ok=True)
        self._acl = folder / "acl" if acl else None
        self._passwords = folder / "passwords" if passwords else None
        if self._acl:
            self._write(self._acl, acl)
        if self._passwords:
            self._write_passwords(passwords)

    def start(self) -> Self:
        """Start it, also again, and wait until it takes connections."""
        program = mosquitto()
        assert program is not None
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text("\n".join(self._lines()) + "\n")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([program, "-c", configuration], stdout=log, stderr=log)
        ends = monotonic() + LIMIT
        while not self._answers():
            assert self.process.poll() is None, f"mosquitto ended: {self.log()}"
            assert monotonic() < ends, f"mosquitto does not answer: {self.log()}"
            sleep(0.01)
        return self

    def stop(self) -> None:
        """End it in good order: what it holds is written down. Does nothing where it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it do nothing more; the kernel still takes connections for it and fills their buffers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def allow(self, acl: str) -> None:
        """Change who may use which topics, while it runs."""
        assert self._acl is not None
        assert self.process is not None
        self._write(self._acl, acl)
        self.process.send_signal(signal.SIGHUP)

    def admit(self, *passwords: tuple[str, str]) -> None:
        """Change who is let in, while it runs."""
        assert self.process is not None
        self._write_passwords(passwords)
        self.process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        """All it has said."""
        return (self.folder / "log").read_text()

    def _lines(self) -> Iterator[str]:
        yield f"listener {self.port} 127.0.0.1"
        yield f"user {getpass.getuser()}"
        yield "persistence true"
        yield f"persistence_location {self.folder}/"
        if self._careful:
            yield "autosave_interval 1"
            yield "autosave_on_changes true"
        yield "max_queued_messages 1000000"  # with 0, 2.0.11 hangs up on whom it does not let publish
        yield "log_dest stderr"
        yield f"allow_anonymous {'false' if self._passwords else 'true'}"
        if self._passwords:
            yield f"password_file {self._passwords}"
        if self._acl:
            yield f"acl_file {self._acl}"
        if self.certificates:
            yield f"cafile {self.certificates.file('ca.crt')}"
            yield f"certfile {self.certificates.file('server.crt')}"
            yield f"keyfile {self.certificates.file('server.key')}"
            yield f"require_certificate {'true' if self._client_certificates else 'false'}"
        yield self._settings

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.send_signal(signal.SIGCONT)
        self.process.wait(LIMIT)
        self.process = None

    def _write_passwords(self, passwords: tuple[tuple[str, str], ...]) -> None:
        assert self._passwords is not None
        self._write(self._passwords, "".join(f"{user}:{password}\n" for user, password in passwords))
        subprocess.run(["mosquitto_passwd", "-U", self._passwords], check=True, capture_output=True, timeout=LIMIT)

    @staticmethod
    def _write(path: Path, content: str) -> None:
        path.write_text(content)
        path.chmod(0o600)


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came, at `time` in monotonic seconds."""

    topic: str
    payload: bytes
    retain: bool
    qos: int
    time: float


class Listener:
    """A subscriber whose session the broker keeps while one of them is away; it collects all that comes.

    `version` is MQTT's, 5 unless told. `start` connects and waits until it is subscribed; lost connections are made
    again after `reconnect` seconds. `stop` goes away, the session stays.
    """

    def __init__(
        self,
        broker: Mosquitto,
        *topics: str,
        client_id: str = "listener",
        version: MQTTProtocolVersion | None = None,
        login: tuple[str, str] | None = None,
        on_message: Callable[[Received], None] = lambda _received: None,
        reconnect: float = 1.0,
    ) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        version = version or MQTTProtocolVersion.MQTTv5
        self.received: list[Received] = []
        self._topics = [(topic, 1) for topic in topics or ("#",)]
        self._broker = broker
        self._modern = version is MQTTProtocolVersion.MQTTv5
        self._on_each = on_message
        self._news = threading.Condition()
        self._subscribed = 0
        clean_session = None if self._modern else False
        self._client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=clean_session, protocol=version)
        if broker.certificates:
            self._client.tls_set_context(ssl.create_default_context(cafile=broker.certificates.file("ca.crt")))
        if login:
            self._client.username_pw_set(*login)
        self._client.reconnect_delay_set(reconnect, reconnect)  # type: ignore[arg-type]
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def start(self) -> Self:
        keywords: dict[str, Any] = {}
        if self._modern:
            from paho.mqtt.packettypes import PacketTypes
            from paho.mqtt.properties import Properties

            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION
            keywords = {"clean_start": False, "properties": properties}
        wanted = self._subscribed + 1
        self._client.connect("localhost", self._broker.port, keepalive=60, **keywords)
        self._client.loop_start()
        self.wait_until(lambda: self._subscribed >= wanted)
        return self

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def publish(self, topic: str, payload: bytes | str, *, retain: bool = False) -> None:
        """Say something, QoS 1, once there is a connection, and wait until the broker has it."""
        self.wait_until(self._client.is_connected)
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(LIMIT)

    def on(self, topic: str) -> list[Received]:
        """What has come on one topic."""
        with self._news:
            return [each for each in self.received if each.topic == topic]

    def payloads(self, topic: str) -> list[bytes]:
        """The payloads that have come on one topic."""
        return [each.payload for each in self.on(topic)]

    def retained(self) -> dict[str, bytes]:
        """The last payload of each topic that came with the mark of a retained one, or later."""
        with self._news:
            return {each.topic: each.payload for each in self.received}

    def wait_until(self, condition: Callable[[], object], limit: float = LIMIT) -> None:
        """Wait until what has come fulfils a condition, asked anew whenever something comes. Fails after `limit`."""
        with self._news:
            assert self._news.wait_for(condition, limit), f"nothing that fulfils it in {limit:g} s"

    def wait_for(self, topic: str, payload: bytes | None = None, count: int = 1, limit: float = LIMIT) -> None:
        """Wait until so many messages of a topic have come, with this payload where one is given."""
        self.wait_until(
            lambda: sum(payload in (None, each.payload) for each in self.received if each.topic == topic) >= count,
            limit,
        )

    def _on_connect(
        self, client: Client, userdata: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        assert not reason.is_failure, f"the listener was refused: {reason}"
        client.subscribe(self._topics)

    def _on_subscribe(
        self, client: Client, userdata: object, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        with self._news:
            self._subscribed += 1
            self._news.notify_all()

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        received = Received(message.topic, bytes(message.payload), message.retain, message.qos, monotonic())
        self._on_each(received)
        with self._news:
            self.received.append(received)
            self._news.notify_all()


@contextmanager
def running(broker: Mosquitto) -> Iterator[Mosquitto]:
    """The broker, started; ended with the context however it stands then."""
    try:
        yield broker.start()
    finally:
        broker.kill()
