"""What all sections of a namelist have in common."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge
from pydantic import BaseModel, ConfigDict

from dassim.config.explain import refuse

Count = Annotated[int, Ge(1)]


def _say_units(schema: dict[str, Any]) -> None:
    """Add the unit of each quantity to its description, where editors show it."""
    for field in schema.get("properties", {}).values():
        options = [field, *field.get("anyOf", ())]
        unit = next((option["unit"] for option in options if "unit" in option), None)
        if unit:
            field["description"] = f"{field.get('description', '')} [{unit}]".lstrip()


class Section(BaseModel):
    """A section of a namelist: known keys only, no conversion of types, immutable.

    The text under a field is its description in the JSON schema and in errors.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        json_schema_extra=_say_units,
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
