"""What the broker asks for is found where it lies, never shown, and complained about before anything starts."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import pytest
from mqtt_broker import Certificates, openssl

from edgecam.config.mqtt import MqttSection
from edgecam.errors import ConfigError
from edgecam.mqtt.credentials import VARIABLE, broker_of

PASSWORD = "sesame"  # noqa: S105


def secret(path: Path, text: str = PASSWORD + "\n", mode: int = 0o600) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def password(environment: dict[str, str], **options: Any) -> str | None:
    return broker_of(MqttSection.model_validate({"username": "cam"} | options), environment).password


def test_the_password_comes_from_the_first_place_that_has_one(tmp_path: Path) -> None:
    environment = {VARIABLE: "from the environment"}
    assert password({}) is None
    assert password(environment) == "from the environment"
    environment["CREDENTIALS_DIRECTORY"] = str(tmp_path / "credentials")
    assert password(environment) == "from the environment"
    secret(tmp_path / "credentials" / "mqtt-password", "from systemd\n")
    assert password(environment) == "from systemd"
    file = secret(tmp_path / "file", "from the file \r\n")
    assert password(environment, password_file=file) == "from the file "


def test_without_a_user_no_password_is_sent() -> None:
    assert broker_of(MqttSection(), {VARIABLE: PASSWORD}).password is None


def test_the_password_is_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    broker = broker_of(MqttSection(username="cam", password_file=secret(tmp_path / "p")), {})
    assert broker.password == PASSWORD
    assert PASSWORD not in f"{broker!r} {broker} {caplog.text}"


def test_a_password_that_everybody_may_read_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    password({}, password_file=secret(tmp_path / "p", mode=0o640))
    assert not caplog.messages
    path = secret(tmp_path / "p", mode=0o644)
    assert password({}, password_file=path) == PASSWORD
    assert [f"chmod o= {path}" in message for message in caplog.messages] == [True]


def test_defaults_are_told_apart_by_prefix_and_host() -> None:
    assert broker_of(MqttSection(prefix="garden"), {}).client_id == f"garden-{socket.gethostname()}"
    assert broker_of(MqttSection(client_id="mine"), {}).client_id == "mine"
    assert (broker_of(MqttSection(), {}).address, broker_of(MqttSection(), {}).tls) == ("localhost:1883", None)


def test_certificates_are_loaded(certificates: Certificates) -> None:
    names = {"ca_file": "ca.crt", "cert_file": "client.crt", "key_file": "client.key"}
    files = {key: str(certificates.file(name)) for key, name in names.items()}
    broker = broker_of(MqttSection.model_validate({"tls": True} | files), {})
    assert broker.port == 8883
    assert broker.tls is not None
    assert [each["subject"] for each in broker.tls.get_ca_certs()] == [((("commonName", "edgecam test ca"),),)]


def complaints(**options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        broker_of(MqttSection.model_validate(options), {})
    return str(caught.value)


def test_all_files_that_cannot_be_used_are_named_at_once(tmp_path: Path) -> None:
    said = complaints(
        tls=True, username="cam", ca_file=str(tmp_path / "no.crt"), password_file=str(tmp_path), cert_file="/nowhere/x"
    )  # fmt: skip
    assert [line.split(":")[0].split(" ")[0] for line in said.splitlines()] == [
        "mqtt.password_file", "mqtt.ca_file", "mqtt.cert_file",
    ]  # fmt: skip
    assert "No such file or directory: give a file that this user may read" in said
    assert "Is a directory" in said


def test_files_with_the_wrong_content_are_complained_about(tmp_path: Path, certificates: Certificates) -> None:
    junk = secret(tmp_path / "junk", "junk")
    key, other = str(certificates.file("client.key")), str(certificates.file("stranger.key"))
    certificate = str(certificates.file("client.crt"))
    openssl(tmp_path, "ec", "-in", key, "-aes128", "-passout", "pass:secret", "-out", "locked.key")
    locked = str(tmp_path / "locked.key")
    assert complaints(tls=True, ca_file=junk) == f"mqtt.ca_file {junk!r}: holds no certificate in PEM form"
    assert "must be in PEM form" in complaints(tls=True, cert_file=junk)
    assert "must be in PEM form" in complaints(tls=True, cert_file=certificate)
    assert "the key without a password" in complaints(tls=True, cert_file=certificate, key_file=locked)
    assert f"mqtt.key_file {other!r}: does not belong to" in complaints(
        tls=True, cert_file=certificate, key_file=other
    )  # fmt: skip
    empty = secret(tmp_path / "empty", "\n")
    assert "is empty" in complaints(username="cam", password_file=empty)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x80")
    assert "cannot be read as UTF-8 text" in complaints(username="cam", password_file=str(binary))


def test_keys_that_need_another_one_say_so(tmp_path: Path, certificates: Certificates) -> None:
    assert complaints(password_file=secret(tmp_path / "p")) == "mqtt.password_file: needs mqtt.username"
    assert complaints(tls=True, key_file=str(certificates.file("client.key"))) == "mqtt.key_file: needs mqtt.cert_file"
