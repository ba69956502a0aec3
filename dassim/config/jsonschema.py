"""The JSON schema of namelists: editors complete and check namelists with it."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from dassim.config.loader import BASE

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(schema: Any) -> dict[str, Any]:
    """The JSON schema of namelists of the pydantic type ``schema``.

    A namelist with a ``base`` may leave out any key: the base has it.
    """
    whole = TypeAdapter(schema).json_schema()
    definitions = whole.pop("$defs", {})
    partial = {_partial_name(name): _partial(node) for name, node in definitions.items()}
    base = {"type": "string", "description": "Namelist to inherit from, relative to this one."}
    heir = _partial(whole)
    for properties in _property_lists(heir, partial):
        properties[BASE] = base
    return {
        "$schema": DIALECT,
        "title": "dassim namelist",
        "if": {"required": [BASE]},
        "then": heir,
        "else": whole,
        "$defs": {**definitions, **partial},
    }


def _property_lists(heir: dict[str, Any], partial: dict[str, Any]) -> list[dict[str, Any]]:
    """The properties of the top level: of the one model, or of each of several."""
    options = heir.get("anyOf", [heir])
    targets = [partial[o["$ref"].rpartition("/")[2]] if "$ref" in o else o for o in options]
    return [target["properties"] for target in targets]


def _partial_name(name: str) -> str:
    return f"{name}Partial"


def _partial(node: Any) -> Any:
    """The schema without required keys, all the way down."""
    if isinstance(node, list):
        return [_partial(item) for item in node]
    if not isinstance(node, dict):
        return node
    relaxed = {}
    for key, value in node.items():
        if key == "$ref":
            relaxed[key] = _partial_name(value)
        elif key == "oneOf":
            relaxed["anyOf"] = _partial(value)
        elif key == "properties":
            relaxed[key] = {name: _partial(field) for name, field in value.items()}
        elif key not in ("required", "discriminator"):
            relaxed[key] = _partial(value)
    return relaxed
