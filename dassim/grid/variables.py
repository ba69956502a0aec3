"""What a model says of each of its variables: where it lies, its unit, its names."""

from __future__ import annotations

from dataclasses import dataclass

from dassim.grid.field import Location


@dataclass(frozen=True)
class Variable:
    """Metadata of a state variable or diagnostic; CF names where the convention has one."""

    name: str
    location: Location
    units: str
    long_name: str
    standard_name: str | None = None
    levels: bool = True
    """Whether it has a vertical axis: ``(nz, ny, nx)``, else ``(ny, nx)``."""
