"""The JSON schema of namelists: editors complete and check namelists with it."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from dassim.config.loader import BASE

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VARIABLE = r"\$\{.+\}"

JSON = dict[str, Any]


def json_schema(schema: Any) -> JSON:
    """The JSON schema of namelists of the pydantic type ``schema``.

    A variable may stand for a number, and a namelist with a ``base`` may leave out any key.
    """
    whole = _with_variables(TypeAdapter(schema).json_schema())
    definitions = whole.pop("$defs", {})
    partial = {_partial_name(name): _partial(node) for name, node in definitions.items()}
    heir = _partial(whole)
    for option in heir.get("anyOf", [heir]):
        top = partial[option["$ref"].rpartition("/")[2]] if "$ref" in option else option
        top["properties"][BASE] = {
            "type": "string",
            "description": "Namelist to inherit from, relative to this one.",
        }
    return {
        "$schema": DIALECT,
        "title": "dassim namelist",
        "if": {"required": [BASE]},
        "then": heir,
        "else": whole,
        "$defs": {**definitions, **partial},
    }


def _with_variables(node: Any) -> Any:
    """The schema with ``${NAME}`` allowed wherever it has a number."""
    if isinstance(node, list):
        return [_with_variables(item) for item in node]
    if not isinstance(node, dict):
        return node
    changed = {key: _with_variables(value) for key, value in node.items()}
    if node.get("type") in ("integer", "number"):
        changed |= {"type": [node["type"], "string"], "pattern": VARIABLE}
    return changed


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
        elif key not in ("required", "discriminator"):
            relaxed[key] = _partial(value)
    return relaxed


def _partial_name(name: str) -> str:
    return f"{name}Partial"
