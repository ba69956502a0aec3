"""YAML text into plain values, with the place of every key.

Only the part of YAML that people expect: ``1e-4`` is a number, ``yes``, ``on`` and ``1:30`` are
text, ``true`` and ``false`` are the only booleans, a date is text. Duplicate keys, tags and
recursion are problems. ``${NAME}`` and ``${NAME:-default}`` stand for environment variables;
inside [...] and {...}, where YAML wants quotes around them, one by itself may stand for a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dassim.config.errors import KeyPath, NamelistError, Place, Problem, mismatch, suggest

INTEGER = re.compile(r"[-+]?[0-9]+")
NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan")
WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^{}$]*)?\}|\$\{[^}]*\}?")


class Text(str):
    """Text of a namelist that knows the directory which its relative paths start from."""

    directory: Path

    def __new__(cls, text: str, directory: Path):
        self = super().__new__(cls, text)
        self.directory = directory
        return self

    def __reduce__(self):
        return Text, (str(self), self.directory)


@dataclass(frozen=True)
class Document:
    """Plain values (dict, list, Text, numbers, booleans, None), where each key was written, and
    the problems met on the way."""

    value: Any
    places: Mapping[KeyPath, Place]
    problems: tuple[Problem, ...] = ()

    def place(self, path: KeyPath) -> Place:
        """The place of ``path``, or of the nearest enclosing key that was written."""
        return _nearest(self.places, path)


def parse(text: str, origin: Place, directory: Path, environment: Mapping[str, str]) -> Document:
    """The document in ``text``, whose first line is at ``origin``.

    Raises NamelistError when the text is not YAML.
    """
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise NamelistError(_syntax_problems(text, error, origin)) from None
    reader = _Reader(origin, directory, environment, {(): origin})
    value = None if root is None else reader.read(root, ())
    return Document(value, reader.places, tuple(reader.problems))


@dataclass
class _Reader:
    """One walk over the node graph; collects places and problems."""

    origin: Place
    directory: Path
    environment: Mapping[str, str]
    places: dict[KeyPath, Place]
    problems: list[Problem] = field(default_factory=list)
    enclosing: tuple[yaml.Node, ...] = ()

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        if any(node is outer for outer in self.enclosing):
            return self.problem(path, "an alias of what encloses it", "a finite value", "remove it")
        if not node.tag.startswith("tag:yaml.org,2002:") or _has_explicit_tag(node):
            return self.problem(path, f"the tag {node.tag}", "a value without a tag", "remove it")
        self.enclosing += (node,)
        if isinstance(node, yaml.MappingNode):
            value = self.mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            value = [self.item(item, (*path, i)) for i, item in enumerate(node.value)]
        else:
            value = self.scalar(node, path)  # type: ignore[arg-type]
        self.enclosing = self.enclosing[:-1]
        return value

    def item(self, node: yaml.Node, path: KeyPath) -> Any:
        self.places[path] = self.place(node)
        return self.read(node, path)

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self.place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                message = mismatch("a list or section as a key", "a word", "write a word")
                self.problems.append(Problem(path, message, place))
                continue
            inner = (*path, key_node.value)
            if key_node.value in values:
                message = mismatch(
                    f"the key a second time (first on line {self.places[inner].line})",
                    "every key once",
                    "remove one of the two",
                )
                self.problems.append(Problem(inner, message, place))
                continue
            self.places[inner] = place
            values[key_node.value] = self.read(value_node, inner)
        return values

    def scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = VARIABLE.sub(lambda match: self.expand(match, path), node.value)
        in_flow = any(getattr(outer, "flow_style", False) for outer in self.enclosing)
        if node.style is None or (in_flow and VARIABLE.fullmatch(node.value)):
            if INTEGER.fullmatch(text):
                return int(text)
            if NUMBER.fullmatch(text):
                return float(text.replace(".inf", "inf").replace(".nan", "nan"))
            if text in WORDS:
                return WORDS[text]
        return Text(text, self.directory)

    def expand(self, match: re.Match[str], path: KeyPath) -> str:
        name, default = match["name"], match["default"]
        if name is None:
            self.problem(
                path, f"'{match[0]}'", "${NAME} or ${NAME:-default}", "correct the variable"
            )
        elif name in self.environment:
            return self.environment[name]
        elif default is not None:
            return default.removeprefix(":-")
        else:
            remedy = suggest(name, self.environment)
            remedy = "" if remedy.startswith("correct") else f"{remedy} "
            self.problem(
                path,
                f"'{match[0]}' with {name} not set",
                f"the environment variable {name}",
                f"{remedy}set it (export {name}=...), or write ${{{name}:-default}}",
            )
        return match[0]

    def problem(self, path: KeyPath, found: str, expected: str, remedy: str) -> None:
        message = mismatch(found, expected, remedy)
        self.problems.append(Problem(path, message, _nearest(self.places, path)))

    def place(self, node: yaml.Node) -> Place:
        if self.origin.line is None:
            return self.origin
        return Place(self.origin.file, self.origin.line + node.start_mark.line)


def _nearest(places: Mapping[KeyPath, Place], path: KeyPath) -> Place:
    while path not in places:
        path = path[:-1]
    return places[path]


def _has_explicit_tag(node: yaml.Node) -> bool:
    return node.tag.rpartition(":")[2] not in ("str", "seq", "map")


def _syntax_problems(text: str, error: yaml.YAMLError, origin: Place) -> list[Problem]:
    def at(line: int) -> Place:
        return origin if origin.line is None else Place(origin.file, origin.line + line)

    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    line = mark.line if mark else text[: getattr(error, "position", 0)].count("\n")
    rows = text.splitlines()
    if "'\\t'" in what:
        message = mismatch(
            "a tab", "spaces: YAML does not allow tabs", "replace each tab by spaces"
        )
        tabbed = {i for i, row in enumerate(rows) if "\t" in row.partition("#")[0]}
        return [Problem((), message, at(i)) for i in sorted({line, *tabbed})]
    row = rows[line].strip() if line < len(rows) else "the end of the file"
    context = getattr(error, "context", None)
    remedy = "correct the line or the one before it"
    if "${" in row:
        remedy = 'inside [...] and {...} put quotes around text with a variable: "${NAME}"'
    expected = f"YAML ({f'{context}: ' if context else ''}{what})"
    return [Problem((), mismatch(f"'{row}'", expected, remedy), at(line))]
