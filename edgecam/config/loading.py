"""Reading a configuration file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgecam.config.complaints import complaints
from edgecam.config.schema import Config
from edgecam.errors import ConfigError

SIZE_LIMIT_BYTES = 1 << 20
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def load(path: Path, *, cameras_needed: bool = False) -> Config:
    """Read and check a configuration file. Relative paths in it start from the file's own folder.

    Raises ConfigError with all complaints, one a line: `FILE:LINE: dotted.key: value: what is allowed`. With
    `cameras_needed` a configuration without an enabled camera is refused as well.
    """
    text = _read(path)
    found: list[str] = []
    try:
        config = Config.model_validate(_parse(path, text), context={"folder": path.absolute().parent})
    except ValidationError as error:
        found = complaints(path, text, error)
    else:
        if cameras_needed and not config.enabled_cameras:
            found = [f"{path}: cameras: none is enabled: add one, such as [cameras.front] with type and path"]
    if found:
        raise ConfigError("\n".join(found))
    return config


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: not found: name the configuration with -c FILE or EDGECAM_CONFIG") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > SIZE_LIMIT_BYTES:
        raise ConfigError(f"{path}: larger than 1 MiB: not a configuration of edgecam")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: byte 0x{data[error.start]:02x}: not UTF-8: save the file as UTF-8") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply: not a configuration of edgecam") from None
    except ValueError as error:
        # Only Python 3.14 has the position as numbers; before it stands at the end of the message. Plain ValueErrors
        # come from numbers and dates that Python cannot hold.
        message = str(error)
        position = _POSITION.search(message)
        if position is None:
            raise ConfigError(f"{path}: not TOML: {message}") from None
        line = position[1] or str(text.rstrip("\n").count("\n") + 1)
        column = f":{position[2]}" if position[2] else ""
        raise ConfigError(f"{path}:{line}{column}: not TOML: {message[: position.start()]}") from None
