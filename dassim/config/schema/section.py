"""What all sections of a namelist have in common."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Annotated, Any

from annotated_types import Ge
from pydantic import BaseModel, ConfigDict

from dassim.config.explain import refuse

Count = Annotated[int, Ge(1)]


def _describe(schema: dict[str, Any], section: type[BaseModel]) -> None:
    """Say under each key what its field's text says and its unit, where editors show it."""
    texts = _texts_of(section)
    for name, field in schema.get("properties", {}).items():
        options = [field, *field.get("anyOf", ())]
        unit = next((option["unit"] for option in options if "unit" in option), None)
        said = [field.get("description") or texts.get(name), f"[{unit}]" if unit else None]
        if any(said):
            field["description"] = " ".join(part for part in said if part)


def _texts_of(section: type[BaseModel]) -> dict[str, str]:
    """The text under each field of a section, its own and the inherited ones."""
    texts: dict[str, str] = {}
    for parent in reversed(section.__mro__):
        if issubclass(parent, Section):
            texts |= _texts_in(inspect.getmodule(parent)).get(parent.__name__, {})
    return texts


@cache
def _texts_in(module: ModuleType | None) -> dict[str, dict[str, str]]:
    """The text under each annotated name of each class in a module's source."""
    try:
        source = inspect.getsource(module) if module else ""
    except (OSError, TypeError):  # there is none
        source = ""
    classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    return {node.name: dict(_texts_under(node.body)) for node in classes}


def _texts_under(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(said))):
                yield name, inspect.cleandoc(said)


class Section(BaseModel):
    """A section of a namelist: known keys only, no conversion of types, immutable.

    The text under a field is its description in the JSON schema and in errors.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        json_schema_extra=_describe,
    )


def exactly_one(section: Section, *alternatives: tuple[str, ...]) -> None:
    """Refuse a section unless it has just one of several groups of keys, and all of that one."""

    def given(keys):
        return [key for key in keys if getattr(section, key) is not None]

    written = [keys for keys in alternatives if given(keys)]
    choice = " or ".join(" and ".join(keys) for keys in alternatives)
    if len(written) > 1:
        keys = [key for group in written for key in given(group)]
        remedy = f"remove {' or '.join(given(written[-1]))}"
        raise refuse(f"either {choice}", remedy, found=" and ".join(keys), key=keys[-1])
    if not written:
        raise refuse(choice, f"add {choice}", found="neither")
    missing = [key for key in written[0] if getattr(section, key) is None]
    if missing:
        raise refuse(choice, f"add {' and '.join(missing)}", found=f"no {' or '.join(missing)}")
