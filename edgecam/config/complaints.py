"""Saying what is wrong with a configuration: file, line, dotted key, value, and what is allowed instead."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from edgecam.config.schema import Config
from edgecam.config.toml_text import inline, key
from edgecam.config.wording import Keys, Node, allowed, choices

VALUE_LENGTH = 60
"""Characters of a value that a complaint repeats."""


def complaints(path: Path, text: str, error: ValidationError) -> list[str]:
    """All complaints about the file `path`, whose content is `text`, in the order of its lines."""
    root = Node.of(Config)
    lines = key_lines(text)
    found = {}
    for details in error.errors(include_url=False):
        keys, said = _said(root, details)
        line = _line(lines, keys)
        found[f"{path}{f':{line}' if line else ''}: {_dotted(keys)}: {said}"] = line
    return sorted(found, key=lambda complaint: found[complaint])


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """The line, from 1, where each key and table of a valid TOML text begins.

    Takes the text apart into the shortest pieces that are TOML by themselves: each is one statement.
    """
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    piece, start = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        piece += line + "\n"
        try:
            paths = list(_paths(tomllib.loads(piece)))
        except ValueError:
            continue
        if piece.lstrip().startswith("["):
            table = max(paths, key=len)
            found.setdefault(table, start)
        else:
            for path in paths:
                found.setdefault(table + path, start)
        piece, start = "", number + 1
    return found


def _paths(statement: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, value in statement.items():
        yield (name,)
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, Mapping):
            yield from ((name, *path) for path in _paths(inner))


def _said(root: Node, details: ErrorDetails) -> tuple[Keys, str]:
    """The keys of one complaint, and what it says."""
    kind, location = details["type"], details["loc"]
    if kind == "extra_forbidden":
        keys, table = root.walk(location[:-1])
        return (*keys, location[-1]), _unknown(str(location[-1]), table.known_keys())
    if location[-1] == "[key]":
        keys, table = root.walk(location[:-2])
        return (*keys, location[-2]), f"{_value(location[-2])} as a name: {allowed(table.name_schema())}"
    if kind == "missing" and isinstance(location[-1], str):
        keys, node = root.walk(location)
        return keys, f"missing: {allowed(node.schema)}"
    keys, node = root.walk(location[:-1] if kind == "missing" else location)
    if kind.startswith("union_tag"):
        tag = details["input"].get("type")
        return (*keys, "type"), f"{'missing' if tag is None else _value(tag)}: {choices(node.kinds())}"
    remedy = details["ctx"]["error"] if kind == "value_error" else allowed(node.schema)
    return keys, f"{_value(details['input'])}: {remedy}"


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"unknown key: did you mean {near[0]}?" if near else f"unknown key: known are {', '.join(known)}"


def _value(value: object) -> str:
    text = inline(value)
    return text if len(text) <= VALUE_LENGTH else text[: VALUE_LENGTH - 1] + "…"


def _dotted(keys: Keys) -> str:
    text = ""
    for name in keys:
        text += f"[{name}]" if isinstance(name, int) else f".{key(name)}"
    return text.removeprefix(".")


def _line(lines: Mapping[tuple[str, ...], int], keys: Keys) -> int:
    """The line of the key, or of the nearest table around it; 0 where there is none."""
    names = tuple(name for name in keys if isinstance(name, str))
    while names and names not in lines:
        names = names[:-1]
    return lines.get(names, 0)
