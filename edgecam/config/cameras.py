"""The kinds of camera and their keys, which are the keywords of the cameras' constructors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_serializer

from edgecam.config.sections import Fps, Section, Size, Source

Pace = Literal["realtime", "fast"]


class AnyCamera(Section):
    """The keys that every kind of camera has."""

    enabled: bool = Field(default=True, description="Whether this camera runs.")

    def options(self) -> dict[str, Any]:
        """The keywords for the camera's constructor."""
        return {name: getattr(self, name) for name in type(self).model_fields if name not in {"type", "enabled"}}


class VideoFileConfig(AnyCamera):
    """A video file, a folder of pictures, or anything else that ffmpeg opens."""

    type: Literal["video_file"] = Field(description="The kind of camera.")
    path: Source = Field(description="A video, a folder of pictures, a V4L2 device, or a URL such as rtsp://camera/1.")
    pace: Pace = Field(default="realtime", description="By the file's own timestamps, or as fast as the machine can.")
    loop: bool = Field(default=False, description="Start again at the end.")
    fps: Fps | None = Field(default=None, description="Frames per second; without it, those that the file names.")
    size: Size | None = Field(default=None, description="Width and height in pixels; without it, those of the file.")

    @field_serializer("path", mode="wrap", when_used="json")
    def _without_password(self, path: str, handler: SerializerFunctionWrapHandler) -> Any:
        """What is shown never holds a URL's password."""
        scheme, separator, rest = path.partition("://")
        host_part, slash, tail = rest.partition("/")
        user_part, at, host = host_part.rpartition("@")
        user, colon, _ = user_part.partition(":")
        return handler(f"{scheme}://{user}:***@{host}{slash}{tail}" if separator and at and colon else path)


class SyntheticConfig(AnyCamera):
    """Rendered scenes: a camera for machines that have none, whose truth is known exactly."""

    type: Literal["synthetic"] = Field(description="The kind of camera.")
    seed: int = Field(default=1, ge=0, le=2**32 - 1, description="The same seed gives the same pictures.")
    size: Size = Field(default=(1280, 720), description="Width and height in pixels.")
    fps: Fps = Field(default=25.0, description="Frames per second.")
    pace: Pace = Field(default="realtime", description="At its frame rate, or as fast as the machine can.")
    duration: float | None = Field(default=None, gt=0, description="Length in seconds; without it, it never ends.")
    place: Literal["street", "garden"] | None = Field(default=None, description="Where; without it, the seed decides.")
    light: Literal["day", "dusk", "rain"] | None = Field(
        default=None, description="The light; without it, the seed decides."
    )


CameraConfig = Annotated[VideoFileConfig | SyntheticConfig, Field(discriminator="type")]
"""One camera; `type` says which kind."""
