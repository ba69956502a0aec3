"""Levels from the surface down; level 0 is the topmost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from dassim.config.paths import InputFile
from dassim.config.schema.section import Count, Section
from dassim.config.units import Length, Lengths


class UniformLevels(Section):
    """Levels of equal thickness."""

    type: Literal["uniform"]
    nz: Count
    """Number of levels."""
    depth: Length
    """Depth of the deepest level's lower face."""


class StretchedLevels(Section):
    """Levels whose thickness grows downward: dz_k = first * ratio**k, k = 0 at the surface."""

    type: Literal["stretched"]
    nz: Count
    """Number of levels."""
    first: Length
    """Thickness of the topmost level."""
    ratio: Annotated[float, Field(ge=0.1, le=10, examples=[1.1])]
    """Thickness of a level over that of the level above it."""


class GivenLevels(Section):
    """Levels of listed thicknesses."""

    type: Literal["given"]
    thickness: Annotated[Lengths, Strict(False), Field(min_length=1)]
    """Thickness of every level, topmost first."""


class LevelsFromFile(Section):
    """Levels of the thicknesses in a netCDF variable."""

    type: Literal["file"]
    file: InputFile
    """A netCDF file."""
    variable: Annotated[str, Field(examples=["thickness"])]
    """Variable (z) with the thickness of every level, topmost first; or, growing from 0,
    with the depths of all faces."""


Vertical = Annotated[
    UniformLevels | StretchedLevels | GivenLevels | LevelsFromFile, Field(discriminator="type")
]
