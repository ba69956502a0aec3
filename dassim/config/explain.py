"""pydantic's validation errors as problems in the words of a namelist."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from dassim.config.errors import KeyPath, Problem, mismatch, one_of, show, suggest

JSON = Mapping[str, Any]


def refuse(
    expected: str, remedy: str, *, found: str | None = None, key: str | int | None = None
) -> PydanticCustomError:
    """The error that a validator raises: what it expected, what to do, at which inner ``key``,
    dots between those of sections and lists in it.

    ``found`` is the value itself where it is not given.
    """
    context = {"expected": expected, "remedy": remedy, "found": found, "key": key}
    return PydanticCustomError("namelist", "{expected}", context)


def explain(error: ValidationError, schema: JSON) -> Iterator[Problem]:
    """One problem for each error, in terms of the JSON ``schema`` that the input should follow."""
    for detail in error.errors(include_url=False):
        if _long_enough(detail):
            continue
        path, node, parent = _follow(schema, detail["loc"])
        describe = _EXPLANATIONS.get(detail["type"], _other)
        inner, message = describe(detail, node, parent)
        yield Problem((*path, *inner), message)


def _long_enough(detail: ErrorDetails) -> bool:
    """Whether a list is called too short for its wrong items, which have errors of their own."""
    if detail["type"] != "too_short" or not isinstance(detail["input"], list | tuple):
        return False
    return len(detail["input"]) >= detail.get("ctx", {})["min_length"]


Explanation = tuple[KeyPath, str]


def _custom(detail: ErrorDetails, node: JSON, parent: JSON) -> Explanation:
    context = detail.get("ctx", {})
    key = context["key"]
    found = context["found"] or show(detail["input"])
    message = mismatch(found, context["expected"], context["remedy"])
    if isinstance(key, str):
        return tuple(int(part) if part.isdigit() else part for part in key.split(".")), message
    return (() if key is None else (key,)), message


def _unknown_key(detail: ErrorDetails, node: JSON, parent: JSON) -> Explanation:
    known = list(parent.get("properties", ()))
    remedy = suggest(detail["loc"][-1], known)
    return (), mismatch("an unknown key", one_of(known), remedy)


def _missing(detail: ErrorDetails, node: JSON, parent: JSON) -> Explanation:
    key = detail["loc"][-1]
    if isinstance(key, int):
        return (), mismatch("nothing", f"an item {key + 1}", "lengthen the list")
    what = re.split(r"[.;:](?:\s|$)", node.get("description", "a value"))[0]
    example = _example(node)
    remedy = f"add {key}: {example}" if example else f"add {key}"
    return (), mismatch("nothing", what[:1].lower() + what[1:], remedy)


def _unknown_tag(detail: ErrorDetails, node: JSON, parent: JSON) -> Explanation:
    key, known = _discriminator(node)
    tag = detail["input"][key]
    return (key,), mismatch(show(tag), one_of(known), suggest(tag, known))


def _missing_tag(detail: ErrorDetails, node: JSON, parent: JSON) -> Explanation:
    key, known = _discriminator(node)
    return (key,), mismatch("nothing", one_of(known), f"add {key}: {known[0]}")


def _unknown_word(detail: ErrorDetails, node: JSON, parent: JSON) -> Explanation:
    known = [str(word) for word in node.get("enum", [node.get("const")])]
    return (), mismatch(show(detail["input"]), one_of(known), suggest(detail["input"], known))


def _section(detail: ErrorDetails, node: JSON, parent: JSON) -> Explanation:
    known = node.get("properties") or dict.fromkeys(_discriminator(node)[:1])
    expected = f"a section with {', '.join(known)}"
    return (), mismatch(show(detail["input"]), expected, "write its keys on indented lines")


def _other(detail: ErrorDetails, node: JSON, parent: JSON) -> Explanation:
    value = detail["input"]
    expected = _TYPES.get(detail["type"], re.sub(r"^\w+ should (be )?", "", detail["msg"]))
    expected = expected.format(**detail.get("ctx", {}))
    example = _example(node)
    if isinstance(value, str) and node.get("type") in ("integer", "number", "boolean"):
        remedy = "write it without quotes and units"
    else:
        remedy = f"write for example {example}" if example else "correct the value"
    return (), mismatch(show(value), expected, remedy)


_EXPLANATIONS: Mapping[str, Callable[[ErrorDetails, JSON, JSON], Explanation]] = {
    "namelist": _custom,
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "union_tag_invalid": _unknown_tag,
    "union_tag_not_found": _missing_tag,
    "literal_error": _unknown_word,
    "model_type": _section,
    "model_attributes_type": _section,
}

_TYPES = {
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
    "string_too_short": "text of at least {min_length} characters",
    "string_pattern_mismatch": "text of the form {pattern}",
}


def _example(node: JSON) -> str:
    examples = node.get("examples") or node.get("enum") or []
    return str(examples[0]) if examples else str(node.get("const", ""))


def _discriminator(node: JSON) -> tuple[str, list[str]]:
    discriminator = node.get("discriminator", {"propertyName": "type", "mapping": {}})
    return discriminator["propertyName"], list(discriminator["mapping"])


def _follow(root: JSON, location: tuple[str | int, ...]) -> tuple[KeyPath, JSON, JSON]:
    """The keys in pydantic's ``location`` without the tags of its unions, with the schema of the
    value there and that of what encloses it."""
    path: list[str | int] = []
    node = parent = _plain(root, root)
    for step in location:
        tags = node.get("discriminator", {}).get("mapping", {})
        if step in tags:
            node = _plain(root, {"$ref": tags[step]})
            continue
        path.append(step)
        parent, node = node, _plain(root, _child(node, step))
    return tuple(path), node, parent


def _child(node: JSON, step: str | int) -> JSON:
    if isinstance(step, str):
        free = node.get("additionalProperties")
        return node.get("properties", {}).get(step) or (free if isinstance(free, dict) else {})
    items = node.get("prefixItems", [])
    return items[step] if step < len(items) else node.get("items", {})


def _plain(root: JSON, node: JSON) -> JSON:
    """``node`` with its reference resolved, and without the null alternative of an option."""
    if "$ref" in node:
        target: JSON = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return {**_plain(root, target), **{k: v for k, v in node.items() if k != "$ref"}}
    options = [option for option in node.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1:
        return {**_plain(root, options[0]), **{k: v for k, v in node.items() if k != "anyOf"}}
    return node
