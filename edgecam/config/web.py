"""The section of the configuration about the web server."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from edgecam.config.sections import OptionalPath, Section

_SUB_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError:
        raise ValueError('allowed is an address, or a network such as "192.168.1.0/24"') from None


def _sub_path(value: str) -> str:
    if not _SUB_PATH.fullmatch(value) or {".", ".."} & set(value.split("/")):
        raise ValueError('allowed is nothing, or a path such as "/edgecam", without / at its end')
    return value


def _host_name(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError('allowed is a name such as "edgecam.lan", without port')
    return value.lower()


class WebSection(Section):
    """The pages for the browser and the API."""

    enabled: bool = Field(default=False, description="Serve them over HTTP.")
    host: str = Field(
        default="127.0.0.1", min_length=1, description="The address to listen at. Beyond this machine: with a password."
    )
    port: int = Field(default=8080, ge=1, le=65535, description="The port.")
    password_file: OptionalPath = Field(
        default="", description="What `edgecam web password` writes; empty: the systemd credential web-password."
    )
    tokens_file: OptionalPath = Field(default="", description="Empty: web-tokens.json in data_dir.")
    session_age: float = Field(
        default=2_592_000.0, ge=60, le=31_536_000, description="Seconds after which one logs in again."
    )
    cert_file: OptionalPath = Field(default="", description="The certificate to speak TLS with; empty: no TLS.")
    key_file: OptionalPath = Field(default="", description="Its key, where the certificate's file has it not.")
    root_path: Annotated[str, AfterValidator(_sub_path)] = Field(
        default="", description="The path below which a reverse proxy has the pages."
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        default=(), strict=False, description="Reverse proxies that are believed when they say who asks."
    )
    hosts: tuple[Annotated[str, AfterValidator(_host_name)], ...] = Field(
        default=(), strict=False, description="Other names that this machine is called by, where there is no password."
    )
    max_viewers: int = Field(default=32, ge=1, le=1000, description="Most live pictures sent at the same time.")

    @field_validator("key_file")
    @classmethod
    def _needs_a_certificate(cls, value: str, info: ValidationInfo) -> str:
        if value and not info.data.get("cert_file"):
            raise ValueError("needs cert_file")
        return value

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """Where a browser on this machine, or on another, finds it: of an address that means all, this machine's."""
        scheme = "https" if self.cert_file else "http"
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 -- nothing is bound here
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}{self.root_path}/"

    def tokens_path(self, data_dir: Path) -> Path:
        """The file with the programs' tokens."""
        return Path(self.tokens_file) if self.tokens_file else data_dir / "web-tokens.json"
