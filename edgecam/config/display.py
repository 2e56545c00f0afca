"""The display's part of the configuration."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from edgecam.config.sections import Fps, Section

_OF_THE_SCREEN = ("backend", "fullscreen", "connector")


class DisplaySection(Section):
    """The attached display."""

    enabled: bool = Field(default=False, description="Show the cameras' pictures.")
    backend: Literal["auto", "window", "drm"] = Field(
        default="auto", description="window: on a desktop; drm: on the bare monitor; auto: by whether a desktop runs."
    )
    fullscreen: bool = Field(default=True, description="Whether a window fills the screen.")
    connector: str = Field(default="", description="drm's monitor, such as HDMI-A-1; empty: the first there is.")
    layout: Literal["grid", "single"] = Field(default="grid", description="grid: all cameras; single: one of them.")
    camera: str = Field(default="", description="The camera that single begins with; empty: the first.")
    fps: Fps = Field(default=30.0, description="Most pictures per second on the screen.")

    def screen(self) -> dict[str, Any]:
        """What the screen is made with."""
        return self.model_dump(include=set(_OF_THE_SCREEN))

    def arrangement(self) -> dict[str, Any]:
        """What is shown on it, and how often."""
        return self.model_dump(exclude={"enabled", *_OF_THE_SCREEN})
