"""From a namelist file to a validated object: read, inherit, override, validate.

>>> import pathlib, tempfile
>>> path = pathlib.Path(tempfile.mkdtemp()) / "box.yaml"
>>> _ = path.write_text("nx: 4\\nny: 3.5\\n")
>>> from dassim.config.schema.section import Section
>>> class Box(Section):
...     nx: int
...     ny: int
>>> load(path, Box, overrides=["ny=3"]).namelist
Box(nx=4, ny=3)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from dassim.config.errors import KeyPath, NamelistError, Place, Problem, mismatch, near_files, show
from dassim.config.explain import explain
from dassim.config.yaml import Document, Text, parse

BASE = "base"
"""The key that names the namelist to inherit from."""

TAG = "type"
"""The key that says which other keys a section has: sections of two types are not merged."""

N = TypeVar("N")


@dataclass(frozen=True)
class Loaded(Generic[N]):
    """A validated namelist that still knows where each of its keys was written."""

    namelist: N
    document: Document

    @contextmanager
    def located(self) -> Iterator[None]:
        """Give the problems that the body raises the file and line of their keys."""
        try:
            yield
        except NamelistError as error:
            raise NamelistError(
                problem.at(self.document.place(problem.path)) for problem in error.problems
            ) from error


def load(
    path: str | Path,
    schema: Any,
    *,
    overrides: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Loaded[Any]:
    """Read the namelist at ``path`` and validate it as ``schema`` (a pydantic type).

    ``overrides`` such as ``grid.nx=40`` win over the file, the file over its ``base``. Variables
    come from ``environment`` (default: that of the process, read now).

    Raises NamelistError with all problems at once.
    """
    environment = os.environ if environment is None else environment
    document = read(Path(path), environment)
    for text in overrides:
        document = merge(document, read_override(text, environment))
    return validate(document, schema)


def validate(document: Document, schema: Any) -> Loaded[Any]:
    """The document as an object of the pydantic type ``schema``."""
    adapter = TypeAdapter(schema)
    problems = list(document.problems)
    known = {(problem.path, problem.place) for problem in problems}
    try:
        namelist = adapter.validate_python(document.value, context={"grid": _grid(document.value)})
    except ValidationError as error:
        placed = (
            problem.at(document.place(problem.path))
            for problem in explain(error, adapter.json_schema())
        )
        problems += (problem for problem in placed if (problem.path, problem.place) not in known)
        raise NamelistError(problems) from None
    if problems:
        raise NamelistError(problems)
    return Loaded(namelist, document)


def _grid(value: Any) -> str | None:
    """The type of the namelist's grid, by which positions are lengths or angles."""
    grid = value.get("grid") if isinstance(value, dict) else None
    return grid.get(TAG) if isinstance(grid, dict) else None


def read(path: Path, environment: Mapping[str, str], heirs: tuple[Path, ...] = ()) -> Document:
    """The document at ``path`` on top of the one it names as its ``base``."""
    origin = Place(str(path), 1)
    document = parse(_text(path), origin, path.parent, environment)
    if not isinstance(document.value, dict):
        whole = "an empty file" if document.value is None else show(document.value)
        message = mismatch(
            whole, "a namelist: lines of key: value", "`dassim schema` lists the keys"
        )
        raise NamelistError([*document.problems, Problem((), message, origin)])
    if BASE not in document.value:
        return document
    heirs = (*heirs, path.resolve())
    base = _base_path(document, path, heirs)
    values = {key: value for key, value in document.value.items() if key != BASE}
    heir = Document(values, document.places, document.problems)
    return merge(read(base, environment, heirs), heir)


def read_override(text: str, environment: Mapping[str, str]) -> Document:
    """The document that ``key.key=value`` stands for; the value is YAML."""
    key, equals, value = text.partition("=")
    keys = tuple(key.strip().split("."))
    origin = Place(f"--set {text}")
    if not equals or not all(keys):
        message = mismatch(show(text), "key=value such as grid.nx=40", "correct the option")
        raise NamelistError([Problem((), message, origin)])
    inner = parse(value, origin, Path.cwd(), environment)
    places = {keys[:depth]: origin for depth in range(len(keys))}
    places |= {(*keys, *path): origin for path in inner.places}
    problems = tuple(Problem((*keys, *p.path), p.message, p.place) for p in inner.problems)
    nested = reduce(lambda value, key: {key: value}, reversed(keys), inner.value)
    return Document(nested, places, problems)


def merge(base: Document, heir: Document) -> Document:
    """Sections are merged key by key, and keep their place in the base; any other value, lists too,
    is the heir's if it has one, and what was wrong with the base's does not matter."""
    replaced = list(_replaced(base.value, heir.value))

    def stays(path: KeyPath) -> bool:
        return not any(path[: len(whole)] == whole for whole in replaced)

    return Document(
        _merged(base.value, heir.value),
        {**heir.places, **{path: place for path, place in base.places.items() if stays(path)}},
        (*(problem for problem in base.problems if stays(problem.path)), *heir.problems),
    )


def _are_merged(base: Any, heir: Any) -> bool:
    """Whether both are sections, and not of two types."""
    sections = isinstance(base, dict) and isinstance(heir, dict)
    return sections and not (TAG in heir and TAG in base and heir[TAG] != base[TAG])


def _merged(base: Any, heir: Any) -> Any:
    if not _are_merged(base, heir):
        return heir
    return {**base, **{k: _merged(base[k], v) if k in base else v for k, v in heir.items()}}


def _replaced(base: Any, heir: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The keys of ``base`` whose values are the heir's altogether."""
    if not _are_merged(base, heir):
        yield path
        return
    for key in base.keys() & heir.keys():
        yield from _replaced(base[key], heir[key], (*path, key))


def _base_path(document: Document, path: Path, heirs: tuple[Path, ...]) -> Path:
    value = document.value[BASE]
    place = document.place((BASE,))
    if not isinstance(value, Text):
        message = mismatch(show(value), "the path of a namelist", "write base: other.yaml")
        raise NamelistError([*document.problems, Problem((BASE,), message, place)])
    base = path.parent / value
    if base.resolve() in heirs:
        message = mismatch(show(value), "a namelist that has not this one as base", "remove it")
        raise NamelistError([Problem((BASE,), message, place)])
    if not base.is_file():
        message = mismatch(f"no file {base}", "a namelist", near_files(base))
        raise NamelistError([*document.problems, Problem((BASE,), message, place)])
    return base


def _text(path: Path) -> str:
    def refuse(found: str, remedy: str) -> NamelistError:
        message = mismatch(found, "a namelist in YAML", remedy)
        return NamelistError([Problem((), message, Place(str(path)))])

    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise refuse("no such file", near_files(path)) from None
    except UnicodeDecodeError as error:
        raise refuse(f"byte {error.start} that is not UTF-8", "save the file as UTF-8") from None
    except OSError as error:
        found = error.strerror or str(error)
        raise refuse(found[:1].lower() + found[1:], "give the path of a readable file") from None
