"""Where the bottom lies. A further shape is one more section here, a member of ``Bathymetry``, and
one function in :mod:`dassim.config.build`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dassim.config.paths import InputFile
from dassim.config.schema.section import Section


class FlatBottom(Section):
    """A bottom under all levels, no land."""

    type: Literal["flat"]


class BathymetryFromFile(Section):
    """Depth from a variable (y, x) of a netCDF file, on the points of the grid."""

    type: Literal["file"]
    file: InputFile
    """A netCDF file."""
    variable: Annotated[str, Field(examples=["bathymetry"])]
    """Variable (y, x) with the depth or height of the bottom; fill values are land."""
    positive: Literal["down", "up"] = "down"
    """down: the variable is a depth, 0 on land; up: a height, negative in the ocean."""


Bathymetry = Annotated[FlatBottom | BathymetryFromFile, Field(discriminator="type")]
