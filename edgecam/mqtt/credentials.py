"""What the broker asks for: address, name, secrets and certificates, taken from the configuration and its places."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgecam.config.mqtt import MqttSection
from edgecam.errors import ConfigError

log = logging.getLogger(__name__)

CREDENTIAL = "mqtt-password"
"""The name of systemd's credential (`LoadCredential=mqtt-password:FILE`)."""
VARIABLE = "EDGECAM_MQTT_PASSWORD"


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker and how to get in; the password is never shown. `tls` is None for a connection in the clear."""

    host: str = "localhost"
    port: int = 1883
    client_id: str = "edgecam"
    version: str = "5"
    username: str = ""
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)
    keepalive: int = 30

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"


def broker_of(options: MqttSection, environment: Mapping[str, str] = os.environ) -> Broker:
    """The broker as configured, with all that is in files read. Raises ConfigError, which names all bad keys."""
    complaints = [complaint for key, path in options.files.items() if (complaint := _unreadable(key, path))]
    if options.password_file and not options.username:
        complaints.append("mqtt.password_file: needs mqtt.username")
    if options.key_file and not options.cert_file:
        complaints.append("mqtt.key_file: needs mqtt.cert_file")
    password, tls = None, None
    if not complaints:
        password = _password(options, environment, complaints)
        tls = _tls(options, complaints) if options.tls else None
    if complaints:
        raise ConfigError("\n".join(complaints))
    return Broker(
        host=options.host,
        port=options.effective_port,
        client_id=options.client_id or f"{options.prefix}-{socket.gethostname()}",
        version=options.version,
        username=options.username,
        password=password if options.username else None,
        tls=tls,
        keepalive=options.keepalive,
    )


def _unreadable(key: str, path: Path) -> str:
    try:
        path.read_bytes()
    except OSError as error:
        return f"mqtt.{key} {str(path)!r}: {error.strerror}: give a file that this user may read"
    return ""


def _password(options: MqttSection, environment: Mapping[str, str], complaints: list[str]) -> str | None:
    """The password from the first place that has one."""
    credentials = Path(environment.get("CREDENTIALS_DIRECTORY", os.devnull)) / CREDENTIAL
    if options.password_file:
        source, place = Path(options.password_file), f"mqtt.password_file {options.password_file!r}"
        if source.stat().st_mode & 0o007:
            log.warning("%s: every user of this machine may read it: chmod o= %s", place, source)
    elif credentials.is_file():
        source, place = credentials, f"the credential {CREDENTIAL}"
    else:
        return environment.get(VARIABLE)
    try:
        password = source.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError):
        complaints.append(f"{place}: cannot be read as UTF-8 text")
        return None
    if not password:
        complaints.append(f"{place}: is empty: put the password into it")
    return password


def _tls(options: MqttSection, complaints: list[str]) -> ssl.SSLContext | None:
    try:
        context = ssl.create_default_context(cafile=options.ca_file or None)
    except ssl.SSLError:
        complaints.append(f"mqtt.ca_file {options.ca_file!r}: holds no certificate in PEM form")
        return None
    if options.ca_file:
        # From Python 3.13 on certificates are expected to have extensions that those made at home often lack.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if options.cert_file:
        _load_client_certificate(context, options, complaints)
    return context


def _load_client_certificate(context: ssl.SSLContext, options: MqttSection, complaints: list[str]) -> None:
    try:
        context.load_cert_chain(options.cert_file, options.key_file or None, password="")  # never ask at the terminal
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            key = options.key_file or options.cert_file
            complaints.append(f"mqtt.key_file {key!r}: does not belong to the certificate {options.cert_file!r}")
        else:
            complaints.append(
                f"mqtt.cert_file {options.cert_file!r}: certificate and key must be in PEM form, the key without a"
                " password, in this file or in mqtt.key_file"
            )
