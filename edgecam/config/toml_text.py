"""Writing TOML, which the standard library only reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE_KEY = re.compile("[A-Za-z0-9_-]+")


def to_toml(document: Mapping[str, Any]) -> str:
    """TOML text of tables of texts, numbers, truth values, lists and tables; what is None is left out."""
    return "\n".join(_table((), document)).strip("\n") + "\n"


def inline(value: object) -> str:
    """One value as TOML writes it within a line; None, which TOML lacks, as `none`."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{key(name)} = {inline(item)}" for name, item in value.items() if item is not None) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    return str(value)


def key(name: str) -> str:
    """A key, quoted where TOML wants it."""
    return name if _BARE_KEY.fullmatch(name) else inline(name)


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[str]:
    tables = {name: value for name, value in table.items() if isinstance(value, Mapping)}
    leaves = {name: value for name, value in table.items() if name not in tables and value is not None}
    if path and (leaves or not tables):
        yield "\n[" + ".".join(key(name) for name in path) + "]"
    for name, value in leaves.items():
        yield f"{key(name)} = {inline(value)}"
    for name, value in tables.items():
        yield from _table((*path, name), value)
