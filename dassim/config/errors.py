"""What is wrong with a namelist, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """A line of a file; without a line, the file or the command-line option as a whole."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One thing to correct: at which key, what was found and expected, what to do.

    >>> str(Problem(("grid", "dx", 2), "found 0; expected a length", Place("box.yaml", 4)))
    'box.yaml:4: grid.dx[2]: found 0; expected a length'
    """

    path: KeyPath
    message: str
    place: Place | None = None

    @property
    def key(self) -> str:
        """The key as people write it: ``grid.nx``, ``grid.dx[2]``."""
        return "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in self.path).lstrip(".")

    def at(self, place: Place) -> Problem:
        return self if self.place else replace(self, place=place)

    def __str__(self) -> str:
        where = (str(self.place) if self.place else "", self.key, self.message)
        return ": ".join(part for part in where if part)


class NamelistError(ValueError):
    """A namelist that cannot be used, with all of its problems in the order of their lines."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = tuple(sorted(problems, key=_order))
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self):
        return type(self), (self.problems,)


class NamelistWarning(UserWarning):
    """A problem that a run may live with."""

    def __init__(self, problem: Problem):
        self.problem = problem
        super().__init__(str(problem))


class TimeStepWarning(NamelistWarning):
    """A time step beyond a limit of stability."""


def mismatch(found: str, expected: str, remedy: str) -> str:
    """The one form of every message."""
    return f"found {found}; expected {expected}; {remedy}"


def show(value: Any) -> str:
    """A value of a namelist in one short line, as it would be written there.

    >>> show("4 s"), show(True), show({"nx": 4}), show([1, 2])
    ("'4 s'", 'true', 'a section with nx', '[1, 2]')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(str(value))
    if isinstance(value, dict):
        return f"a section with {', '.join(map(str, value))}" if value else "an empty section"
    if isinstance(value, list | tuple):
        shown = ", ".join(show(item) for item in value[:4])
        return f"[{shown}, ... {len(value)} items]" if len(value) > 4 else f"[{shown}]"
    return repr(value)


def one_of(known: Iterable[str]) -> str:
    """``a``, ``a or b``, ``one of a, b, c``."""
    names = list(known)
    return f"one of {', '.join(names)}" if len(names) > 2 else " or ".join(names)


def suggest(word: Any, known: Iterable[str]) -> str:
    """A remedy that names the nearest known words, or none when nothing is near.

    >>> suggest("bathymetri", ["bathymetry", "grid"])
    'did you mean bathymetry?'
    """
    near = difflib.get_close_matches(str(word), list(known), n=2, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else "correct or remove it"


def near_files(path: Path) -> str:
    """A remedy for a file that is not there: files beside it with a name like it."""
    names: list[str] = []
    if path.parent.is_dir():
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix == path.suffix]
    remedy = suggest(path.name, names)
    return remedy if "?" in remedy else "correct the path"


def _order(problem: Problem) -> tuple[str, int, str]:
    place = problem.place or Place("")
    return place.file, place.line or 0, problem.key
