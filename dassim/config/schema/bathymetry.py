"""Where the bottom lies. A further shape is one more section here, a member of ``Bathymetry``, and
one function in :mod:`dassim.config.build`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict, model_validator

from dassim.config.explain import refuse
from dassim.config.paths import InputFile
from dassim.config.schema.section import Section, exactly_one
from dassim.config.units import Coordinate, Length


def _increasing(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise refuse("two positions, the lower one first", "exchange or correct them")
    return ends


Range = Annotated[tuple[Coordinate, Coordinate], Strict(False), AfterValidator(_increasing)]


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


class Seamount(Section):
    """Depth H - height exp(-(r / width)^2), r the distance from the centre."""

    type: Literal["seamount"]
    depth: Length
    """Depth H far from the seamount."""
    height: Length
    """Height of the top over the bottom around."""
    width: Annotated[Coordinate, Field(gt=0)]
    """Distance at which the height has fallen by a factor e."""
    centre: Annotated[tuple[Coordinate, Coordinate], Strict(False)]
    """Position [x, y] of the top."""

    @model_validator(mode="after")
    def _check(self):
        if self.height > self.depth:
            raise refuse(
                f"at most the depth, {self.depth:g} m",
                "lower it",
                found=f"{self.height:g} m",
                key="height",
            )
        return self


class Wall(Section):
    """Land of full height across the basin, with a gap, over a bottom under all levels."""

    type: Literal["wall"]
    x: Range | None = None
    """Western and eastern side of a wall along y. Give this or y."""
    y: Range | None = None
    """Southern and northern side of a wall along x. Give this or x."""
    gap: Range | None = None
    """Ends of the gap, along the wall; without a gap when left out."""

    @model_validator(mode="after")
    def _check(self):
        exactly_one(self, ("x",), ("y",))
        return self


Bathymetry = Annotated[
    FlatBottom | BathymetryFromFile | Seamount | Wall, Field(discriminator="type")
]
