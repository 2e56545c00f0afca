"""What all sections of the configuration share: strictness, and paths that start from the file's own folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails, PydanticCustomError


class Section(BaseModel):
    """A table of the configuration: immutable, unknown keys refused, no guessing of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def refusal(location: tuple[str, ...], value: object, remedy: str) -> ValidationError:
    """What a validator raises where the fault lies deeper than the key it looks at: `location` starts there."""
    fault = PydanticCustomError("value_error", "{error}", {"error": remedy})
    return ValidationError.from_exception_data("refused", [InitErrorDetails(type=fault, loc=location, input=value)])


def _anchored(value: str, info: ValidationInfo) -> str:
    if "\0" in value:
        raise ValueError("allowed is a path without NUL characters")
    folder: Path = (info.context or {}).get("folder", Path())
    return str(folder / value)


def _anchored_path(value: Path, info: ValidationInfo) -> Path:
    return Path(_anchored(str(value), info))


def _anchored_source(value: str, info: ValidationInfo) -> str:
    return value if "://" in value else _anchored(value, info)


def _anchored_model(value: str, info: ValidationInfo) -> str:
    return _anchored(value, info) if "/" in value or value.endswith(".tflite") else value


def _anchored_if_any(value: str, info: ValidationInfo) -> str:
    return _anchored(value, info) if value else value


_TPU_CHOICE = re.compile(r"auto|edgetpu|cpu|(usb|pci)?:[0-9]{1,3}|usb(:[0-9]+-[0-9]+(\.[0-9]+)*)?|pci(:apex_[0-9]+)?")


def _known_choice(value: str) -> str:
    if not _TPU_CHOICE.fullmatch(value):
        raise ValueError(
            'allowed are "auto", "cpu", "edgetpu", "usb", "pci", a number of one as in "usb:0" or ":0",'
            ' or a name that `edgecam tpu list` shows, as "usb:2-1"'
        )
    return value


_TILES = re.compile(r"|1x[2-4]|[2-4]x[1-4]")


def _known_tiles(value: str) -> str:
    if not _TILES.fullmatch(value):
        raise ValueError('allowed are columns x rows such as "2x2", from "2x1" and "1x2" to "4x4", or ""')
    return value


ConfigPath = Annotated[Path, Field(strict=False), AfterValidator(_anchored_path)]
"""A path; a relative one starts from the folder of the configuration file."""

Source = Annotated[str, Field(min_length=1), AfterValidator(_anchored_source)]
"""A path, or a URL such as rtsp://…, which is taken as it is."""

ModelName = Annotated[str, Field(min_length=1), AfterValidator(_anchored_model)]
"""The name of a model, or a path to one: whatever has a slash or ends in .tflite."""

OptionalPath = Annotated[str, AfterValidator(_anchored_if_any)]
"""A path, or nothing."""

TpuChoice = Annotated[str, AfterValidator(_known_choice)]
"""Which device runs the model, as `edgecam.detectors.edgetpu.parse_choice` takes it."""

Tiles = Annotated[str, AfterValidator(_known_tiles)]
"""Tiles of the picture, columns x rows, as `edgecam.tiling.Tiling.parse` takes them; "" for none."""

Name = Annotated[str, Field(pattern="^[a-z0-9_-]+$")]
"""Of a camera, a zone or a line: it becomes part of topics and file names."""
Label = Annotated[str, Field(min_length=1)]
Score = Annotated[float, Field(ge=0, le=1)]
Fps = Annotated[float, Field(gt=0, le=1000)]
Pixels = Annotated[int, Field(ge=16, le=8192, multiple_of=2)]
Size = Annotated[tuple[Pixels, Pixels], Field(strict=False)]
"""Width and height in pixels; even, because a chroma sample covers two."""
