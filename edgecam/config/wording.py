"""What is allowed at each place of the configuration, in words made from its JSON Schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel

from edgecam.config.toml_text import inline

Schema = dict[str, Any]
Keys = tuple[str | int, ...]


@dataclass(frozen=True)
class Node:
    """One place in the schema: its own part of it, and the definitions that this may refer to."""

    schema: Schema
    definitions: Schema

    @classmethod
    def of(cls, model: type[BaseModel]) -> Self:
        """The root of a model's schema."""
        schema = model.model_json_schema()
        return cls(schema, schema.get("$defs", {}))

    def walk(self, location: Sequence[str | int]) -> tuple[Keys, Node]:
        """Follow an error's location: the keys as they stand in the file, and the place they lead to.

        pydantic's locations name the chosen member of a union as well, which is no key of the file.
        """
        keys: list[str | int] = []
        node = self
        for step in location:
            if "discriminator" in node.schema:
                node = node.at({"$ref": node.schema["discriminator"]["mapping"][step]})
            else:
                keys.append(step)
                node = node.child(step)
        return tuple(keys), node

    def known_keys(self) -> list[str]:
        """The keys of this table."""
        return list(self.schema.get("properties", {}))

    def kinds(self) -> list[str]:
        """The members of this union of tables, by their `type`."""
        return list(self.schema["discriminator"]["mapping"])

    def name_schema(self) -> Schema:
        """What this table allows as the name of a key."""
        pattern = next(iter(self.schema.get("patternProperties", ())), None)
        return {"type": "string"} | ({"pattern": pattern} if pattern else self.schema.get("propertyNames", {}))

    def child(self, step: str | int) -> Node:
        """The place of a key of this table, or of an item of this list."""
        schema = self.schema
        if isinstance(step, int):
            items = schema.get("prefixItems", ())
            return self.at(items[step] if step < len(items) else schema.get("items", {}))
        named = schema.get("properties", {}).get(step)
        others = schema.get("patternProperties", {}).values()
        return self.at(named or next(iter(others), None) or schema["additionalProperties"])

    def at(self, schema: Schema) -> Node:
        """The place that a part of the schema stands for, where that only refers to it or lets it be left out."""
        if "$ref" in schema:
            return self.at(self.definitions[schema["$ref"].rpartition("/")[2]])
        if "anyOf" in schema:
            return self.at(next(choice for choice in schema["anyOf"] if choice != {"type": "null"}))
        return Node(schema, self.definitions)


def choices(values: Sequence[object]) -> str:
    """The few values that are allowed."""
    return "allowed are " + ", ".join(inline(value) for value in values)


def allowed(schema: Schema) -> str:
    """What the schema of one value allows."""
    if "enum" in schema:
        return choices(schema["enum"])
    return f"allowed is {_noun(schema)}"


def _noun(schema: Schema) -> str:
    kind = schema.get("type", "object")
    if kind in {"integer", "number"}:
        whole = {"integer": "whole ", "number": ""}[kind]
        even = "even " if schema.get("multipleOf") == 2 else ""
        return f"{'an' if even else 'a'} {even}{whole}number {_range(schema)}".rstrip()
    if kind == "array":
        count = f"{schema['maxItems']} " if "maxItems" in schema else ""
        item = (schema.get("prefixItems") or [schema.get("items", {})])[0]
        return f"a list of {count}items, each {_noun(item)}"
    if kind == "string" and "pattern" in schema:
        return f"text matching {schema['pattern'].strip('^$')}"
    if kind == "string":
        return "text that is not empty" if schema.get("minLength") else "text"
    return {"boolean": "true or false"}.get(kind, "a table")


def _range(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMinimum")
    if least is not None and most is not None:
        return f"from {least} to {most}"
    parts = [f"above {above}"] if above is not None else []
    parts += [f"at least {least}"] if least is not None else []
    parts += [f"at most {most}"] if most is not None else []
    return " and ".join(parts)
