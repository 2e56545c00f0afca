"""The configuration of the clips."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from edgecam.config.sections import Section

_ABOUT_THE_CLIP = ("pre_roll", "post_roll", "max_length", "overlay", "sync")


class ClipsSection(Section):
    """A video of each event, from some seconds before it began."""

    enabled: bool = Field(default=True, description="Record clips.")
    pre_roll: float = Field(
        default=5.0, ge=0, le=60, description="Seconds of each clip before its event; 0: encode nothing without one."
    )
    post_roll: float = Field(default=5.0, ge=0, le=600, description="Seconds of each clip after its event.")
    max_length: float = Field(default=300.0, ge=60, le=3600, description="Seconds after which another clip goes on.")
    overlay: bool = Field(default=True, description="Boxes in the picture; else beside it, in a file CLIP.vtt.")
    codec: Literal["auto", "h264_v4l2m2m", "libx264"] = Field(
        default="auto", description="The hardware of a Pi 4 and older, the CPU, or auto: the first that works."
    )
    quality: int = Field(default=23, ge=0, le=51, description="x264's quality; lower is better and larger.")
    bitrate: int = Field(default=0, ge=0, le=100_000_000, description="Bits a second, instead of quality; 0: none.")
    max_bitrate: int = Field(
        default=8_000_000, ge=0, le=100_000_000, description="Most bits a second, whatever moves; 0: no bound."
    )
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"] = Field(
        default="superfast", description="x264's preset; slower is smaller and takes more of the CPU."
    )
    keyframe_interval: float = Field(default=1.0, ge=0.2, le=10, description="Seconds between key frames.")
    threads: int = Field(default=1, ge=1, le=16, description="CPU threads of the encoder.")
    sync: bool = Field(default=True, description="Have the disk keep each half second before the next is recorded.")

    def recording(self) -> dict[str, Any]:
        """What the sink is made with, but for the encoder."""
        return self.model_dump(include=set(_ABOUT_THE_CLIP))

    def encoding(self) -> dict[str, Any]:
        """What the encoder is made with."""
        return self.model_dump(exclude={"enabled", *_ABOUT_THE_CLIP})
