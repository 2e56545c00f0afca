"""The sections of the configuration about who can ask edgecam how it is."""

from __future__ import annotations

from pydantic import Field

from edgecam.config.sections import OptionalPath, Section


class StatusSection(Section):
    """Where `edgecam status` asks."""

    socket: OptionalPath = Field(
        default="", description="Empty: status.sock in the folder that systemd gives the service, else nowhere."
    )


class MetricsSection(Section):
    """Figures for Prometheus."""

    enabled: bool = Field(default=False, description="Serve them over HTTP.")
    host: str = Field(default="127.0.0.1", min_length=1, description="The address to listen at.")
    port: int = Field(default=9898, ge=1, le=65535, description="The port.")
