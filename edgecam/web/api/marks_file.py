"""The marks of a camera in the configuration file: changed there, with all else, comments too, left as it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import ValidationError
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable, Table

from edgecam.config import Config, to_toml
from edgecam.config.complaints import complaints
from edgecam.config.loading import SIZE_LIMIT_BYTES
from edgecam.config.zones import MarkedSection
from edgecam.errors import ConfigError

DIGITS = 4
"""Decimals of what is written: a ten-thousandth of the picture is less than a pixel of most."""
KEYS = tuple(MarkedSection.model_fields)
#: tomlkit has errors of its own, and fails in other ways where tables are torn apart.
_CANNOT = (TOMLKitError, KeyError, TypeError, ValueError, AttributeError, IndexError)


def as_toml(camera: str, marks: MarkedSection) -> str:
    """The marks as they stand in a configuration file."""
    return to_toml({"cameras": {camera: _plain(marks, defaults=False)}})


def with_marks(text: str, camera: str, marks: MarkedSection) -> str:
    """The configuration's text with other marks of one camera. Raises ConfigError where that cannot be done."""
    before = tomllib.loads(text)
    if camera not in before.get("cameras", {}):
        raise ConfigError(f"cameras.{camera}: is not in the configuration file any more")
    try:
        document = tomlkit.parse(text)
        _merge(document["cameras"][camera], _plain(marks, defaults=False), _plain(marks, defaults=True))
        changed = tomlkit.dumps(document)
        after = tomllib.loads(changed)
    except _CANNOT:
        after = {}
    if _without_marks(after, camera) != _without_marks(before, camera) or _marks(after, camera) != _marks_of(marks):
        raise ConfigError(f"cameras.{camera}: is written in a way that only a person can change: paste the text there")
    if len(changed.encode()) > SIZE_LIMIT_BYTES:
        raise ConfigError("the configuration would be larger than 1 MiB: use fewer points")
    return changed


def faults(path: Path, text: str) -> list[str]:
    """What is wrong with a configuration's text, each as `dotted.key: value: what is allowed`."""
    try:
        Config.model_validate(tomllib.loads(text), context={"folder": path.absolute().parent})
    except ValidationError as error:
        said = (complaint.removeprefix(str(path)) for complaint in complaints(path, text, error))
        return [each.partition(": ")[2] for each in said]
    return []


def _merge(table: MutableMapping[str, Any], wanted: Mapping[str, Any], full: Mapping[str, Any]) -> None:
    """Bring the marks in a table up to date; what is as it should be is not touched."""
    for key in KEYS:
        if isinstance(full[key], Mapping):
            _merge_tables(table, key, wanted.get(key, {}), full[key])
        else:
            _set(table, key, wanted, full)


def _merge_tables(
    table: MutableMapping[str, Any], key: str, wanted: Mapping[str, Any], full: Mapping[str, Any]
) -> None:
    """The same for zones or lines, which are tables in one."""
    if not wanted:
        table.pop(key, None)
        return
    if key not in table:
        table[key] = tomlkit.table(is_super_table=True)
    tables = table[key]
    for name, values in wanted.items():
        if name not in tables:
            tables[name] = values if isinstance(tables, InlineTable) else _table(values)
            continue
        for each in dict.fromkeys([*full[name], *tables[name]]):
            _set(tables[name], each, values, full[name])
    for name in [name for name in tables if name not in wanted]:
        del tables[name]


def _set(table: MutableMapping[str, Any], key: str, wanted: Mapping[str, Any], full: Mapping[str, Any]) -> None:
    """One key: as wanted, else not there, but for a default that somebody wrote down."""
    if key in table and key in full and _unwrapped(table[key]) == full[key]:
        return
    if key in wanted:
        table[key] = wanted[key]
    else:
        table.pop(key, None)


def _table(values: Mapping[str, Any]) -> Table:
    """A new table, with an empty line behind it as people write them."""
    table = tomlkit.table()
    table.update(values)
    table.add(tomlkit.nl())
    return table


def _unwrapped(value: Any) -> Any:
    return value.unwrap() if hasattr(value, "unwrap") else value


def _plain(marks: MarkedSection, *, defaults: bool) -> dict[str, Any]:
    """The marks as TOML has them, with or without the keys that are as they would be anyway."""
    document = marks.model_dump(mode="json", include=set(KEYS), exclude_defaults=not defaults)
    rounded: dict[str, Any] = _rounded(document)
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value


def _marks(document: Mapping[str, Any], camera: str) -> dict[str, Any] | None:
    """The marks in a parsed configuration, with all defaults; None where they are none that are allowed."""
    found = document.get("cameras", {}).get(camera, {})
    try:
        return _marks_of(MarkedSection(**{key: value for key, value in found.items() if key in KEYS}))
    except ValidationError:
        return None


def _marks_of(marks: MarkedSection) -> dict[str, Any]:
    return _plain(marks, defaults=True)


def _without_marks(document: Mapping[str, Any], camera: str) -> dict[str, Any]:
    cameras = dict(document.get("cameras", {}))
    cameras[camera] = {key: value for key, value in cameras.get(camera, {}).items() if key not in KEYS}
    return {**document, "cameras": cameras}
