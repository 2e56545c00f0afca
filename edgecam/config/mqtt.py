"""How events go out over MQTT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from edgecam.config.sections import OptionalPath, Section


def _plain_topic(value: str) -> str:
    if any(sign in value for sign in "+#\0") or value != value.strip("/ "):
        raise ValueError("allowed is a topic without +, # and NUL, and without / or a blank at its ends")
    return value


TopicPrefix = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain_topic)]


class MqttSection(Section):
    """The broker, and what it is told."""

    enabled: bool = Field(default=False, description="Send events over MQTT.")
    host: str = Field(default="localhost", min_length=1, description="The broker.")
    port: int = Field(default=0, ge=0, le=65535, description="0: 1883, with TLS 8883.")
    prefix: TopicPrefix = Field(default="edgecam", description="What all topics begin with; one for each edgecam.")
    client_id: str = Field(default="", max_length=100, description="Empty: the prefix and the host's name.")
    version: Literal["5", "3.1.1"] = Field(default="5", description="Of the protocol.")
    username: str = Field(default="", description="Empty: none.")
    password_file: OptionalPath = Field(
        default="", description="Empty: the systemd credential mqtt-password, or EDGECAM_MQTT_PASSWORD, or none."
    )
    tls: bool = Field(default=False, description="Speak TLS.")
    ca_file: OptionalPath = Field(default="", description="Whom to trust; empty: the system's authorities.")
    cert_file: OptionalPath = Field(default="", description="The client's certificate; empty: none.")
    key_file: OptionalPath = Field(default="", description="Its key, where the certificate's file has it not.")
    keepalive: int = Field(default=30, ge=5, le=3600, description="Seconds of silence after which to ask for life.")
    snapshots: Literal["bytes", "reference", "off"] = Field(
        default="bytes", description="What goes out of an event's picture: the JPEG, where it lies, or nothing."
    )
    stats_interval: float = Field(default=60.0, ge=1, le=86400, description="Seconds between statistics.")
    spool_messages: int = Field(
        default=100_000, ge=100, le=10_000_000, description="Most event messages kept while there is no broker."
    )
    spool_age: float = Field(
        default=604_800.0, ge=60, le=31_536_000, description="Longest time, in seconds, that one is kept."
    )
    discovery: bool = Field(default=True, description="Let Home Assistant find the cameras.")
    discovery_prefix: TopicPrefix = Field(default="homeassistant", description="Where Home Assistant looks.")

    @field_validator("cert_file")
    @classmethod
    def _needs_tls(cls, value: str, info: ValidationInfo) -> str:
        if value and not info.data.get("tls"):
            raise ValueError("needs tls = true")
        return value

    @property
    def effective_port(self) -> int:
        """The port to connect to."""
        return self.port or (8883 if self.tls else 1883)

    @property
    def files(self) -> dict[str, Path]:
        """The files that are named, by key."""
        named = {key: getattr(self, key) for key in ("password_file", "ca_file", "cert_file", "key_file")}
        return {key: Path(value) for key, value in named.items() if value}
