"""Sections that speak of several variables of the ocean by their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from dassim.config.errors import KeyPath
from dassim.config.points import Basin, Points
from dassim.ocean.state import VARIABLES


class Entry(NamedTuple):
    """What a section says of the variable ``name``, and its key in the namelist."""

    name: str
    value: Any
    key: KeyPath


def entries(section: Any, key: KeyPath) -> Iterator[Entry]:
    """Everything that ``section``, which stands at ``key``, says of a variable: in a key of the
    variable's name, or for a passive tracer below ``tracers``."""
    for name in VARIABLES:
        value = getattr(section, name, None)
        if value is not None:
            yield Entry(name, value, (*key, name))
    for name, value in section.tracers.items():
        yield Entry(name, value, (*key, "tracers", name))


def points_of(basin: Basin, name: str) -> Points:
    """Where the variable ``name`` lies."""
    if name in VARIABLES:
        return basin.points(VARIABLES[name].location, surface=not VARIABLES[name].levels)
    return basin.points("c")
