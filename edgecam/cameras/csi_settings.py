"""From the keys of the configuration to what picamera2 is asked for, and a check of what it granted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from edgecam.cameras.csi_library import Library
from edgecam.cameras.csi_picture import RGB_FORMATS, YUV_FORMATS, Layout, Size, Turn
from edgecam.errors import InputError

#: Requests in flight: one being filled, one being copied, two for when the machine is late. Each costs CMA memory.
BUFFERS = 4

Awb = Literal["auto", "incandescent", "tungsten", "fluorescent", "indoor", "daylight", "cloudy"]

Controls = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CsiSettings:
    """What the user wants of a camera; the constructor of Picamera2Camera says what each one means."""

    size: Size
    lores_size: Size
    fps: float
    rotation: int
    hflip: bool
    vflip: bool
    sensor_mode: Size | None
    focus: Literal["auto"] | float | None
    exposure: float | None
    gain: float | None
    exposure_value: float
    awb: Awb | tuple[float, float]

    @property
    def flips(self) -> tuple[bool, bool]:
        """The flips (horizontal, vertical) that the sensor is asked for: half a turn is both."""
        half = self.rotation == 180
        return self.hflip != half, self.vflip != half

    @property
    def quarters(self) -> int:
        """The quarter turns clockwise that are left to us: no sensor can do them."""
        return self.rotation // 90 % 4 if self.rotation != 180 else 0


@dataclass(frozen=True, slots=True)
class Granted:
    """What the camera delivers: its streams (no `lores` where the model wants more than the main picture has)."""

    main: Layout
    lores: Layout | None
    turn: Turn


def request(library: Library, picam2: Any, settings: CsiSettings, name: str) -> dict[str, Any]:
    """The configuration to ask for: planar YUV 4:2:0 and, at the model's input size, what the ISP can.

    No raw stream, and nothing to display or encode: each would cost buffers. Raises InputError where the camera lacks
    a control that the user set.
    """
    hflip, vflip = settings.flips
    controls: Controls = {}
    for made in (_rate(settings), _exposure(settings), _white_balance(library, settings), _focus(library, settings)):
        _check_controls(picam2.camera_controls, made, name)
        controls |= made
    if "FrameDurationLimits" not in picam2.camera_controls:
        controls.pop("FrameDurationLimits")
    configuration: dict[str, Any] = picam2.create_video_configuration(
        main={"size": settings.size, "format": "YUV420"},
        lores=_lores(picam2, settings),
        raw=None,
        transform=library.libcamera.Transform(hflip=hflip, vflip=vflip),
        colour_space=library.libcamera.ColorSpace.Smpte170m(),
        buffer_count=BUFFERS,
        controls=controls,
        display=None,
        encode=None,
        queue=False,
        sensor={"output_size": settings.sensor_mode} if settings.sensor_mode else {},
    )
    return configuration


def granted(library: Library, configuration: dict[str, Any], settings: CsiSettings, name: str) -> Granted:
    """What the camera made of the request. Raises InputError where that is not what the user wants."""
    main = _layout(library, configuration, "main")
    if main.size != settings.size:
        raise InputError(
            f"{name}: size {_shown(settings.size)}: it would give {_shown(main.size)}: set size ="
            f" [{main.size[0]}, {main.size[1]}], or one that `edgecam cameras` lists"
        )
    if main.format not in YUV_FORMATS:
        raise InputError(f'{name}: gives {main.format} pictures, not YUV 4:2:0: use it as type = "v4l2"')
    sensor = configuration.get("sensor") or {}
    if settings.sensor_mode and tuple(sensor.get("output_size", ())) != settings.sensor_mode:
        raise InputError(
            f"{name}: sensor_mode {_shown(settings.sensor_mode)}: it has no such mode: `edgecam cameras` lists them"
        )
    lores = _layout(library, configuration, "lores") if configuration["lores"] else None
    if lores and lores.format not in YUV_FORMATS | RGB_FORMATS:
        lores = None
    wanted, transform = settings.flips, configuration["transform"]
    left = (wanted[0] != bool(transform.hflip), wanted[1] != bool(transform.vflip))
    return Granted(main, lores, Turn(*left, settings.quarters))


def _shown(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _lores(picam2: Any, settings: CsiSettings) -> dict[str, Any] | None:
    """RGB where the ISP gives it (Pi 5), YUV where it does not; None where it would be larger than the main picture."""
    size = Turn(quarters=settings.quarters).size(settings.lores_size)
    if size[0] > settings.size[0] or size[1] > settings.size[1]:
        return None
    pisp = getattr(picam2.platform, "name", "") == "PISP"
    return {"size": size, "format": "BGR888" if pisp else "YUV420"}


def _layout(library: Library, configuration: dict[str, Any], stream: str) -> Layout:
    granted, colours = configuration[stream], configuration["colour_space"]
    bt709 = colours is not None and colours.ycbcrEncoding == library.libcamera.ColorSpace.YcbcrEncoding.Rec709
    return Layout(granted["format"], tuple(granted["size"]), granted["stride"], bt709)


def _rate(settings: CsiSettings) -> Controls:
    microseconds = round(1e6 / settings.fps)
    return {"FrameDurationLimits": (microseconds, microseconds)}


def _exposure(settings: CsiSettings) -> Controls:
    controls: Controls = {}
    if settings.exposure is not None:
        if settings.exposure > 1 / settings.fps:
            raise InputError(
                f"exposure {settings.exposure:g}: longer than a frame at {settings.fps:g} fps: at most"
                f" {1 / settings.fps:.4f}, or fewer frames"
            )
        controls["ExposureTime"] = round(settings.exposure * 1e6)
    if settings.gain is not None:
        controls["AnalogueGain"] = settings.gain
    if settings.exposure_value:
        controls["ExposureValue"] = settings.exposure_value
    return controls


def _white_balance(library: Library, settings: CsiSettings) -> Controls:
    if settings.awb == "auto":
        return {}
    if isinstance(settings.awb, str):
        return {"AwbMode": getattr(library.libcamera.controls.AwbModeEnum, settings.awb.capitalize())}
    return {"ColourGains": tuple(settings.awb)}


def _focus(library: Library, settings: CsiSettings) -> Controls:
    if settings.focus is None:
        return {}
    modes = library.libcamera.controls.AfModeEnum
    if settings.focus == "auto":
        return {"AfMode": modes.Continuous}
    return {"AfMode": modes.Manual, "LensPosition": settings.focus}


#: The key of the configuration that sets each control; the frame rate is not here, for it is never left out.
_KEYS = {
    "ExposureTime": "exposure",
    "AnalogueGain": "gain",
    "ExposureValue": "exposure_value",
    "AwbMode": "awb",
    "ColourGains": "awb",
    "AfMode": "focus",
    "LensPosition": "focus",
}


def _check_controls(offered: dict[str, tuple[Any, Any, Any]], wanted: Controls, name: str) -> None:
    for control, value in wanted.items():
        key = _KEYS.get(control)
        if key and control not in offered:
            why = "it has no autofocus" if key == "focus" else f"it has no {control}"
            raise InputError(f"{name}: {key}: {why}: leave {key} out")
        if key and isinstance(value, int | float):
            _check_range(value, offered[control], f"{name}: {key}", 1e6 if control == "ExposureTime" else 1.0)


def _check_range(value: float, offered: tuple[Any, Any, Any], what: str, scale: float) -> None:
    least, most = offered[:2]
    known = isinstance(least, int | float) and isinstance(most, int | float) and least < most
    if known and not least <= value <= most:
        raise InputError(f"{what} {value / scale:g}: allowed is {least / scale:g} to {most / scale:g}")
