"""Changing one value in a configuration file, with all else, comments too, left as it is."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgecam.config.complaints import complaints, key_lines
from edgecam.config.loading import load
from edgecam.config.schema import Config
from edgecam.config.toml_text import inline
from edgecam.errors import ConfigError

_TEXT = r"""("[^"\\]*"|'[^']*')"""
_REST = r"(\s*(?:#.*)?)"


def with_text(text: str, table: str, key: str, value: str) -> str:
    """A configuration's text with another text for one key of a table, both with plain names.

    Raises ConfigError where it is written in a way that only a person can change.
    """
    before = tomllib.loads(text)
    wanted = before | {table: {**before.get(table, {}), key: value}}
    changed = _changed(text, table, key, inline(value))
    with suppress(ValueError):
        if tomllib.loads(changed) == wanted:
            return changed
    raise ConfigError(f"{table}.{key}: is written in a way that only a person can change: set it to {inline(value)}")


def change(path: Path, table: str, key: str, value: str) -> str:
    """Give one key of a configuration file another text, at once or not at all; returns the old one, "" for none.

    Raises ConfigError where the file cannot be used, before or after, or not be written.
    """
    load(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        before: Any = tomllib.loads(text).get(table, {}).get(key, "")
        if before != value:
            text = with_text(text, table, key, value)
            _check(path, text)
            replace_file(path, text)
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(f"{path}: cannot be written ({why}): run this as a user who may, such as root") from error
    return str(before)


def replace_file(path: Path, text: str) -> None:
    """Put a text in a file's place, at once or not at all, also in a power cut; owner and mode stay. Raises OSError."""
    path = path.resolve()
    before = path.stat()
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        with part.open("xb") as file:
            os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            with suppress(PermissionError):  # only root may give a file away; whoever else writes owns it
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _changed(text: str, table: str, key: str, value: str) -> str:
    """The text with the value put where the key is, else where it belongs; as it was where that cannot be told."""
    lines = text.split("\n")
    places = key_lines(text)
    if (table, key) in places:
        number = places[table, key] - 1
        dotted = rf"\s*(?:{re.escape(table)}\s*\.\s*)?{re.escape(key)}\s*=\s*"
        found = re.fullmatch(f"({dotted}){_TEXT}{_REST}", lines[number])
        if found:
            lines[number] = found[1] + value + found[3]
        return "\n".join(lines)
    ending = "\r" if lines[0].endswith("\r") else ""
    if (table,) in places:
        number = places[table,] - 1
        if re.fullmatch(rf"\s*\[\s*{re.escape(table)}\s*\]{_REST}", lines[number]):
            lines.insert(number + 1, f"{key} = {value}{ending}")
        return "\n".join(lines)
    gap = "" if not text or text.endswith("\n") else f"{ending}\n"
    return f"{text}{gap}{ending}\n[{table}]{ending}\n{key} = {value}{ending}\n"


def _check(path: Path, text: str) -> None:
    try:
        Config.model_validate(tomllib.loads(text), context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise ConfigError("\n".join(complaints(path, text, error))) from error
