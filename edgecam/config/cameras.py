"""The kinds of camera and their keys, which are the keywords of the cameras' constructors."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_serializer,
)

from edgecam.config.sections import Fps, Size, Source
from edgecam.config.zones import MarkedSection

Pace = Literal["realtime", "fast"]


def _one_of(what: str) -> WrapValidator:
    """Says of a value that fits no member of a union what is allowed, in one complaint."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"allowed is {what}") from None

    return WrapValidator(check)


_LIGHTS = Literal["auto", "incandescent", "tungsten", "fluorescent", "indoor", "daylight", "cloudy"]
_Gain = Annotated[float, Field(gt=0, le=32)]

WhichCamera = Annotated[
    Annotated[int, Field(ge=0)] | Annotated[str, Field(min_length=1)], _one_of("a whole number at least 0, or an id")
]
Focus = Annotated[Literal["auto"] | Annotated[float, Field(ge=0, le=100)], _one_of('"auto", or 0 to 100 dioptres')]
WhiteBalance = Annotated[
    _LIGHTS | Annotated[tuple[_Gain, _Gain], Field(strict=False)],
    _one_of(f"one of {', '.join(get_args(_LIGHTS))}, or a list of the gains of red and blue"),
]


class AnyCamera(MarkedSection):
    """The keys that every kind of camera has."""

    enabled: bool = Field(default=True, description="Whether this camera runs.")
    detector_share: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="Its part of the detector beside other cameras; 2: twice as much.",
    )

    def options(self) -> dict[str, Any]:
        """The keywords for `edgecam.cameras.create`: those of the camera's constructor, and any privacy masks."""
        others = {"type", *AnyCamera.model_fields}
        own = {name: getattr(self, name) for name in type(self).model_fields if name not in others}
        return own | {"privacy_masks": self.privacy_masks} if self.privacy_masks else own


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


class Picamera2Config(AnyCamera):
    """A camera on the Raspberry Pi's own connector, or another that libcamera drives."""

    type: Literal["picamera2"] = Field(description="The kind of camera.")
    camera: WhichCamera = Field(default=0, description="Its number or its id, as `edgecam cameras` lists them.")
    size: Size = Field(default=(1280, 720), description="Width and height in pixels, before it is turned.")
    fps: Fps = Field(default=30.0, description="Frames per second.")
    rotation: Literal[0, 90, 180, 270] = Field(default=0, description="Degrees clockwise, after the flips.")
    hflip: bool = Field(default=False, description="Mirror left and right.")
    vflip: bool = Field(default=False, description="Mirror top and bottom.")
    sensor_mode: Size | None = Field(
        default=None, description="Width and height of the sensor's read-out; without it, what suits the size."
    )
    focus: Focus | None = Field(
        default=None, description="auto, or a distance in dioptres (1 / metres); without it, as the camera starts."
    )
    exposure: float | None = Field(default=None, gt=0, description="Seconds; without it, automatic.")
    gain: float | None = Field(default=None, ge=1, description="Analogue gain; without it, automatic.")
    exposure_value: float = Field(default=0.0, ge=-8, le=8, description="Stops above or below automatic exposure.")
    awb: WhiteBalance = Field(default="auto", description="White balance: the light, or the gains of red and blue.")


class V4l2Config(AnyCamera):
    """A USB camera, or another that speaks V4L2."""

    type: Literal["v4l2"] = Field(description="The kind of camera.")
    path: Source = Field(description="/dev/v4l/by-id/…, the same in every socket, or /dev/videoN.")
    format: Literal["auto", "yu12", "nv12", "yuyv", "mjpeg"] = Field(
        default="auto", description="Of its pictures; auto: the cheapest that reaches the frame rate."
    )
    size: Size | None = Field(default=None, description="Width and height in pixels; without it, up to 1280x720.")
    fps: Fps | None = Field(default=None, description="Frames per second; without it, 30 or what is next to it.")


CameraConfig = Annotated[VideoFileConfig | SyntheticConfig | Picamera2Config | V4l2Config, Field(discriminator="type")]
"""One camera; `type` says which kind."""
